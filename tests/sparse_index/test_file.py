"""Saving and opening where nothing goes wrong: the same answers, and an old file that is not touched."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import corten
from sparse_reference import check_queries, random_rows

DIM = 300
DOCUMENTS = random_rows(np.random.default_rng(5), 500, DIM, "learned")
QUERIES = random_rows(np.random.default_rng(6), 20, DIM, "learned", empty=0)
DATA = Path(__file__).parent.parent / "data"


def many_pieces(ids: list[Any] | None = None) -> corten.SparseIndex:
    """An index of several segments with deleted and replaced documents; `ids` are 500."""
    ids = list(range(500)) if ids is None else ids
    index = corten.SparseIndex.build(DOCUMENTS[:300], ids=ids[:300], dim=DIM)
    index.add(DOCUMENTS[300:450], ids=ids[300:450])
    index.delete(ids[10:40])
    index.add(DOCUMENTS[450:], ids=ids[450:])
    index.add(DOCUMENTS[10:40], ids=ids[10:40])
    index.add(DOCUMENTS[:5], ids=ids[:5], upsert=True)
    return index


def same(one: corten.SparseIndex, other: corten.SparseIndex) -> None:
    """The same answers to the last bit."""
    assert len(one) == len(other)
    assert one.ids().tolist() == other.ids().tolist()
    assert one.ids().dtype == other.ids().dtype
    for exact in (True, False):
        first, second = one.search(QUERIES, k=20, exact=exact), other.search(QUERIES, k=20, exact=exact)
        if exact:
            assert first[0].tolist() == second[0].tolist()
            assert first[1].tobytes() == second[1].tobytes()
        else:
            assert first[0].shape == second[0].shape
    for id_ in one.ids()[::50].tolist():
        assert one.get(id_) == other.get(id_)


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("strings", [True, False])
def test_what_was_saved_is_opened(tmp_path: Path, mmap: bool, verify: bool, strings: bool) -> None:
    ids = [f"document {number}" for number in range(500)] if strings else None
    index = many_pieces(ids)
    index.save(tmp_path / "index")
    opened = corten.SparseIndex.open(tmp_path / "index", mmap=mmap, verify=verify)
    same(index, opened)
    assert opened.stats()["mapped"] is mmap
    assert opened.dim == DIM
    opened.save(tmp_path / "again")
    same(index, corten.SparseIndex.open(tmp_path / "again"))


def test_an_opened_index_can_be_changed(tmp_path: Path) -> None:
    many_pieces().save(tmp_path / "index")
    before = (tmp_path / "index").read_bytes()
    for mmap in (True, False):
        index = corten.SparseIndex.open(tmp_path / "index", mmap=mmap)
        index.delete(list(range(100)))
        index.add(DOCUMENTS[:50])
        assert index.ids()[-1] > 499, "numbers are not used again"
        index.add(DOCUMENTS[100:120], ids=range(100, 120), upsert=True)
        index.compact()
        assert len(index) == 450
        assert len(index.search(QUERIES[0], k=7)[0]) == 7
    assert (tmp_path / "index").read_bytes() == before, "the file is not written to"


def test_an_empty_index(tmp_path: Path) -> None:
    corten.SparseIndex(77).save(tmp_path / "index")
    for mmap in (True, False):
        index = corten.SparseIndex.open(tmp_path / "index", mmap=mmap, verify=True)
        assert len(index) == 0
        assert index.dim == 77
        index.add([{76: 1.0}], ids=["a"])
        assert index.search({76: 1.0})[0].tolist() == ["a"]


def test_save_over_the_file_that_is_mapped(tmp_path: Path) -> None:
    """The open index keeps the old file; whoever opens it now gets the new one."""
    path = tmp_path / "index"
    many_pieces().save(path)
    old = corten.SparseIndex.open(path)
    reference = corten.SparseIndex.open(path, mmap=False)
    corten.SparseIndex.build([{1: 1.0}], dim=DIM).save(path)
    same(old, reference)
    assert len(corten.SparseIndex.open(path)) == 1
    old.save(path)
    same(corten.SparseIndex.open(path), reference)
    same(old, reference)


def test_a_mapped_file_may_be_deleted(tmp_path: Path) -> None:
    path = tmp_path / "index"
    many_pieces().save(path)
    index, reference = corten.SparseIndex.open(path), corten.SparseIndex.open(path, mmap=False)
    path.unlink()
    same(index, reference)


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    for _ in range(3):
        many_pieces().save(tmp_path / "index")
    assert [entry.name for entry in tmp_path.iterdir()] == ["index"]


def test_kinds_of_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = corten.SparseIndex.build([{1: 1.0}])
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "a", str(tmp_path / "b"), "c", Path("d"), "ä \u4e00", os.fsdecode(b"\xff")):
        index.save(path)
        opened = corten.SparseIndex.open(path)
        assert len(opened) == 1
        assert str(path) in repr(opened)
    for other in (b"bytes", 7, None):
        with pytest.raises(TypeError, match=r"^path: expected str or os.PathLike, got "):
            index.save(other)
        with pytest.raises(TypeError, match=r"^path: expected str or os.PathLike, got "):
            corten.SparseIndex.open(other)


def test_save_through_a_link(tmp_path: Path) -> None:
    """The link stays, and what it points to is replaced."""
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "index", tmp_path / "link"
    corten.SparseIndex.build([{1: 1.0}]).save(target)
    link.symlink_to(target)
    corten.SparseIndex.build([{1: 1.0}] * 3).save(link)
    assert link.is_symlink()
    assert len(corten.SparseIndex.open(target)) == 3


def test_two_threads_save_to_one_path(tmp_path: Path) -> None:
    """Either file stays, whole."""
    indexes = [corten.SparseIndex.build([{1: 1.0}] * count) for count in (100, 2000)]

    def save(index: corten.SparseIndex) -> None:
        for _ in range(20):
            index.save(tmp_path / "index")

    threads = [threading.Thread(target=save, args=(index,)) for index in indexes]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if (tmp_path / "index").exists():
            assert len(corten.SparseIndex.open(tmp_path / "index", verify=True)) in {100, 2000}
    for thread in threads:
        thread.join()
    assert [entry.name for entry in tmp_path.iterdir()] == ["index"]


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_every_version_is_opened(version: int) -> None:
    """Written by that version of the format (tests/data/make_sparse_index.py), and never changed since."""
    path = DATA / f"sparse_index_v{version}.corten"
    assert path.read_bytes()[8] == version
    for mmap in (True, False):
        index = corten.SparseIndex.open(path, mmap=mmap, verify=True)
        assert index.ids().tolist() == [*(f"document {number}" for number in [*range(20), *range(30, 100)]), "new"]
        documents = random_rows(np.random.default_rng(1), 101, 40, "few values", mean=8)
        rows = documents[[*range(20), *range(30, 101)]]
        queries = random_rows(np.random.default_rng(2), 10, 40, "few values", mean=8, empty=0)
        check_queries(index, rows, index.ids().tolist(), queries, 10)


def missing(path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        corten.SparseIndex.open(path)
    assert error.value.filename == str(path)
    assert error.value.errno == 2


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    missing(tmp_path / "none")
    missing(tmp_path / "no" / "folder")
    with pytest.raises(IsADirectoryError):
        corten.SparseIndex.open(tmp_path)
    with pytest.raises(ValueError, match=re.escape("\0") + "|nul|NUL"):
        corten.SparseIndex.open("a\0b")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises((OSError, corten.IndexFileError)):
        corten.SparseIndex.open(tmp_path / "pipe")
