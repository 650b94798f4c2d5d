"""What a search answers: shapes, order, filters, arguments."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

import corten

ROWS = [{1: 1.0, 2: 3.0}, {1: 2.0}, {}, {2: 1.0, 3: 1.0}, {1: 2.0, 9: 4.0}]
NAMES = ["beta", "Zeta", "alpha", "äther", "alphabet"]


@pytest.fixture
def numbers() -> corten.SparseIndex:
    return corten.SparseIndex.build(ROWS, ids=[30, -7, 5, 2**60, 20], dim=10)


@pytest.fixture
def names() -> corten.SparseIndex:
    return corten.SparseIndex.build(ROWS, ids=NAMES, dim=10)


def test_one_query(numbers: corten.SparseIndex) -> None:
    ids, scores = numbers.search({1: 1.0, 2: 0.5})
    assert ids.dtype == np.int64
    assert scores.dtype == np.float32
    assert ids.tolist() == [30, -7, 20, 2**60]
    assert scores.tolist() == [2.5, 2.0, 2.0, 0.5]
    assert numbers.search({4: 1.0})[0].shape == (0,)
    assert numbers.search({})[1].shape == (0,)


def test_several_queries_are_filled_up(numbers: corten.SparseIndex, names: corten.SparseIndex) -> None:
    queries = [{9: 1.0, 3: 1.0}, {}, {1: 1.0}]
    ids, scores = numbers.search(queries, k=3)
    assert ids.tolist() == [[20, 2**60, -1], [-1, -1, -1], [-7, 20, 30]]
    assert scores.tolist() == [[4, 1, -np.inf], [-np.inf] * 3, [2, 2, 1]]
    ids, scores = names.search(queries, k=3)
    assert ids.dtype == object
    assert ids.tolist() == [["alphabet", "äther", None], [None, None, None], ["Zeta", "alphabet", "beta"]]


def test_more_hits_than_documents(numbers: corten.SparseIndex) -> None:
    """There are as many columns as documents, so that a large k costs nothing."""
    for k in (5, 6, 10**9, 2**63 - 1, 2**100, np.int64(7)):
        ids, scores = numbers.search([{1: 1.0}, {1: 1.0}], k=k)
        assert ids.shape == scores.shape == (2, 5)
        assert len(numbers.search({1: 1.0}, k=k)[0]) == 3


def test_an_empty_index() -> None:
    index = corten.SparseIndex(10)
    assert len(index) == 0
    assert [part.shape for part in index.search({1: 1.0})] == [(0,), (0,)]
    assert [part.shape for part in index.search([{1: 1.0}, {}])] == [(2, 0), (2, 0)]
    assert [part.shape for part in index.search({1: 1.0}, exact=False)] == [(0,), (0,)]
    assert index.ids().shape == (0,)
    assert 1 not in index


def test_ties_are_in_the_order_of_ids(names: corten.SparseIndex) -> None:
    """Code points for str: upper case before lower case, and "ä" after "z"."""
    index = corten.SparseIndex.build([{1: 1.0}] * 5, ids=NAMES)
    assert index.search({1: 1.0})[0].tolist() == ["Zeta", "alpha", "alphabet", "beta", "äther"]
    assert index.search({1: 1.0}, k=2)[0].tolist() == ["Zeta", "alpha"]
    index = corten.SparseIndex.build([{1: 1.0}] * 5, ids=[10, -3, 9, 100, 2])
    assert index.search({1: 1.0}, k=4)[0].tolist() == [-3, 2, 9, 10]


FILTERS: list[tuple[Any, list[int]]] = [
    ([30, 20], [20, 30]),
    ((30, 20), [20, 30]),
    ({30, 20}, [20, 30]),
    (iter([30, 20]), [20, 30]),
    (np.array([30, 20], np.int16), [20, 30]),
    (np.array([30, 20], np.uint64), [20, 30]),
    (pd.Series([30, 20]), [20, 30]),
    ([30, 20, 20, 77], [20, 30]),
    ([77], []),
    ([], []),
    (np.array([], np.int64), []),
    (np.array([True, False, True, True, True]), [20, 30]),
    (np.array([[True, False], [False, False], [True, False], [False, False], [True, False]])[:, 0], [20, 30]),
    ([True, False, True, True, True], [20, 30]),
    ([np.True_, np.False_, np.True_, np.True_, np.True_], [20, 30]),
    (pd.Series([True, False, True, True, True]), [20, 30]),
    (np.zeros(5, bool), []),
    (np.ones(5, bool), [-7, 20, 30]),
]


@pytest.mark.parametrize(("chosen", "expected"), FILTERS, ids=[repr(chosen)[:40] for chosen, _ in FILTERS])
def test_filter(numbers: corten.SparseIndex, chosen: Any, expected: list[int]) -> None:
    assert numbers.search({1: 1.0}, filter=chosen)[0].tolist() == expected


def test_a_filter_counts_for_every_query_and_for_the_approximate_search(names: corten.SparseIndex) -> None:
    chosen = ["Zeta", "beta"]
    assert names.search([{1: 1.0}, {2: 1.0}], k=2, filter=chosen)[0].tolist() == [["Zeta", "beta"], ["beta", None]]
    assert names.search({1: 1.0}, filter=chosen, exact=False)[0].tolist() == ["Zeta", "beta"]


def test_a_mask_goes_by_the_order_of_ids() -> None:
    """Which is that of adding, without what was deleted; a document that was replaced is the last."""
    index = corten.SparseIndex.build([{1: 4.0}, {1: 3.0}, {1: 2.0}], ids=["a", "b", "c"])
    index.delete("b")
    index.add([{1: 1.0}, {1: 5.0}], ids=["d", "a"], upsert=True)
    assert index.ids().tolist() == ["c", "d", "a"]
    for _ in range(2):
        for name in index.ids():
            assert index.search({1: 1.0}, filter=index.ids() == name)[0].tolist() == [name]
        index.compact()


def refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        call()


@pytest.mark.parametrize("k", [0, -1, -(2**70), True, 2.0, "3", None])
def test_k(numbers: corten.SparseIndex, k: Any) -> None:
    refused(lambda: numbers.search({1: 1.0}, k=k), ValueError, f"k: expected an integer of at least 1, found {k!r}")


@pytest.mark.parametrize("threads", [0, -1, True, 1.5, "2"])
def test_threads(numbers: corten.SparseIndex, threads: Any) -> None:
    message = f"threads: expected an integer of at least 1, found {threads!r}"
    refused(lambda: numbers.search({1: 1.0}, threads=threads), ValueError, message)
    refused(lambda: corten.SparseIndex.build(ROWS, threads=threads), ValueError, message)


@pytest.mark.parametrize(("recall", "found"), [(0, "0"), (-0.5, "-0.5"), (1.5, "1.5"), (float("nan"), "NaN")])
def test_recall_out_of_range(numbers: corten.SparseIndex, recall: float, found: str) -> None:
    message = f"recall: expected a number above 0 and at most 1, found {found}"
    refused(lambda: numbers.search({1: 1.0}, exact=False, recall=recall), ValueError, message)


@pytest.mark.parametrize("recall", ["0.9", None, True])
def test_recall_of_another_kind(numbers: corten.SparseIndex, recall: Any) -> None:
    message = f"recall: expected a number, got {type(recall).__name__}"
    refused(lambda: numbers.search({1: 1.0}, exact=False, recall=recall), TypeError, message)


def test_filters_that_are_none(numbers: corten.SparseIndex, names: corten.SparseIndex) -> None:
    def with_filter(chosen: Any) -> Any:
        return lambda: numbers.search({1: 1.0}, filter=chosen)

    refused(with_filter(np.ones(4, bool)), ValueError, "filter: expected 5 entries, one for each document, found 4")
    refused(with_filter(np.ones((5, 1), bool)), ValueError, "filter: expected a mask of 1 dimension, found 2")
    refused(with_filter("beta"), TypeError, "filter: expected an iterable of int or str, got str")
    refused(with_filter(7), TypeError, "filter: expected an iterable of int or str, got int")
    refused(with_filter([1.5]), TypeError, "filter[0]: expected int or str, got float")
    refused(with_filter(["beta"]), ValueError, "ids: expected numbers as in the index, found strings")
    refused(
        lambda: names.search({1: 1.0}, filter=[1]), ValueError, "ids: expected strings as in the index, found numbers"
    )


def test_get_and_explain(names: corten.SparseIndex) -> None:
    assert names.get("äther") == {2: 1.0, 3: 1.0}
    assert names.get("alpha") == {}
    assert names.get("omega") is None
    assert names.get(3) is None
    explanation = names.explain({1: 1.0, 2: 0.5, 9: 1.0}, "beta")
    assert explanation == [(2, 0.5, 3.0, 1.5), (1, 1.0, 1.0, 1.0)]
    assert explanation[0].product == 1.5
    assert names.explain({5: 1.0}, "beta") == []
    refused(lambda: names.explain({1: 1.0}, "omega"), KeyError, "'omega'")
    refused(lambda: names.explain([{1: 1.0}, {}], "beta"), ValueError, "query: expected one row, found 2")
    refused(lambda: names.get(1.5), TypeError, "id: expected int or str, got float")


def test_what_is_got_can_be_searched_for(names: corten.SparseIndex) -> None:
    """More like this."""
    document = names.get("alphabet")
    assert names.search(document, k=1)[0].tolist() == ["alphabet"]


def test_in_is_false_for_what_is_no_id(names: corten.SparseIndex, numbers: corten.SparseIndex) -> None:
    assert "beta" in names
    assert np.str_("beta") in names
    assert 30 in numbers
    assert np.int32(30) in numbers
    for other in ("gamma", 30, 1.0, None, b"beta", ("beta",), [], True, "\ud800"):
        assert other not in names
    for other in (31, "30", 30.0, 2**64, True):
        assert other not in numbers


def test_stats(numbers: corten.SparseIndex) -> None:
    stats = numbers.stats()
    assert stats["documents"] == len(numbers) == 5
    assert stats["dim"] == numbers.dim == 10
    assert stats["non_zeros"] == 7
    assert stats["deleted"] == 0
    assert stats["segments"] >= 1
    assert stats["bytes"] > 0
    assert stats["mapped"] is False
    assert stats["file_version"] == 2
    numbers.delete(20)
    assert numbers.stats()["documents"] == 4
    numbers.compact()
    assert numbers.stats()["deleted"] == 0
    assert numbers.stats()["non_zeros"] == 5


def test_a_closed_index_says_so(numbers: corten.SparseIndex) -> None:
    with numbers as index:
        assert index is numbers
        assert repr(index) == "SparseIndex(documents=5, dim=10)"
    numbers.close()
    assert repr(numbers) == "SparseIndex(closed)"
    for call in (
        lambda: numbers.search({1: 1.0}),
        lambda: numbers.add([]),
        lambda: len(numbers),
        lambda: 30 in numbers,
        numbers.stats,
        numbers.ids,
        numbers.__enter__,
    ):
        refused(call, ValueError, "the index is closed")


def test_pickling_and_copying_are_refused(numbers: corten.SparseIndex) -> None:
    message = "SparseIndex: cannot be pickled or copied (hint: save it, and open the file where it is needed)"
    for call in (pickle.dumps, copy.copy, copy.deepcopy):
        refused(lambda call=call: call(numbers), TypeError, message)


def test_threads_change_nothing() -> None:
    rng = np.random.default_rng(0)
    rows = [dict(enumerate(rng.random(8).tolist())) for _ in range(300)]
    index = corten.SparseIndex.build(rows, threads=1)
    other = corten.SparseIndex.build(rows, threads=3)
    expected = index.search(rows, threads=1)
    for found in (index.search(rows, threads=3), other.search(rows, threads=2), other.search(rows)):
        assert np.array_equal(found[0], expected[0])
        assert found[1].tobytes() == expected[1].tobytes()


def test_approximate_search_gives_exact_scores(names: corten.SparseIndex) -> None:
    """What it finds has the score that the exact search gives it; it may find less."""
    rng = np.random.default_rng(3)
    rows = [
        dict(zip(rng.choice(60, 9, replace=False).tolist(), rng.random(9).tolist(), strict=True)) for _ in range(900)
    ]
    index = corten.SparseIndex.build(rows)
    exact_ids, exact_scores = index.search(rows[:50], k=900)
    ids, scores = index.search(rows[:50], k=10, exact=False, recall=0.95)
    found = 0
    for number in range(50):
        score_of = dict(zip(exact_ids[number].tolist(), exact_scores[number].tolist(), strict=True))
        for id_, score in zip(ids[number].tolist(), scores[number].tolist(), strict=True):
            assert score == score_of[id_]
        found += len(set(ids[number].tolist()) & set(exact_ids[number, :10].tolist()))
    assert found / 500 >= 0.9
