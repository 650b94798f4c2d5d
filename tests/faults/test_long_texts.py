"""Texts of ten megabytes, and a million tiny ones (X5): the time and the memory they may take.

A text is looked at only as far as its first tokens can reach, so its length must hardly show.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import corten

TEN_MEGABYTES = 10_000_000


def fastest(work: Callable[[], object]) -> float:
    """The seconds of the best of up to three tries: on a busy machine the process may have to wait for its turn."""
    seconds: list[float] = []
    while len(seconds) < 3 and min(seconds, default=1) >= 1:
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "the heart of a patient " * (TEN_MEGABYTES // 23),
        "x" * TEN_MEGABYTES,
        "é" * (TEN_MEGABYTES // 2),
        "中" * (TEN_MEGABYTES // 3),
        "a\u0300" * (TEN_MEGABYTES // 3),
        " " * TEN_MEGABYTES,
        "\0" * TEN_MEGABYTES,
        "?" * TEN_MEGABYTES,
    ],
    ids=["words", "one word", "accents", "chinese", "combining", "blanks", "NUL", "punctuation"],
)
def test_ten_megabytes(tiny: corten.Encoder, text: str) -> None:
    vector = tiny.encode(text)
    assert fastest(lambda: tiny.encode(text)) < 1
    assert np.isfinite(vector).all()
    assert len(tiny.token_ids(text)[0]) <= 32


def test_ten_megabytes_with_a_real_model(minilm: corten.Encoder, real_texts: list[str]) -> None:
    text = " ".join(real_texts)
    text *= TEN_MEGABYTES // len(text)
    assert fastest(lambda: minilm.encode(text)) < 1
    # The first 256 * 250 characters are looked at, which is far more than 256 tokens' worth.
    assert np.array_equal(minilm.encode(text), minilm.encode(text[:20_000]))


MEMORY = """
import resource, sys
import corten
encoder = corten.Encoder(sys.argv[1], threads=2)
encoder.encode(["a"] * 1000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
{work}
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def growth(folder: Path, work: str) -> int:
    """By how many kilobytes the most memory ever in use grows by some work in a new process."""
    program = [sys.executable, "-c", MEMORY.format(work=work), str(folder)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)
    return int(done.stdout)


@pytest.mark.timeout(60)
def test_memory_for_a_million_tiny_texts(tiny_folder: Path) -> None:
    """64 MB for the rows, twice that for texts, ids and what was copied; nothing that grows with the batches."""
    assert growth(tiny_folder, 'assert encoder.encode(["a b"] * 1_000_000).shape == (1_000_000, 16)') < 500_000


@pytest.mark.timeout(60)
def test_memory_for_a_long_text(tiny_folder: Path) -> None:
    """The text, its copy, and little else."""
    assert growth(tiny_folder, 'text = "x y" * 10_000_000; encoder.encode(text)') < 200_000


def test_repeated_calls_do_not_leak(tiny_folder: Path) -> None:
    """Ten thousand calls, and a hundred times loading: less than 5 MB."""
    assert growth(tiny_folder, 'for _ in range(10_000): encoder.encode(["a", "b c"])') < 5_000
    assert growth(tiny_folder, "for _ in range(100): corten.Encoder(sys.argv[1], threads=2).encode('a')") < 5_000
