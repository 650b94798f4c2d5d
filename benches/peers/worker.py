"""One engine in a process of its own, which does what it is told over a pipe, one JSON value a line.

worker.py ENGINE MODEL_FOLDER THREADS LENGTH

First it says how long it took to import the library, and to load the model and encode one text. Then, a round at a
time: `{"texts": FILE, "count": N, "batch": B, "alone": false, "save": FILE}` encodes the first N texts in one call and
says how many seconds it took; with `"alone": true` each text is a call, and it says how long each took. The vectors are
saved with the clock stopped. Every answer has the greatest memory of the process so far.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import workloads

FIRST_TEXT = "Do mitochondria play a role in remodelling lace plant leaves during programmed cell death?"


def peak_megabytes() -> float | None:
    """The high-water mark of this process' memory, in MB of a million bytes; None where the kernel does not say.

    Not getrusage's: that one counts what the parent had before exec.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:"))


def one_round(engine: Any, task: dict[str, Any]) -> dict[str, Any]:
    """Encodes, stops the clock, saves the vectors."""
    import numpy as np

    texts = json.loads(Path(task["texts"]).read_text(encoding="utf-8"))["texts"][: task["count"]]
    if task["alone"]:
        rows, times = [], []
        for text in texts:
            started = time.perf_counter()
            row = engine.encode([text], 1)
            times.append(time.perf_counter() - started)
            rows.append(row[0])
        answer: dict[str, Any] = {"each": times}
    else:
        started = time.perf_counter()
        rows = engine.encode(texts, task["batch"])
        answer = {"seconds": time.perf_counter() - started}
    if task["save"] is not None:
        np.save(task["save"], np.asarray(rows, np.float32))
    return answer


def main() -> None:
    """Loads, then serves rounds until the pipe is closed."""
    name, folder, threads, length = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    # Answers have the pipe for themselves; whatever a library prints goes to stderr.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(**value: Any) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    library = workloads.library(name)
    packages = {"torch": ["sentence_transformers", "torch"]}.get(library, [library])
    started = time.perf_counter()
    try:
        modules = [importlib.import_module(package) for package in packages]
        imported = time.perf_counter()
        engines = importlib.import_module("engines")  # not before: it imports numpy
        engine = engines.ENGINES[library](folder, workloads.dtype(name), threads, length)
    except (ImportError, workloads.Unavailable) as error:
        answer(unavailable=str(error))
        return
    engine.encode([FIRST_TEXT], 1)
    ready = time.perf_counter()
    answer(
        import_s=imported - started,
        first_vector_s=ready - imported,
        version=" ".join(f"{package} {importlib.metadata.version(package)}" for package in packages),
        level=modules[0].cpu_info()["level"] if library == "corten" else None,
        peak_mb=peak_megabytes(),
    )
    for line in sys.stdin:
        answer(**one_round(engine, json.loads(line)), peak_mb=peak_megabytes())


if __name__ == "__main__":
    main()
