"""Fewer bits: worked examples of the reference's formulas. The fixtures hold the reference's own output."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

import corten
from corten import quantize_embeddings

# Ranges of 255 and 510, so that the steps are 1 and 2, and no range at all.
ROWS = np.array([[-1.0, 0.0, 2.0], [254.0, 510.0, 2.0], [9.9, 25.0, 2.0]], dtype=np.float32)


def test_uint8_and_int8_are_steps_between_minimum_and_maximum() -> None:
    unsigned = quantize_embeddings(ROWS, "uint8")
    # The third dimension is constant: its step is taken for 1.
    assert unsigned.tolist() == [[0, 0, 0], [255, 255, 0], [10, 12, 0]]
    assert unsigned.dtype == np.uint8
    signed = quantize_embeddings(ROWS, "int8")
    assert signed.dtype == np.int8
    assert (signed.astype(int) + 128).tolist() == unsigned.tolist()


def test_given_ranges_and_calibration() -> None:
    ranges = np.array([[0.0, 0.0, 0.0], [255.0, 255.0, 4.0]], dtype=np.float32)
    assert quantize_embeddings(ROWS, "uint8", ranges)[:, 2].tolist() == [127] * 3
    assert np.array_equal(
        quantize_embeddings(ROWS, "int8", calibration_embeddings=ranges), quantize_embeddings(ROWS, "int8", ranges)
    )
    # Outside the ranges a value stays at the edge rather than wrapping around.
    assert quantize_embeddings(ROWS * 100, "uint8", ranges)[:2].tolist() == [[0, 0, 255], [255, 255, 255]]
    assert quantize_embeddings(ROWS[2], "uint8", ranges).tolist() == [9, 25, 127]


def test_binary_is_the_sign_of_eight_values_a_byte() -> None:
    row = np.array([[1, -1, 1, 1, 0, 0, 0, 2, 3]], dtype=np.float32)
    assert quantize_embeddings(row, "ubinary").tolist() == [[0b10110001, 0b10000000]]
    binary = quantize_embeddings(row, "binary")
    assert binary.dtype == np.int8
    assert binary.tolist() == [[0b10110001 - 128, 0]]


@pytest.mark.parametrize("precision", ["int8", "uint8"])
def test_a_single_embedding_has_no_ranges(tiny: corten.Encoder, precision: Any) -> None:
    words = rf"^precision: {precision} ranges cannot be had from a single embedding \(hint: "
    for use in (lambda: tiny.encode("a", precision=precision), lambda: quantize_embeddings(ROWS[:1], precision)):
        with pytest.raises(ValueError, match=words):
            use()


def test_few_embeddings_are_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        quantize_embeddings(np.tile(ROWS, (33, 1)), "int8")
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "99 embeddings" in caplog.messages[0]
        quantize_embeddings(np.tile(ROWS, (34, 1)), "int8")
        assert len(caplog.records) == 1


def test_embeddings_quantized_before(tiny: corten.Encoder) -> None:
    with pytest.raises(ValueError, match=r"^embeddings: expected floats, found int8$"):
        quantize_embeddings(tiny.encode(["a", "b"], precision="int8"), "binary")


def test_lists(tiny: corten.Encoder) -> None:
    vectors = tiny.encode(["a", "b", "the cell"])
    assert quantize_embeddings([], "int8") == []
    assert np.array_equal(quantize_embeddings(list(vectors), "int8"), quantize_embeddings(vectors, "int8"))
    assert np.array_equal(quantize_embeddings(vectors, "float32"), vectors)


@pytest.mark.parametrize("precision", ["int8", "uint8", "binary", "ubinary"])
def test_encode_quantizes_what_it_would_have_given(tiny: corten.Encoder, precision: Any) -> None:
    texts = ["the heart", "of a patient", "cells", "insulin"]
    options: dict[str, Any] = {"truncate_dim": 8, "normalize_embeddings": True}
    expected = quantize_embeddings(tiny.encode(texts, **options), precision)
    assert np.array_equal(tiny.encode(texts, precision=precision, **options), expected)


@pytest.mark.parametrize("precision", ["float32", "int8", "uint8", "binary", "ubinary"])
def test_lists_of_floats_and_tensors(precision: Any) -> None:
    expected = quantize_embeddings(ROWS, precision)
    lists: Any = ROWS.tolist()
    assert np.array_equal(quantize_embeddings(lists, precision), expected)
    torch = pytest.importorskip("torch", reason="NOT RUN: torch is not installed")
    assert np.array_equal(quantize_embeddings(torch.from_numpy(ROWS), precision), expected)
