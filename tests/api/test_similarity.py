"""Similarity functions against plain float64 arithmetic."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from corten.similarity import SimilarityName, similarity, similarity_pairwise

NAMES = get_args(SimilarityName)
A = np.random.default_rng(1).normal(size=(5, 7)).astype(np.float32)
B = np.random.default_rng(2).normal(size=(9, 7)).astype(np.float32)


def plain(name: str, a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    match name:
        case "cosine":
            return float(a @ b / max(np.linalg.norm(a), 1e-12) / max(np.linalg.norm(b), 1e-12))
        case "dot":
            return float(a @ b)
        case "euclidean":
            return -float(np.linalg.norm(a - b))
        case _:
            return -float(np.abs(a - b).sum())


@pytest.mark.parametrize("name", NAMES)
def test_all_pairs(name: Any) -> None:
    expected = [[plain(name, a, b) for b in B] for a in A]
    scores = similarity(name, A, B)
    assert scores.dtype == np.float32
    assert np.allclose(scores, expected, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_rows_side_by_side(name: Any) -> None:
    scores = similarity_pairwise(name, A, B[:5])
    assert scores.shape == (5,)
    assert np.allclose(scores, [plain(name, a, b) for a, b in zip(A, B[:5], strict=True)], atol=1e-6)
    assert similarity_pairwise(name, A[0], B[0]).shape == ()


def test_a_zero_vector_is_similar_to_nothing() -> None:
    zero = np.zeros((1, 7), dtype=np.float32)
    assert similarity("cosine", zero, A).tolist() == [[0.0] * 5]
    assert similarity("cosine", zero, zero).tolist() == [[0.0]]
    assert similarity_pairwise("cosine", zero, zero).tolist() == [0.0]


def test_near_rows_keep_their_distance() -> None:
    """The squared distance is a difference of large numbers: in float32 it would be lost."""
    row = np.full((1, 300), 10, dtype=np.float32)
    near = row.copy()
    near[0, 0] += 1e-3
    assert similarity("euclidean", row, near)[0, 0] == pytest.approx(-1e-3, rel=1e-2)
    assert similarity("euclidean", row, row)[0, 0] == 0


@pytest.mark.parametrize("name", NAMES)
def test_single_vectors_lists_and_other_dtypes(name: Any) -> None:
    expected = similarity(name, A, B)
    assert np.allclose(similarity(name, A[0], B), expected[:1], atol=1e-6)
    assert np.allclose(similarity(name, list(A), B.tolist()), expected, atol=1e-6)
    assert np.allclose(similarity(name, A.astype(np.float16), B.astype(np.float16)), expected, atol=5e-2)
    whole = similarity(name, np.array([[3, 4]], dtype=np.int8), np.array([[6, 8]], dtype=np.int8))
    assert whole[0, 0] == pytest.approx({"cosine": 1, "dot": 50, "euclidean": -5, "manhattan": -7}[name])


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^embeddings: expected two arrays of rows equally wide, found \(5, 7\) and"):
        similarity("cosine", A, B[:, :3])
    with pytest.raises(ValueError, match=r"^embeddings: expected two arrays of one shape, found \(5, 7\) and \(9, 7\)"):
        similarity_pairwise("cosine", A, B)
