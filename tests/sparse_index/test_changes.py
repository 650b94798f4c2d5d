"""Adding, replacing, deleting and compacting, one by one and in long random sequences against a plain dict."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import corten
from sparse_reference import check_hits, random_rows

FORMS_OF_IDS: list[tuple[Any, list[Any]]] = [
    ([5, 6], [5, 6]),
    ((5, 6), [5, 6]),
    (iter([5, 6]), [5, 6]),
    (range(5, 7), [5, 6]),
    (np.array([5, 6], np.int32), [5, 6]),
    (np.array([5, 6], np.uint64), [5, 6]),
    (np.array([5, 0, 6, 0])[::2], [5, 6]),
    (pd.Series([5, 6]), [5, 6]),
    (pd.Index([5, 6]), [5, 6]),
    (["a", "ä"], ["a", "ä"]),
    (np.array(["a", "ä"]), ["a", "ä"]),
    (np.array(["a", "ä"], object), ["a", "ä"]),
    (pd.Series(["a", "ä"]), ["a", "ä"]),
    (["", "\0"], ["", "\0"]),
    ([-(2**63), 2**63 - 1], [-(2**63), 2**63 - 1]),
]


@pytest.mark.parametrize(("ids", "expected"), FORMS_OF_IDS, ids=[repr(ids)[:40] for ids, _ in FORMS_OF_IDS])
def test_forms_of_ids(ids: Any, expected: list[Any]) -> None:
    index = corten.SparseIndex.build([{1: 2.0}, {1: 1.0}], ids=ids)
    assert index.ids().tolist() == expected
    assert index.search({1: 1.0})[0].tolist() == expected
    assert index.delete(expected[0]) == 1
    assert index.delete(np.array(expected[1:], object)) == 1
    assert len(index) == 0


REFUSED_IDS: list[tuple[Any, type[Exception], str]] = [
    ([1], ValueError, "ids: expected 2 ids, one for each row, found 1"),
    ([], ValueError, "ids: expected 2 ids, one for each row, found 0"),
    ([1, 2, 3], ValueError, "ids: expected 2 ids, one for each row, found 3"),
    ("ab", TypeError, "ids: expected an iterable of int or str, got str"),
    ({1: 1, 2: 2}, TypeError, "ids: expected an iterable of int or str, got dict"),
    (7, TypeError, "ids: expected an iterable of int or str, got int"),
    ([1, "b"], TypeError, "ids[1]: expected int as before it, got str"),
    (["a", 2], TypeError, "ids[1]: expected str as before it, got int"),
    ([1, 2.0], TypeError, "ids[1]: expected int or str, got float"),
    ([1, True], TypeError, "ids[1]: expected int or str, got bool"),
    ([1, None], TypeError, "ids[1]: expected int or str, got NoneType"),
    ([b"a", b"b"], TypeError, "ids[0]: expected int or str, got bytes"),
    ([1, 2**63], ValueError, f"ids[1]: expected an integer of at most 64 bits, found {2**63}"),
    (np.array([1, 2**63], np.uint64), ValueError, f"ids[1]: expected an integer below 2**63, found {2**63}"),
    (np.array([[1], [2]]), ValueError, "ids: expected an array of 1 dimension, found 2"),
    (["a", "\ud800"], ValueError, "ids[1]: not valid Unicode (lone surrogate at character 0)"),
    ([1, 1], ValueError, "ids: 1 is there twice"),
    (["a", "a"], ValueError, 'ids: "a" is there twice'),
]


@pytest.mark.parametrize(("ids", "error", "message"), REFUSED_IDS, ids=[message for _, _, message in REFUSED_IDS])
def test_ids_that_are_refused(ids: Any, error: type[Exception], message: str) -> None:
    rows = [{1: 2.0}, {1: 1.0}]
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        corten.SparseIndex.build(rows, ids=ids)
    index = corten.SparseIndex(10)
    for upsert in (False, True):
        with pytest.raises(error, match=f"^{re.escape(message)}$"):
            index.add(rows, ids=ids, upsert=upsert)
    assert len(index) == 0
    assert index.stats()["non_zeros"] == 0


def test_ids_without_names_go_on_counting() -> None:
    index = corten.SparseIndex(10)
    index.add([{1: 1.0}, {1: 2.0}])
    index.add({1: 3.0})
    index.delete([1, 2])
    index.compact()
    index.add([{1: 4.0}])
    assert index.ids().tolist() == [0, 3]


def test_kinds_of_ids_are_not_mixed() -> None:
    names = corten.SparseIndex.build([{1: 1.0}], ids=["a"])
    for ids in ([1], None):
        with pytest.raises(ValueError, match=r"^ids: expected strings as in the index, found numbers$"):
            names.add([{1: 1.0}], ids=ids)
    with pytest.raises(ValueError, match=r"^ids: expected strings as in the index, found numbers$"):
        names.delete(1)
    numbers = corten.SparseIndex.build([{1: 1.0}])
    with pytest.raises(ValueError, match=r"^ids: expected numbers as in the index, found strings$"):
        numbers.add([{1: 1.0}], ids=["a"])


def test_an_id_that_is_there_already() -> None:
    index = corten.SparseIndex.build([{1: 1.0}, {1: 2.0}], ids=["a", "b"], dim=10)
    message = 'ids: "b" is in the index already (hint: upsert replaces a document)'
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        index.add([{2: 9.0}, {2: 9.0}], ids=["c", "b"])
    assert index.ids().tolist() == ["a", "b"]
    assert index.search({2: 1.0})[0].tolist() == []
    index.add([{2: 9.0}, {2: 8.0}], ids=["c", "b"], upsert=True)
    assert index.ids().tolist() == ["a", "c", "b"]
    assert index.get("b") == {2: 8.0}
    assert index.search({1: 1.0})[0].tolist() == ["a"]


def test_delete() -> None:
    index = corten.SparseIndex.build([{1: 1.0}] * 4, ids=[1, 2, 3, 4])
    with pytest.raises(KeyError, match=r"^9$"):
        index.delete([1, 9])
    assert index.ids().tolist() == [1, 2, 3, 4]
    assert index.delete([]) == 0
    assert index.delete(np.array([2, 4])) == 2
    assert index.search({1: 1.0})[0].tolist() == [1, 3]
    assert 2 not in index
    assert index.get(2) is None
    with pytest.raises(KeyError, match=r"^2$"):
        index.delete(2)
    index.add([{1: 3.0}], ids=[2])
    assert index.search({1: 1.0})[0].tolist() == [2, 1, 3]
    for ids in (1.5, True, None, {1: 1}):
        with pytest.raises(TypeError, match=r"^ids: expected "):
            index.delete(ids)


@pytest.mark.parametrize("kind", ["learned", "few values", "huge and tiny"])
@pytest.mark.parametrize("strings", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_a_long_sequence_of_changes(kind: str, strings: bool, seed: int, tmp_path: Path) -> None:
    """After every few changes the index is what a dict with the same changes says, searched in float64."""
    rng = np.random.default_rng([seed, strings, len(kind)])
    dim = int(rng.integers(3, 60))
    name = "doc {:03}".format if strings else int
    index = corten.SparseIndex(dim)
    model: dict[Any, sp.csr_matrix] = {}
    for step in range(40):
        change = rng.choice(["add", "add", "upsert", "delete", "delete", "compact", "save"])
        numbers = rng.choice(500, int(rng.integers(1, 40)), replace=False).tolist()
        ids = [name(number) for number in numbers]
        if change in {"add", "upsert"}:
            if change == "add":
                ids = [id_ for id_ in ids if id_ not in model]
            rows = random_rows(rng, len(ids), dim, kind)
            index.add(rows, ids=ids, upsert=change == "upsert")
            for id_, row in zip(ids, rows, strict=True):
                model.pop(id_, None)
                model[id_] = row
        elif change == "delete":
            ids = [id_ for id_ in ids if id_ in model]
            assert index.delete(ids) == len(ids)
            for id_ in ids:
                del model[id_]
        elif change == "compact":
            index.compact()
        else:
            index.save(tmp_path / "index")
            index = corten.SparseIndex.open(tmp_path / "index", mmap=bool(rng.random() < 0.7), verify=True)
        if step % 3 == 0 or change in {"compact", "save"}:
            same_as_model(index, model, dim, kind, rng)


def same_as_model(
    index: corten.SparseIndex, model: dict[Any, sp.csr_matrix], dim: int, kind: str, rng: np.random.Generator
) -> None:
    ids = list(model)
    documents = sp.vstack([sp.csr_matrix((0, dim), dtype=np.float32), *model.values()], format="csr")
    assert len(index) == len(model)
    assert index.ids().tolist() == ids
    queries = random_rows(rng, 3, dim, kind, empty=0)
    queries.data *= rng.choice([1, 1, 1, -1], len(queries.data))
    allowed = rng.random(len(ids)) < rng.choice([0.1, 0.5, 0.9])
    k = int(rng.integers(1, 30))
    for query in queries:
        check_hits(index.search(query, k=k), documents, ids, query, k)
        check_hits(index.search(query, k=k, filter=allowed), documents, ids, query, k, allowed)
        chosen = [id_ for id_, keep in zip(ids, allowed, strict=True) if keep]
        check_hits(index.search(query, k=k, filter=chosen), documents, ids, query, k, allowed)
    for id_ in ids[:2]:
        assert id_ in index
        expected = model[id_]
        document = index.get(id_)
        assert document is not None
        assert sorted(document) == sorted(expected.indices.tolist())
