"""Every form that vectors may have, and the exact words for those they may not."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import corten
from sparse_reference import random_rows

DIM = 50
DOCUMENTS = random_rows(np.random.default_rng(1), 40, DIM, "learned")
QUERIES = random_rows(np.random.default_rng(2), 3, DIM, "learned", empty=0)


class Tensor:
    """The methods of a torch sparse tensor that are used; torch itself is too large to test with.

    `values()` of a 16-bit tensor has no numpy array before `float()`.
    """

    def __init__(self, array: Any, layout: str = "", shape: tuple[int, ...] = (), parts: tuple[Any, ...] = ()) -> None:
        self.array, self.layout, self.shape, self.parts = array, layout, shape, parts
        self.graph, self.coalesced = bool(layout), False

    def detach(self) -> Tensor:
        self.graph = False
        return self

    def cpu(self) -> Tensor:
        assert not self.graph, "torch refuses numpy() on what still needs its gradient"
        return self

    def coalesce(self) -> Tensor:
        self.coalesced = True
        return self

    def indices(self) -> Tensor:
        assert self.coalesced, "torch refuses this before coalesce()"
        return Tensor(self.parts[0])

    def values(self) -> Tensor:
        return Tensor(self.parts[-1])

    def crow_indices(self) -> Tensor:
        return Tensor(self.parts[0])

    def col_indices(self) -> Tensor:
        return Tensor(self.parts[1])

    def float(self) -> Tensor:
        return Tensor(self.array.astype(np.float32))

    def numpy(self) -> Any:
        return self.array


def torch_coo(rows: sp.csr_matrix) -> Tensor:
    coo = rows.tocoo()
    coordinates = np.stack([coo.row, coo.col]).astype(np.int64)
    return Tensor(None, "torch.sparse_coo", rows.shape, (coordinates, coo.data))


def torch_csr(rows: sp.csr_matrix) -> Tensor:
    parts = (rows.indptr.astype(np.int64), rows.indices.astype(np.int64), rows.data)
    return Tensor(None, "torch.sparse_csr", rows.shape, parts)


def embeddings(rows: sp.csr_matrix) -> SimpleNamespace:
    """Like SparseEmbeddings."""
    indptr, indices = rows.indptr.astype(np.int64), rows.indices.astype(np.int32)
    return SimpleNamespace(indptr=indptr, indices=indices, values=rows.data, shape=rows.shape)


def dicts(rows: sp.csr_matrix) -> list[dict[int, float]]:
    return [dict(zip(row.indices.tolist(), row.data.tolist(), strict=True)) for row in rows]


def shuffled(rows: sp.csr_matrix) -> sp.csr_matrix:
    """The same rows with their terms in another order."""
    rows = rows.copy()
    for start, end in zip(rows.indptr, rows.indptr[1:], strict=False):
        order = np.random.default_rng(start).permutation(end - start)
        rows.indices[start:end], rows.data[start:end] = rows.indices[start:end][order], rows.data[start:end][order]
    rows.has_sorted_indices = False
    return rows


FORMS: dict[str, Callable[[sp.csr_matrix], Any]] = {
    "csr_matrix": lambda rows: rows,
    "csr_array": sp.csr_array,
    "csc": lambda rows: rows.tocsc(),
    "coo": lambda rows: rows.tocoo(),
    "lil": lambda rows: rows.tolil(),
    "dok": lambda rows: rows.todok(),
    "bsr": lambda rows: rows.tobsr(),
    "int64 indices": lambda rows: (rows.indptr.astype(np.int64), rows.indices.astype(np.int64), rows.data),
    "unsigned": lambda rows: (rows.indptr.astype(np.uint64), rows.indices.astype(np.uint32), rows.data),
    "small integers": lambda rows: (rows.indptr.astype(np.uint16), rows.indices.astype(np.int8), rows.data),
    "float64": lambda rows: rows.astype(np.float64),
    "big-endian": lambda rows: (rows.indptr.astype(">i4"), rows.indices.astype(">i4"), rows.data.astype(">f4")),
    "lists": lambda rows: (rows.indptr.tolist(), rows.indices.tolist(), rows.data.tolist()),
    "every second value": lambda rows: (rows.indptr, np.repeat(rows.indices, 2)[::2], np.repeat(rows.data, 2)[::2]),
    "read-only": lambda rows: tuple(map(read_only, (rows.indptr, rows.indices, rows.data))),
    "unsorted": shuffled,
    "embeddings": embeddings,
    "torch coo": torch_coo,
    "torch csr": torch_csr,
    "dicts": dicts,
    "iterator of dicts": lambda rows: iter(dicts(rows)),
    "mappings": lambda rows: [MappingProxyType(OrderedDict(reversed(row.items()))) for row in dicts(rows)],
    "numpy scalars": lambda rows: [{np.int16(t): np.float32(w) for t, w in row.items()} for row in dicts(rows)],
}


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.fixture(scope="module")
def expected() -> tuple[np.ndarray, np.ndarray]:
    return corten.SparseIndex.build(DOCUMENTS).search(QUERIES, k=5)


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_documents_and_queries(form: str, expected: tuple[np.ndarray, np.ndarray]) -> None:
    index = corten.SparseIndex.build(FORMS[form](DOCUMENTS), dim=DIM)
    added = corten.SparseIndex(DIM)
    added.add(FORMS[form](DOCUMENTS))
    for one in (index, added):
        ids, scores = one.search(FORMS[form](QUERIES), k=5)
        assert np.array_equal(ids, expected[0])
        assert scores.tobytes() == expected[1].tobytes()


ONE: dict[str, Callable[[sp.csr_matrix], Any]] = {
    "dict": lambda row: dicts(row)[0],
    "matrix of one row": lambda row: row,
    "vector": lambda row: sp.coo_array(sp.csr_array(row)).reshape(row.shape[1]),
    "embeddings": embeddings,
    "triple": lambda row: (row.indptr, row.indices, row.data),
    "torch coo": torch_coo,
    "torch vector": lambda row: Tensor(
        None, "torch.sparse_coo", row.shape[1:], (row.indices[np.newaxis].astype(np.int64), row.data)
    ),
}


@pytest.mark.parametrize("form", ONE)
def test_one_query_gives_vectors(form: str, expected: tuple[np.ndarray, np.ndarray]) -> None:
    index = corten.SparseIndex.build(DOCUMENTS)
    ids, scores = index.search(ONE[form](QUERIES[1]), k=5)
    assert ids.shape == scores.shape == (5,)
    assert np.array_equal(ids, expected[0][1])
    one = corten.SparseIndex.build(ONE[form](QUERIES[1]), dim=DIM)
    assert len(one) == 1
    assert one.get(0) == pytest.approx(dicts(QUERIES[1])[0], abs=2e-7)  # stored in 24 bits of the largest


def test_a_list_of_one_is_several() -> None:
    ids, scores = corten.SparseIndex.build(DOCUMENTS).search(dicts(QUERIES[0]), k=5)
    assert ids.shape == scores.shape == (1, 5)


def test_no_rows() -> None:
    index = corten.SparseIndex.build(DOCUMENTS)
    for nothing in ([], DOCUMENTS[:0], ([0], [], [])):
        ids, scores = index.search(nothing, k=5)
        assert ids.shape == scores.shape == (0, 5)
        index.add(nothing)
    assert len(index) == 40
    assert len(corten.SparseIndex.build([], dim=DIM)) == 0


def test_the_dimension_without_a_matrix_is_what_is_needed() -> None:
    assert corten.SparseIndex.build([{3: 1.0}, {11: 1.0}]).dim == 12
    assert corten.SparseIndex.build(DOCUMENTS).dim == DIM
    assert corten.SparseIndex().dim == 30522


def test_zeros_are_not_stored() -> None:
    index = corten.SparseIndex.build([{1: 0.0, 2: 1.0}, {1: -0.0}], dim=DIM)
    assert index.get(0) == {2: 1.0}
    assert index.get(1) == {}
    assert index.search({1: 1.0})[0].tolist() == []


def words(words: str) -> str:
    return f"^{re.escape(words)}$"


def csr(indptr: Any, indices: Any, values: Any) -> tuple[np.ndarray, ...]:
    return np.array(indptr), np.array(indices), np.array(values)


TAKEN = (
    "expected SparseEmbeddings, a scipy sparse matrix, a torch sparse tensor, a tuple (indptr, indices, values), or a "
    "dict {term id: weight} or a list of them, got"
)
DENSE = "(hint: scipy.sparse.csr_array(array) makes a dense array sparse)"
TEXT = "(hint: an Encoder with a SPLADE model makes vectors of texts)"
LAYOUT = "of another layout (hint: tensor.to_sparse() makes a dense tensor sparse)"
NEGATIVE = (
    "(hint: the search skips documents by upper bounds, which a negative weight breaks; in queries it is allowed)"
)
REFUSED: list[tuple[Any, type[Exception], str]] = [
    (None, TypeError, f"vectors: {TAKEN} NoneType"),
    (7, TypeError, f"vectors: {TAKEN} int"),
    (np.zeros((2, DIM)), TypeError, f"vectors: {TAKEN} ndarray {DENSE}"),
    ("text", TypeError, f"vectors: {TAKEN} str {TEXT}"),
    (Tensor(None, "torch.strided", (2, DIM)), TypeError, f"vectors: {TAKEN} Tensor {LAYOUT}"),
    (["text"], TypeError, "vectors[0]: expected a dict {term id: weight}, got str"),
    ([{1: 1.0}, [2]], TypeError, "vectors[1]: expected a dict {term id: weight}, got list"),
    ([{"heart": 1.0}], TypeError, "vectors: row 0: expected integers as term ids, got str"),
    ([{1: 1.0}, {4: None}], TypeError, "vectors: row 1: term 4: expected a number, got NoneType"),
    ([{}, {2**31: 1.0}], ValueError, "vectors: row 1: expected a term id from 0 to 2147483647, found 2147483648"),
    ([{}, {-1: 1.0}], ValueError, "vectors: row 1: expected term ids from 0 to 49, found -1"),
    ([{}, {DIM: 1.0}], ValueError, "vectors: row 1: expected term ids from 0 to 49, found 50"),
    ([{}, {1: float("nan")}], ValueError, "vectors: row 1: term 1: expected a finite weight, found NaN"),
    ([{}, {1: float("-inf")}], ValueError, "vectors: row 1: term 1: expected a finite weight, found -inf"),
    ([{}, {1: 1e39}], ValueError, "vectors: row 1: term 1: expected a finite weight, found inf"),
    (
        [{}, {1: -2.0}],
        ValueError,
        f"vectors: row 1: term 1: expected a document weight of at least 0, found -2 {NEGATIVE}",
    ),
    (
        csr([0, 1, 3], [1, 2, 2], [1.0, 1.0, 1.0]),
        ValueError,
        "vectors: row 1: expected each term once, found term 2 twice",
    ),
    (
        csr([0, 1, 3], [1, 2, 2**40], [1.0, 1.0, 1.0]),
        ValueError,
        f"vectors: row 1: expected a term id from 0 to 2147483647, found {2**40}",
    ),
    (csr([0, 1], [1, 2], [1.0]), ValueError, "vectors: expected as many values as indices (2), found 1"),
    (csr([0, 3], [1, 2], [1.0, 1.0]), ValueError, "vectors: expected indptr to end at 2, found 3"),
    (csr([1, 2], [1, 2], [1.0, 1.0]), ValueError, "vectors: expected indptr to start at 0, found 1"),
    (csr([0, 2, 1, 2], [1, 2], [1.0, 1.0]), ValueError, "vectors: row 1: expected indptr to ascend, found 1 after 2"),
    (csr([0, -1, 2], [1, 2], [1.0, 1.0]), ValueError, "vectors: row 0: expected indptr to ascend, found -1 after 0"),
    (csr([], [], []), ValueError, "vectors: expected at least one entry in indptr, found none"),
    (csr([0.0, 1.0], [1], [1.0]), TypeError, "vectors: indptr: expected integers, found float64"),
    (csr([0, 1], [1.0], [1.0]), TypeError, "vectors: indices: expected integers, found float64"),
    (csr([0, 1], [1], [1j]), TypeError, "vectors: values: expected real numbers, found complex128"),
    (csr([0, 1], [1], ["1"]), TypeError, "vectors: values: expected real numbers, found <U1"),
    (csr([0, 1], [[1]], [1.0]), ValueError, "vectors: indices: expected an array of 1 dimension, found 2"),
    (csr([0, 1], [True], [1.0]), TypeError, "vectors: indices: expected integers, found bool"),
    (
        csr(np.array([0, 2**63], np.uint64), [1], [1.0]),
        ValueError,
        f"vectors: indptr[1]: expected an integer below 2**63, found {2**63}",
    ),
    (
        random_rows(np.random.default_rng(0), 2, DIM + 1, "learned"),
        ValueError,
        "vectors: expected 50 columns, found 51",
    ),
    (
        random_rows(np.random.default_rng(0), 2, DIM - 1, "learned"),
        ValueError,
        "vectors: expected 50 columns, found 49",
    ),
    (
        SimpleNamespace(indptr=[0, 1], indices=[1], values=[1.0], shape=(2, DIM)),
        ValueError,
        "vectors: indptr: expected 3 numbers for 2 rows, found 2",
    ),
    (
        SimpleNamespace(indptr=[0, 1], indices=[1], values=[1.0], shape=(1, DIM, 1)),
        ValueError,
        "vectors: expected a matrix or a vector, found 3 dimensions",
    ),
]


@pytest.mark.parametrize(("vectors", "error", "message"), REFUSED, ids=[message[:60] for _, _, message in REFUSED])
def test_what_is_refused(vectors: Any, error: type[Exception], message: str) -> None:
    """In documents, with an index left as it was; and in queries with the same words but for the argument's name."""
    index = corten.SparseIndex.build(DOCUMENTS)
    with pytest.raises(error, match=words(message)):
        index.add(vectors)
    with pytest.raises(error, match=words(message)):
        corten.SparseIndex.build(vectors, dim=DIM)
    assert len(index) == 40
    if "at least 0" not in message:
        with pytest.raises(error, match=words("queries" + message.removeprefix("vectors"))):
            index.search(vectors)


def test_a_query_may_be_negative() -> None:
    index = corten.SparseIndex.build([{1: 1.0, 2: 3.0}, {1: 2.0}, {2: 1.0}])
    ids, scores = index.search({1: 1.0, 2: -1.0})
    assert ids.tolist() == [1, 2, 0]
    assert scores.tolist() == [2.0, -1.0, -2.0]


@pytest.mark.parametrize("dim", [0, -1, 2.5, True, "50", None])
def test_a_dimension_that_is_none(dim: Any) -> None:
    with pytest.raises(ValueError, match=words(f"dim: expected an integer of at least 1, found {dim!r}")):
        corten.SparseIndex(dim)


@pytest.mark.parametrize("dim", [2**31 + 1, 2**32, 2**70])
def test_a_dimension_that_is_too_large(dim: int) -> None:
    with pytest.raises(ValueError, match=r"^dim: expected an integer from 1 to 2147483648, found \d+$"):
        corten.SparseIndex(dim)


def test_an_object_whose_methods_raise() -> None:
    class Broken:
        @property
        def tocsr(self) -> Any:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match=words("broken")):
        corten.SparseIndex.build(Broken())


def test_arrays_that_belong_to_the_caller_are_not_changed() -> None:
    rows = shuffled(DOCUMENTS)
    before = rows.indices.copy(), rows.data.copy()
    corten.SparseIndex.build(rows)
    assert np.array_equal(rows.indices, before[0])
    assert np.array_equal(rows.data, before[1])


def test_an_index_keeps_nothing_of_the_callers_arrays() -> None:
    rows = DOCUMENTS.copy()
    index = corten.SparseIndex.build(rows)
    before = index.search(QUERIES)
    rows.data[:] = 0
    rows.indices[:] = 0
    after = index.search(QUERIES)
    assert np.array_equal(before[0], after[0])
    assert np.array_equal(before[1], after[1])
