"""The real all-MiniLM-L6-v2 on 200 real texts of 5 to more than 600 tokens, against sentence-transformers."""

from __future__ import annotations

import numpy as np

import corten


def test_real_texts(minilm: corten.Encoder, real_texts: list[str], minilm_reference: np.ndarray) -> None:
    vectors = minilm.encode(real_texts)
    assert vectors.dtype == np.float32
    assert vectors.shape == (200, 384)
    # Rows have length 1, so values are around 0.05: 1e-5 is noise of float32 sums in another order, six layers deep.
    assert np.abs(vectors.astype(np.float64) - minilm_reference).max() <= 1e-5
    assert cosines(vectors, minilm_reference).min() >= 0.999999


def test_texts_are_cut_at_256_tokens(minilm: corten.Encoder, real_texts: list[str]) -> None:
    """tokenizer.json says 128 and model_max_length 512: neither counts."""
    lengths = [len(ids) for ids in minilm.token_ids(real_texts)]
    assert minilm.max_seq_length == 256
    assert max(lengths) == 256
    assert min(lengths) <= 5


def test_normalized_and_truncated(minilm: corten.Encoder, real_texts: list[str], minilm_reference: np.ndarray) -> None:
    cut = minilm.encode(real_texts, truncate_dim=64)
    assert np.abs(cut - minilm_reference[:, :64]).max() <= 1e-5
    unit = minilm.encode(real_texts, truncate_dim=64, normalize_embeddings=True)
    assert np.abs(np.linalg.norm(unit.astype(np.float64), axis=1) - 1).max() <= 1e-6
    assert cosines(unit, minilm_reference[:, :64]).min() >= 0.999999


def test_similarity(minilm: corten.Encoder, real_texts: list[str], minilm_reference: np.ndarray) -> None:
    scores = minilm.similarity(minilm.encode(real_texts[:20]), minilm.encode(real_texts))
    expected = minilm_reference[:20].astype(np.float64) @ minilm_reference.T.astype(np.float64)
    assert np.abs(scores - expected).max() <= 1e-5


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    result: np.ndarray = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return result
