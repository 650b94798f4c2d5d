"""Similarity and intersection of sparse rows, in numpy alone.

The numbers are those of sentence-transformers' `util/similarity.py` for sparse tensors. Every pair of rows is visited
through the terms they share, and sums are float64, term by term in rising order: a score does not depend on other rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from corten.similarity import SimilarityName
    from corten.sparse_embeddings import SparseEmbeddings

# Shared terms and scores worked on at a time, each a few numbers of 8 bytes.
_BLOCK = 1 << 21
# torch.nn.functional.normalize divides by max(norm, 1e-12): an empty row stays empty.
_SMALLEST_NORM = 1e-12


def ranges(starts: NDArray[np.int64], stops: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers of all ranges `start` to below `stop` one after another, and where each range begins among them."""
    ends = np.concatenate(([0], np.cumsum(stops - starts)))
    return np.repeat(starts - ends[:-1], stops - starts) + np.arange(ends[-1]), ends


def similarity(name: SimilarityName, a: SparseEmbeddings, b: SparseEmbeddings) -> NDArray[np.float32]:
    """The similarity of every row of `a` with every row of `b`: float32 `[rows of a, rows of b]`.

    Raises ValueError where the numbers of terms differ.
    """
    _check_terms(a, b)
    result = np.empty((len(a), len(b)), dtype=np.float32)
    shared = _SharedTerms(b)
    combine, finish = _FUNCTIONS[name]
    b_sums = _sums(name, b)[None, :]
    for rows in _blocks(a, shared.postings_of(a), len(b)):
        part = a[rows]
        result[rows] = finish(shared.sums(part, combine), _sums(name, part)[:, None], b_sums)
    return result


def similarity_pairwise(name: SimilarityName, a: SparseEmbeddings, b: SparseEmbeddings) -> NDArray[np.float32]:
    """The similarity of row i of `a` with row i of `b`: float32 `[rows]`. Raises ValueError where the shapes differ."""
    if a.shape != b.shape:
        raise ValueError(f"embeddings: expected two of one shape, found {a.shape} and {b.shape}")
    rows = np.repeat(np.arange(len(a)), np.diff(a.indptr))
    keys = rows * a.shape[1] + a.indices
    other = np.repeat(np.arange(len(b)), np.diff(b.indptr)) * b.shape[1] + b.indices
    _, in_a, in_b = np.intersect1d(keys, other, assume_unique=True, return_indices=True)
    combine, finish = _FUNCTIONS[name]
    common = combine(a.values[in_a].astype(np.float64), b.values[in_b].astype(np.float64))
    sums = np.bincount(rows[in_a], weights=common, minlength=len(a))
    return finish(sums, _sums(name, a), _sums(name, b)).astype(np.float32)


def intersection(
    one: SparseEmbeddings, many: SparseEmbeddings
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """The products of the weights that one row shares with each of `many`, where above zero: indptr, indices, values.

    Raises ValueError where the numbers of terms differ.
    """
    _check_terms(one, many)
    products = many.values * one.to_dense()[0][many.indices]
    kept = products > 0
    before = np.concatenate(([0], np.cumsum(kept)))
    return before[many.indptr], many.indices[kept], products[kept]


class _SharedTerms:
    """The rows of one side by term, so that those that share a term with a row of the other side are found at once."""

    def __init__(self, b: SparseEmbeddings) -> None:
        order = np.argsort(b.indices, kind="stable")
        self._rows = np.repeat(np.arange(len(b)), np.diff(b.indptr))[order]
        self._values = b.values[order].astype(np.float64)
        self._starts = np.concatenate(([0], np.cumsum(np.bincount(b.indices, minlength=b.shape[1]))))
        self._count = len(b)

    def postings_of(self, a: SparseEmbeddings) -> NDArray[np.int64]:
        """For each value of `a` the number of rows that have its term."""
        return cast("NDArray[np.int64]", np.diff(self._starts)[a.indices])

    def sums(self, a: SparseEmbeddings, combine: Callable[..., NDArray[np.float64]]) -> NDArray[np.float64]:
        """For each pair of rows the sum of `combine` over the terms they share: `[rows of a, rows]`."""
        places, ends = ranges(self._starts[a.indices], self._starts[a.indices + 1])
        counts = np.diff(ends)
        row = np.repeat(np.repeat(np.arange(len(a)), np.diff(a.indptr)), counts)
        common = combine(np.repeat(a.values.astype(np.float64), counts), self._values[places])
        sums = np.bincount(row * self._count + self._rows[places], weights=common, minlength=len(a) * self._count)
        return sums.astype(np.float64, copy=False).reshape(len(a), self._count)


def _blocks(a: SparseEmbeddings, postings: NDArray[np.int64], width: int) -> list[slice]:
    """Rows of `a` in blocks of bounded work, at least one row each."""
    work = np.concatenate(([0], np.cumsum(postings)))[a.indptr]
    blocks, start = [], 0
    while start < len(a):
        stop = int(np.searchsorted(work, work[start] + _BLOCK, side="right")) - 1
        stop = max(start + 1, min(stop, start + max(1, _BLOCK // max(1, width)), len(a)))
        blocks.append(slice(start, stop))
        start = stop
    return blocks


def _sums(name: SimilarityName, embeddings: SparseEmbeddings) -> NDArray[np.float64]:
    """What the function needs of each row alone: the sum of squares, or of absolute values for "manhattan"."""
    values = embeddings.values.astype(np.float64)
    weights = np.abs(values) if name == "manhattan" else np.square(values)
    rows = np.repeat(np.arange(len(embeddings)), np.diff(embeddings.indptr))
    return np.bincount(rows, weights=weights, minlength=len(embeddings)).astype(np.float64, copy=False)


def _check_terms(a: SparseEmbeddings, b: SparseEmbeddings) -> None:
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"embeddings: expected two of equally many terms, found {a.shape} and {b.shape}")


def _product(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return x * y


def _less_than_apart(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """What sharing a term takes from the sum of absolute values of both rows."""
    return cast("NDArray[np.float64]", np.abs(x - y) - np.abs(x) - np.abs(y))


def _dot(sums: NDArray[np.float64], _a: NDArray[np.float64], _b: NDArray[np.float64]) -> NDArray[np.float64]:
    return sums


def _cosine(sums: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    norms = np.maximum(np.sqrt(a), _SMALLEST_NORM) * np.maximum(np.sqrt(b), _SMALLEST_NORM)
    return cast("NDArray[np.float64]", sums / norms)


def _euclidean(sums: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return cast("NDArray[np.float64]", -np.sqrt(np.maximum(a + b - 2 * sums, 0)))


def _manhattan(sums: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return -np.maximum(a + b + sums, 0)


_FUNCTIONS: dict[SimilarityName, tuple[Callable[..., NDArray[np.float64]], Callable[..., NDArray[np.float64]]]] = {
    "dot": (_product, _dot),
    "cosine": (_product, _cosine),
    "euclidean": (_product, _euclidean),
    "manhattan": (_less_than_apart, _manhattan),
}
