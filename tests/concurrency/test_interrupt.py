"""Ctrl-C during a long call: KeyboardInterrupt within a second, and the Encoder is as good as before."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import sys, time
import corten
encoder = corten.Encoder(sys.argv[1])
text = "the heart of a patient with insulin " * 30
expected = encoder.encode(text).tobytes()
print("encoding", flush=True)
try:
    texts, batch_size, output_value, bar = [text] * 200_000, int(sys.argv[2]), sys.argv[3], sys.argv[4] == "bar"
    encoder.encode(texts, batch_size=batch_size, output_value=output_value, show_progress_bar=bar)
    print("finished: the call was too short for the test", flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    assert encoder.encode(text).tobytes() == expected
    print("usable", flush=True)
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("batch_size", "output_value", "bar"),
    [
        (32, "sentence_embedding", "no bar"),
        (100_000, "sentence_embedding", "no bar"),
        (32, "sentence_embedding", "bar"),
        (32, "token_embeddings", "no bar"),
    ],
)
def test_ctrl_c(minilm_folder: Path, batch_size: int, output_value: str, bar: str) -> None:
    """The best of three counts: on a busy machine the process may have to wait for its turn."""
    seconds = []
    while len(seconds) < 3 and min(seconds, default=1) >= 1:
        seconds.append(seconds_from_ctrl_c([str(minilm_folder), str(batch_size), output_value, bar]))
    assert min(seconds) < 1


def seconds_from_ctrl_c(arguments: list[str]) -> float:
    """How long a process that encodes goes on after Ctrl-C; it must then be able to encode again."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "encoding\n"
        time.sleep(1)  # well into the call
        pressed = time.perf_counter()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        seconds = time.perf_counter() - pressed
        output, errors = process.communicate(timeout=25)
        assert (process.returncode, output) == (0, "usable\n"), errors
    finally:
        process.kill()
        process.communicate()
    return seconds
