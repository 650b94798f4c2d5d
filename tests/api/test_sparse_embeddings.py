"""SparseEmbeddings: rows, slices, conversions, and similarity against dense arithmetic."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import corten
from corten import SparseEmbeddings
from corten.similarity import SIMILARITY_NAMES, similarity, similarity_pairwise
from corten.sparse_embeddings import as_sparse

ROWS = SparseEmbeddings([0, 2, 2, 5], [1, 4, 0, 2, 4], [0.5, 2.0, 1.0, 3.0, 0.25], (3, 6))
DENSE = np.array([[0, 0.5, 0, 0, 2, 0], [0] * 6, [1, 0, 3, 0, 0.25, 0]], dtype=np.float32)
DICTS: list[dict[int, float]] = [{1: 0.5, 4: 2.0}, {}, {0: 1.0, 2: 3.0, 4: 0.25}]


def random_rows(rows: int, terms: int, seed: int, share: float = 0.2) -> np.ndarray:
    random = np.random.default_rng(seed)
    dense = random.normal(1, 1, (rows, terms)).astype(np.float32)
    dense[random.random(dense.shape) > share] = 0
    dense[:: max(1, rows // 3)] = 0  # some rows are empty
    return dense


def test_arrays_and_their_types() -> None:
    assert (ROWS.indptr.dtype, ROWS.indices.dtype, ROWS.values.dtype) == (np.int64, np.int32, np.float32)
    assert ROWS.shape == (3, 6)
    assert len(ROWS) == 3
    assert repr(ROWS) == "SparseEmbeddings(shape=(3, 6), active_dims=1.7, dtype=float32)"
    assert repr(ROWS[:0]) == "SparseEmbeddings(shape=(0, 6), active_dims=0.0, dtype=float32)"


def test_rows_are_dicts() -> None:
    assert list(ROWS) == DICTS
    assert [ROWS[i] for i in range(3)] == DICTS
    assert ROWS[-1] == DICTS[-1]
    assert ROWS[np.int64(2)] == DICTS[2]
    assert all(type(key) is int and type(value) is float for key, value in ROWS[0].items())
    for wrong in (3, -4):
        with pytest.raises(IndexError):
            ROWS[wrong]


@pytest.mark.parametrize(
    "key",
    [
        slice(None),
        slice(1, None),
        slice(0, 2),
        slice(2, 1),
        slice(5, 9),
        slice(None, None, -1),
        slice(0, 3, 2),
        [2, 0, 2],
        [],
        np.array([1, 2]),
        np.array([True, False, True]),
        [False, True, True],
    ],
    ids=str,
)
def test_several_rows(key: Any) -> None:
    part = ROWS[key if not isinstance(key, list) or key else np.array([], dtype=int)]
    assert isinstance(part, SparseEmbeddings)
    expected = DENSE[key if not isinstance(key, list) or key else np.array([], dtype=int)]
    assert np.array_equal(part.to_dense(), expected)
    assert part.shape == expected.shape


@pytest.mark.parametrize("key", [(0, 1), "0", 1.0, None, np.zeros((2, 2), dtype=int)], ids=str)
def test_keys_that_are_none(key: Any) -> None:
    with pytest.raises(IndexError):
        ROWS[key]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1], [0], [1.0, 2.0], (1, 3)), "values: expected one for each of the indices"),
        (([0, 1], [[0]], [[1.0]], (1, 3)), "values: expected one for each of the indices"),
        (([0, 1], [0], [1.0], (2, 3)), "indptr: expected 3 numbers that rise from 0 to 1"),
        (([1, 1], [0], [1.0], (1, 3)), "indptr: expected 2 numbers that rise from 0 to 1"),
        (([0, 2, 1], [0], [1.0], (2, 3)), "indptr: expected 3 numbers that rise from 0 to 1"),
        (([0, 1], [3], [1.0], (1, 3)), "indices: expected terms from 0 to below 3"),
        (([0, 1], [-1], [1.0], (1, 3)), "indices: expected terms from 0 to below 3"),
        (([0, 2], [1, 1], [1.0, 2.0], (1, 3)), "indices: expected them to rise within each row"),
        (([0, 2, 2, 4], [0, 2, 2, 1], [1.0] * 4, (3, 3)), "indices: expected them to rise within each row"),
    ],
)
def test_arrays_that_are_no_rows(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        SparseEmbeddings(*arguments)


def test_rows_may_begin_anywhere() -> None:
    rows = SparseEmbeddings([0, 0, 2, 2, 3, 3], [1, 2, 0], [1, 2, 3], (5, 3))
    assert list(rows) == [{}, {1: 1.0, 2: 2.0}, {}, {0: 3.0}, {}]


def test_dense_there_and_back() -> None:
    assert np.array_equal(ROWS.to_dense(), DENSE)
    assert SparseEmbeddings.from_dense(DENSE) == ROWS
    assert SparseEmbeddings.from_dense(DENSE[0]) == ROWS[:1]
    with pytest.raises(ValueError, match="one or two dimensions"):
        SparseEmbeddings.from_dense(np.zeros((1, 2, 3)))


def test_scipy_there_and_back() -> None:
    scipy = pytest.importorskip("scipy.sparse", reason="NOT RUN: scipy is not installed")
    matrix = ROWS.to_scipy()
    assert isinstance(matrix, scipy.csr_array)
    assert np.array_equal(matrix.toarray(), DENSE)
    assert as_sparse(scipy.coo_matrix(DENSE)) == ROWS


def test_torch_there_and_back() -> None:
    torch = pytest.importorskip("torch", reason="NOT RUN: torch is not installed")
    tensor = ROWS.to_torch()
    assert tensor.is_sparse
    assert tensor.is_coalesced()
    assert torch.equal(tensor.to_dense(), torch.from_numpy(DENSE))
    tensor.mul_(2)
    assert np.array_equal(ROWS.to_dense(), DENSE), "the tensor has its own values"
    assert as_sparse(torch.from_numpy(DENSE).to_sparse()) == ROWS
    assert as_sparse(torch.from_numpy(DENSE[0]).to_sparse()) == ROWS[:1]


@pytest.mark.parametrize(("module", "method"), [("scipy.sparse", "to_scipy"), ("torch", "to_torch")])
def test_without_scipy_or_torch(monkeypatch: pytest.MonkeyPatch, module: str, method: str) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(ImportError, match=rf"^{method}: \w+ is not installed \(hint: to_dense needs only numpy\)"):
        getattr(ROWS, method)()


def test_equality_and_pickling() -> None:
    assert SparseEmbeddings(ROWS.indptr, ROWS.indices, ROWS.values.copy(), (3, 6)) == ROWS
    assert SparseEmbeddings(ROWS.indptr, ROWS.indices, ROWS.values * 2, (3, 6)) != ROWS
    assert SparseEmbeddings(ROWS.indptr, ROWS.indices, ROWS.values, (3, 7)) != ROWS
    assert ROWS != DICTS
    with pytest.raises(TypeError):
        hash(ROWS)
    cosine = SparseEmbeddings(ROWS.indptr, ROWS.indices, ROWS.values, (3, 6), similarity_fn_name="cosine")
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(cosine, protocol))
        assert copy == cosine
        assert np.array_equal(copy.similarity(copy), cosine.similarity(cosine))


def test_decode() -> None:
    rows = SparseEmbeddings(ROWS.indptr, ROWS.indices, [2.0, 0.5, 1.0, 3.0, 1.0], (3, 6), vocabulary="abcdef")
    assert rows.decode() == [[("b", 2.0), ("e", 0.5)], [], [("c", 3.0), ("a", 1.0), ("e", 1.0)]]
    assert rows.decode(top_k=2) == [[("b", 2.0), ("e", 0.5)], [], [("c", 3.0), ("a", 1.0)]]
    assert rows[2:].decode(1) == [[("c", 3.0)]]
    for top_k in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="top_k: expected an integer of at least 1, found"):
            rows.decode(top_k)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"do not know their vocabulary \(hint: use decode of the Encoder\)"):
        pickle.loads(pickle.dumps(rows)).decode()


def test_sparsity() -> None:
    assert ROWS.sparsity() == {"active_dims": 5 / 3, "sparsity_ratio": 1 - 5 / 18}
    assert ROWS[:0].sparsity() == {"active_dims": 0.0, "sparsity_ratio": 1.0}
    assert corten.Encoder.sparsity(DENSE) == ROWS.sparsity()
    assert corten.Encoder.sparsity(DENSE[0]) == {"active_dims": 2.0, "sparsity_ratio": 1 - 2 / 6}


def test_intersection() -> None:
    shared = ROWS[:1].intersection(ROWS)
    assert np.array_equal(shared.to_dense(), np.maximum(DENSE[0] * DENSE, 0))
    assert shared.shape == (3, 6)
    negative = SparseEmbeddings([0, 2], [1, 4], [-1.0, 1.0], (1, 6))
    assert list(ROWS[:1].intersection(negative)) == [{4: 2.0}]
    assert corten.Encoder.intersection(DENSE[0], DENSE) == shared
    with pytest.raises(ValueError, match="expected one row to intersect with others, found 3"):
        ROWS.intersection(ROWS)
    with pytest.raises(ValueError, match=r"equally many terms, found \(1, 6\) and \(1, 7\)"):
        ROWS[:1].intersection(SparseEmbeddings([0, 0], [], [], (1, 7)))


@pytest.mark.parametrize("name", SIMILARITY_NAMES)
@pytest.mark.parametrize(("rows", "others", "terms"), [(5, 7, 30), (40, 1, 900), (1, 200, 50), (300, 300, 400)])
def test_similarity_is_that_of_the_dense_rows(name: Any, rows: int, others: int, terms: int) -> None:
    a, b = random_rows(rows, terms, 1), random_rows(others, terms, 2)
    sparse = SparseEmbeddings.from_dense(a, similarity_fn_name=name)
    scores = sparse.similarity(SparseEmbeddings.from_dense(b))
    assert scores.dtype == np.float32
    # Sums of up to 180 products of about 1, here in float64: what is left is the rounding to float32.
    assert np.abs(scores - similarity(name, a.astype(np.float64), b.astype(np.float64))).max() <= 2e-5
    c = random_rows(rows, terms, 3)
    pairs = sparse.similarity_pairwise(SparseEmbeddings.from_dense(c))
    assert pairs.dtype == np.float32
    assert np.abs(pairs - similarity_pairwise(name, a.astype(np.float64), c.astype(np.float64))).max() <= 2e-5


def test_similarity_of_a_row_does_not_depend_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from corten import sparse_similarity

    a, b = (SparseEmbeddings.from_dense(random_rows(50, 200, seed)) for seed in (4, 5))
    together = a.similarity(b)
    for row in range(50):
        assert np.array_equal(a[row : row + 1].similarity(b)[0], together[row])
    monkeypatch.setattr(sparse_similarity, "_BLOCK", 300)
    assert np.array_equal(a.similarity(b), together), "however the rows are split into blocks"


def test_similarity_of_nothing_and_of_other_widths() -> None:
    nothing = SparseEmbeddings([0], [], [], (0, 6))
    assert nothing.similarity(ROWS).shape == (0, 3)
    assert ROWS.similarity(nothing).shape == (3, 0)
    assert ROWS.similarity(ROWS[1:2]).tolist() == [[0.0], [0.0], [0.0]]
    other = SparseEmbeddings([0, 0], [], [], (1, 7))
    with pytest.raises(ValueError, match=r"equally many terms, found \(3, 6\) and \(1, 7\)"):
        ROWS.similarity(other)
    with pytest.raises(ValueError, match=r"one shape, found \(3, 6\) and \(1, 6\)"):
        ROWS.similarity_pairwise(ROWS[:1])
