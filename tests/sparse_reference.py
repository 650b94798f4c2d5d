"""What a SparseIndex must find: every document compared with the query in float64. And rows of many kinds to try."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

import corten

# A score is a float32: rounding alone is up to 6e-8 of it, and a sum of products in float32 adds a few times that.
RELATIVE = 4e-7
# A document's weights are stored in 24 bits of its largest, rounded.
STORED = 2.0**-24


def random_rows(
    rng: np.random.Generator, rows: int, dim: int, kind: str, *, mean: float = 6.0, empty: float = 0.1
) -> sp.csr_matrix:
    """Rows of about `mean` weights, a share of `empty` without any. `kind` says which weights:

    * "learned": like SPLADE's, from 0 to 3;
    * "few values": 1, 2 and 3, so that scores are exact in float32 and often equal;
    * "huge and tiny": over 36 orders of magnitude.
    """
    counts = np.minimum(rng.poisson(mean, rows), dim) * (rng.random(rows) >= empty)
    # Popular terms come first; a term occurs once in a row.
    popularity = 1.0 / np.arange(1, dim + 1) ** 0.7
    popularity /= popularity.sum()
    indptr = np.concatenate([[0], np.cumsum(counts)])
    indices = np.concatenate(
        [np.sort(rng.choice(dim, count, replace=False, p=popularity)) for count in counts] or [np.empty(0, np.int64)]
    )
    size = int(indptr[-1])
    if kind == "few values":
        values = rng.integers(1, 4, size).astype(np.float32)
    elif kind == "huge and tiny":
        values = (10.0 ** rng.uniform(-18, 18, size)).astype(np.float32)
    else:
        values = np.log1p(rng.lognormal(-0.5, 1.0, size)).astype(np.float32)
    return sp.csr_matrix((values, indices.astype(np.int32), indptr), shape=(rows, dim))


def small_index() -> corten.SparseIndex:
    """Names, several segments, deleted documents: everything that a file can hold, in few bytes."""
    documents = random_rows(np.random.default_rng(1), 101, 40, "few values", mean=8)
    names = [f"document {number}" for number in range(100)]
    index = corten.SparseIndex.build(documents[:60], ids=names[:60])
    index.add(documents[60:100], ids=names[60:])
    index.delete(names[20:30])
    index.add(documents[100:], ids=["new"])
    return index


def scores_of(documents: sp.csr_matrix, query: sp.csr_matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For one query `[1, dim]`: float64 scores, how much they may be off, and which documents share a term."""
    exact, weights = documents.astype(np.float64), query.astype(np.float64)
    pattern = (documents != 0).astype(np.float64)
    scores = np.asarray((exact @ weights.T).todense()).ravel()
    sizes = np.asarray((abs(exact) @ abs(weights).T).todense()).ravel()
    shared = np.asarray((pattern @ abs(weights).T).todense()).ravel()
    matches = np.asarray((pattern @ (query != 0).astype(np.float64).T).todense()).ravel() > 0
    largest = np.asarray(exact.max(axis=1).todense()).ravel()
    return scores, RELATIVE * sizes + STORED * largest * shared + 1e-44, matches


def check_hits(
    found: tuple[np.ndarray, np.ndarray],
    documents: sp.csr_matrix,
    ids: Sequence[Any],
    query: sp.csr_matrix,
    k: int,
    allowed: np.ndarray | None = None,
    tolerance: float | None = None,
) -> None:
    """One query's exact hits against the comparison with every document: the same ids except for ties, the same scores.

    `tolerance` is absolute; without it a score may be off by what rounding at any size of weights may come to.
    """
    found_ids, found_scores = found
    scores, near, eligible = scores_of(documents, query)
    if allowed is not None:
        eligible = eligible & allowed
    if tolerance is not None:
        near = np.full(len(scores), tolerance)
    place = {id_: number for number, id_ in enumerate(ids)}
    rows = np.array([place[id_] for id_ in found_ids.tolist()], dtype=np.int64)

    assert found_scores.dtype == np.float32
    assert len(found_ids) == len(found_scores) == min(k, eligible.sum())
    assert len(set(rows.tolist())) == len(rows), "a document is found twice"
    assert eligible[rows].all(), "a document is found that shares no term with the query, or is filtered out"
    differences = np.abs(scores[rows] - found_scores.astype(np.float64))
    assert (differences <= near[rows]).all(), f"a score is off by {differences.max():.3g}"
    for first, second in zip(range(len(rows)), range(1, len(rows)), strict=False):
        assert found_scores[first] >= found_scores[second]
        if found_scores[first] == found_scores[second]:
            assert found_ids[first] < found_ids[second], "ties are in the order of ids"
    if len(rows):
        missed = eligible.copy()
        missed[rows] = False
        worst = float(found_scores[-1])
        assert (scores[missed] <= worst + near[missed] + near[rows[-1]]).all(), "a better document is missed"


def check_queries(
    index: corten.SparseIndex, documents: sp.csr_matrix, ids: Sequence[Any], queries: sp.csr_matrix, k: int
) -> None:
    """Each query of a batch as in `check_hits`, and alone as in the batch."""
    all_ids, all_scores = index.search(queries, k=k)
    assert all_ids.shape == all_scores.shape == (queries.shape[0], min(k, documents.shape[0]))
    for number in range(queries.shape[0]):
        real = all_scores[number] > -np.inf
        assert (all_ids[number][~real] == (None if all_ids.dtype == object else -1)).all()
        hits = all_ids[number][real], all_scores[number][real]
        check_hits(hits, documents, ids, queries[number], k)
        alone = index.search(queries[number], k=k)
        assert alone[0].tolist() == hits[0].tolist()
        assert alone[1].tobytes() == hits[1].tobytes()
