"""Searches beside changes, many threads, forked children, Ctrl-C, and an interpreter that ends."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import corten
from ctrl_c import seconds_until_interrupted
from longest_pause import longest_pause
from sparse_reference import random_rows

BATCH = 40


def while_changing(change: Callable[[], None], look: Callable[[], None]) -> None:
    """Calls `look` from two threads until `change` has ended; a failure in any of them is raised."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.is_set():
            look()

    with ThreadPoolExecutor(3) as threads:
        looking = [threads.submit(repeat) for _ in range(2)]
        try:
            threads.submit(change).result()
        finally:
            ended.set()
        for one in looking:
            one.result()


def test_a_search_sees_all_of_an_add_or_nothing() -> None:
    index = corten.SparseIndex(100)
    counts: list[int] = []

    def change() -> None:
        for number in range(60):
            index.add([{7: 1.0, number: 1.0} if number != 7 else {7: 1.0}] * BATCH)
            if number % 20 == 19:
                index.compact()

    def look() -> None:
        before = len(counts)
        found = len(index.search({7: 1.0}, k=10**6)[0])
        assert found % BATCH == 0
        assert found >= max(counts[:before], default=0) or before == 0
        batch = index.search([{7: 1.0}] * 5, k=10**6)[1]
        assert len({np.isfinite(row).sum() for row in batch}) == 1, "the queries of a batch see the same documents"
        counts.append(found)

    while_changing(change, look)
    assert len(index) == 60 * BATCH


def test_a_search_sees_all_of_an_upsert_and_of_a_delete_or_nothing() -> None:
    ids = [f"document {number}" for number in range(BATCH)]
    index = corten.SparseIndex.build([{1: 1.0}] * BATCH, ids=ids, dim=10)

    def change() -> None:
        for weight in range(2, 60):
            index.add([{1: float(weight)}] * BATCH, ids=ids, upsert=True)
            if weight % 10 == 0:
                index.delete(ids)
                index.add([{1: float(weight)}] * BATCH, ids=ids)
            if weight % 25 == 0:
                index.compact()

    def look() -> None:
        found, scores = index.search({1: 1.0}, k=1000)
        assert len(found) in {0, BATCH}
        assert len(set(scores.tolist())) <= 1, "old documents and new ones in one answer"

    while_changing(change, look)
    assert index.search({1: 1.0}, k=1000)[1].tolist() == [59.0] * BATCH


def test_many_threads_get_what_one_gets() -> None:
    rng = np.random.default_rng(0)
    index = corten.SparseIndex.build(random_rows(rng, 5000, 200, "learned"))
    queries = random_rows(rng, 40, 200, "learned", empty=0)
    expected = [index.search(query) for query in queries]

    def work(_: int) -> None:
        for query, (ids, scores) in zip(queries, expected, strict=True):
            found = index.search(query)
            assert np.array_equal(found[0], ids)
            assert found[1].tobytes() == scores.tobytes()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(16)))


def test_threads_that_add_at_once() -> None:
    index = corten.SparseIndex(50)

    def work(thread: int) -> None:
        for number in range(30):
            index.add([{1: 1.0, 2: 1.0}] * 3, ids=[10_000 * thread + 3 * number + part for part in range(3)])

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))
    assert len(index) == 540
    assert len(set(index.ids().tolist())) == 540
    assert len(index.search({1: 1.0}, k=1000)[0]) == 540


def many_rows(rows: int, dim: int = 20_000, per_row: int = 100) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A large collection, quickly: each row has terms at random steps."""
    rng = np.random.default_rng(0)
    steps = rng.integers(1, 2 * dim // per_row - 10, (rows, per_row), dtype=np.int32)
    terms = np.minimum(np.cumsum(steps, axis=1, dtype=np.int32), dim - per_row + np.arange(per_row, dtype=np.int32))
    # At the upper end the minimum makes terms ascend one by one; below it steps of at least 1 do.
    indptr = np.arange(rows + 1, dtype=np.int64) * per_row
    return indptr, terms.ravel(), rng.random(rows * per_row, dtype=np.float32)


def test_other_threads_run_during_a_build_and_a_search() -> None:
    """With the GIL held they would stand still for all of it."""
    rows = many_rows(30_000)
    took, pause = longest_pause(lambda: corten.SparseIndex.build(rows))
    assert pause < took / 2
    index = corten.SparseIndex.build(rows)
    queries = (rows[0][:3001], rows[1][:300_000], rows[2][:300_000])
    took, pause = longest_pause(lambda: index.search(queries, threads=1))
    assert pause < took / 2


CTRL_C = """
import sys
sys.path.insert(0, sys.argv[1])
import corten
from test_concurrency import many_rows

rows = many_rows(100_000)
index = corten.SparseIndex.build(many_rows(20_000))
expected = index.search({1: 1.0, 700: 1.0})
query = tuple(part[: size] for part, size in zip(rows, (1001, 100_000, 100_000)))
print("working", flush=True)
try:
    if sys.argv[2] == "build":
        for _ in range(1000):
            corten.SparseIndex.build(rows)
    elif sys.argv[2] == "search on one thread":
        index.search(rows, threads=1)
    else:
        index.search(rows)
    print("finished: the call was too short for the test", flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    again = index.search({1: 1.0, 700: 1.0})
    assert again[0].tolist() == expected[0].tolist()
    print("usable", flush=True)
"""


@pytest.mark.timeout(100)
@pytest.mark.parametrize("work", ["build", "search", "search on one thread"])
def test_ctrl_c(work: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    assert seconds_until_interrupted(CTRL_C, [str(Path(__file__).parent), work], environment) < 1


FORK = """
import os, signal, sys, threading
import numpy as np
import corten
rng = np.random.default_rng(0)
rows = [{int(term): float(weight) for term, weight in zip(rng.choice(500, 20, replace=False), rng.random(20))}
        for _ in range(3000)]
index = corten.SparseIndex.build(rows)
expected = index.search(rows[:200])[0].tolist()

def check():
    assert index.search(rows[:200])[0].tolist() == expected
    assert index.search(rows[0])[0].tolist() == expected[0]
    index.add([{1: 1.0}] * 10)
    index.compact()
    assert len(index) == 3010
    assert len(corten.SparseIndex.build(rows)) == 3000

def fork():
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends a child that hangs
        try:
            check()
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the child ended with status {status}: 14 is the watchdog"

fork()
if sys.argv[1] == "during use":
    stop = threading.Event()
    def busy():
        while not stop.is_set():
            index.search(rows[:200])
    threads = [threading.Thread(target=busy) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        fork()
    stop.set()
    for thread in threads:
        thread.join()
assert index.search(rows[:200])[0].tolist() == expected
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.timeout(60)
@pytest.mark.parametrize("when", ["after use", "during use"])
def test_fork(when: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, when], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr


DAEMON = """
import sys, threading, time
import corten
index = corten.SparseIndex.build([{term: 1.0 for term in range(50)}] * 2000)
def work():
    while True:
        index.search([{1: 1.0, 2: 1.0}] * 200)
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.3)
print("end", flush=True)
"""


def test_the_interpreter_ends_while_daemon_threads_search() -> None:
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", DAEMON], capture_output=True, text=True, timeout=25, check=False)
        assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr


def test_arrays_that_another_thread_changes_during_a_build() -> None:
    """What comes out is not said, but the process goes on and the index is sound."""
    indptr, indices, values = many_rows(5000)
    ended = threading.Event()

    def spoil() -> None:
        rng = np.random.default_rng(0)
        while not ended.is_set():
            places = rng.integers(0, len(indices), 1000)
            indices[places] = rng.integers(-(2**31), 2**31 - 1, 1000)
            values[places] = np.nan
            indptr[rng.integers(0, len(indptr), 100)] = rng.integers(-10, 10**12, 100)

    thread = threading.Thread(target=spoil)
    good = indptr.copy(), indices.copy(), values.copy()
    thread.start()
    try:
        for _ in range(20):
            for array, copy in zip((indptr, indices, values), good, strict=True):
                array[:] = copy
            try:
                index = corten.SparseIndex.build((indptr, indices, values), dim=20_000)
            except (ValueError, corten.InternalError):
                continue
            index.search({1: 1.0, 300: 1.0})
            index.search([{term: 1.0} for term in range(0, 20_000, 100)], exact=False)
    finally:
        ended.set()
        thread.join()
