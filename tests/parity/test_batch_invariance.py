"""The same text gives the same bits, whatever it is encoded with, in which order and on how many threads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import corten


@pytest.fixture(scope="module")
def texts(real_texts: list[str]) -> list[str]:
    return ["", " ", *real_texts[:60], real_texts[0]]


@pytest.fixture(scope="module")
def alone(minilm: corten.Encoder, texts: list[str]) -> np.ndarray:
    return np.stack([minilm.encode(text) for text in texts])


@pytest.mark.parametrize("batch_size", [1, 7, 32, 1000])
def test_batch_size(minilm: corten.Encoder, texts: list[str], alone: np.ndarray, batch_size: int) -> None:
    assert np.array_equal(minilm.encode(texts, batch_size=batch_size), alone)


def test_order(minilm: corten.Encoder, texts: list[str], alone: np.ndarray) -> None:
    order = np.random.default_rng(3).permutation(len(texts))
    assert np.array_equal(minilm.encode([texts[i] for i in order]), alone[order])


def test_neighbours(minilm: corten.Encoder, texts: list[str], alone: np.ndarray, real_texts: list[str]) -> None:
    """Among other texts, longer and shorter, a text keeps its bits."""
    mixed = [text for pair in zip(texts, real_texts[100:], strict=False) for text in pair]
    assert np.array_equal(minilm.encode(mixed)[::2], alone)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads(minilm_folder: Path, texts: list[str], alone: np.ndarray, threads: int) -> None:
    encoder = corten.Encoder(minilm_folder, threads=threads)
    assert encoder.threads == threads
    assert np.array_equal(encoder.encode(texts), alone)


def test_token_vectors(minilm: corten.Encoder, texts: list[str]) -> None:
    together = minilm.encode(texts, output_value="token_embeddings", batch_size=9)
    for text, rows in zip(texts, together, strict=True):
        assert np.array_equal(minilm.encode(text, output_value="token_embeddings"), rows)
