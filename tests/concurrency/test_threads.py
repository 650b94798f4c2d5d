"""Many threads on one Encoder, and the GIL, which is free while texts are encoded."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import corten
from longest_pause import longest_pause


def test_many_threads_get_the_bits_of_one(minilm: corten.Encoder, real_texts: list[str]) -> None:
    parts = [real_texts[i : i + 5] for i in range(0, 60, 5)]
    alone = [minilm.encode(part) for part in parts]
    ready = threading.Barrier(len(parts))

    def work(part: list[str]) -> np.ndarray:
        ready.wait()
        result: np.ndarray = minilm.encode(part, batch_size=2)
        return result

    with ThreadPoolExecutor(len(parts)) as threads:
        together = list(threads.map(work, parts))
    for expected, found in zip(alone, together, strict=True):
        assert np.array_equal(found, expected)


def test_threads_that_use_every_method_at_once(tiny_folder: Path) -> None:
    encoder = corten.Encoder(tiny_folder)
    texts = ["the heart", "of a patient", "a " * 40] * 7
    expected = encoder.encode(texts)
    stop = time.monotonic() + 2
    failures: list[BaseException] = []

    def repeat(number: int) -> None:
        try:
            while time.monotonic() < stop:
                assert np.array_equal(encoder.encode(texts, batch_size=1 + number), expected)
                assert len(encoder.encode(texts, output_value="token_embeddings")) == len(texts)
                assert len(encoder.token_ids(texts)) == len(texts)
                assert encoder.max_seq_length == 32
                with pytest.raises(TypeError):
                    encoder.encode([*texts, None])
        except BaseException as failure:  # noqa: BLE001  pytest does not see other threads' failures
            failures.append(failure)

    threads = [threading.Thread(target=repeat, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_other_threads_run_while_texts_are_encoded(minilm: corten.Encoder, real_texts: list[str]) -> None:
    """A thread that only counts must come far while another encodes; with the GIL held it would stand still.

    What is measured is how often it runs, not how fast: the longest pause between two turns is short against the call.
    """
    took, pause = longest_pause(lambda: minilm.encode(real_texts))
    assert pause < took / 3


ONE_CORE = """
import sys
import corten
print(corten.Encoder(sys.argv[1]).threads, corten.Encoder(sys.argv[1], threads=3).threads)
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot bind a process to a core")
def test_threads_are_as_many_as_cores_that_may_be_used(tiny_folder: Path) -> None:
    core = min(os.sched_getaffinity(0))
    done = subprocess.run(
        [sys.executable, "-c", ONE_CORE, str(tiny_folder)],
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        capture_output=True,
        text=True,
        timeout=25,
        check=True,
    )
    assert done.stdout == "1 3\n"


DAEMON = """
import sys, threading, time
import corten
encoder = corten.Encoder(sys.argv[1])
def work():
    while True:
        encoder.encode(["the heart of a patient"] * 200)
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.3)
print("end", flush=True)
"""


def test_the_interpreter_ends_while_daemon_threads_encode(tiny_folder: Path) -> None:
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", DAEMON, str(tiny_folder)], capture_output=True, text=True, timeout=25, check=False
        )
        assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
