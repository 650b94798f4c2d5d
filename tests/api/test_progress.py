"""The progress bar: shown when asked for, or where the module logs at INFO, and counting texts."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import corten

TEXTS = ["the heart of a patient"] * 300


@pytest.fixture(autouse=True)
def _level() -> Iterator[None]:
    logger = logging.getLogger("corten.encoder")
    before = logger.level
    yield
    logger.setLevel(before)


@pytest.mark.parametrize(
    ("level", "asked", "shown"),
    [
        (logging.WARNING, None, False),
        (logging.INFO, None, True),
        (logging.DEBUG, None, True),
        (logging.INFO, False, False),
        (logging.WARNING, True, True),
    ],
)
def test_when_a_bar_is_shown(
    tiny: corten.Encoder, capsys: pytest.CaptureFixture[str], level: int, asked: bool | None, shown: bool
) -> None:
    logging.getLogger("corten.encoder").setLevel(level)
    tiny.encode(TEXTS, show_progress_bar=asked)
    text = capsys.readouterr().err
    assert ("300/300" in text) is shown
    assert bool(text) is shown


@pytest.mark.parametrize("output_value", ["sentence_embedding", "token_embeddings"])
def test_a_bar_counts_texts_to_the_end(
    tiny: corten.Encoder, capsys: pytest.CaptureFixture[str], output_value: Any
) -> None:
    tiny.encode(iter(TEXTS), show_progress_bar=True, output_value=output_value)
    last = capsys.readouterr().err.replace("\r", "\n").strip().splitlines()[-1]
    assert last.startswith("Encoding: 100%")
    assert "300/300" in last


def test_a_bar_changes_no_bit(tiny: corten.Encoder) -> None:
    assert np.array_equal(tiny.encode(TEXTS, show_progress_bar=True), tiny.encode(TEXTS))


def test_counts_rise_to_the_number_of_texts(tiny: corten.Encoder) -> None:
    counts: list[int] = []
    tiny._native.encode(TEXTS, progress=counts.append)
    assert counts == sorted(counts)
    assert counts[-1] == 300


def test_an_error_in_the_callers_callback_comes_through(tiny: corten.Encoder) -> None:
    def fail(finished: int) -> None:
        raise LookupError(f"at {finished}")

    with pytest.raises(LookupError, match=r"^at "):
        tiny._native.encode(TEXTS, progress=fail)
    assert tiny.encode(TEXTS[:1]).shape == (1, 16)
