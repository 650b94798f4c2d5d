"""Every system in turn on the same queries, so that what else the machine does falls on all alike."""

from __future__ import annotations

import gc
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sparse_systems import Corten, Setting, System
    from sparse_vectors import Collection

CHUNK = 50  # queries that a system gets before the next has its turn
WARM_UP = 3  # queries before them that do not count: the caches hold what the system before left


@dataclass
class Timed:
    """One setting of one system: a time for each query and round, and the recall of the judged queries."""

    system: System
    setting: Setting
    seconds: dict[int, list[float]] = field(default_factory=dict)  # by query
    recall: float = 0.0
    recalled: list[float] = field(default_factory=list)

    @property
    def label(self) -> str:
        """System and setting."""
        return f"{self.system.name} ({self.setting.name})"

    def best(self, queries: Iterable[int] | None = None) -> Any:
        """For each query the shortest of its rounds: what the call takes where nothing else disturbs it."""
        return np.array([min(self.seconds[query]) for query in sorted(self.seconds if queries is None else queries)])

    def all(self) -> Any:
        """All times, with whatever else the machine did."""
        return np.array([time for _, times in sorted(self.seconds.items()) for time in times])


def run(systems: list[System], collection: Collection, rounds: int) -> list[Timed]:
    """All settings of all systems; the answers of the first round are judged."""
    timed = [Timed(system, setting) for system in systems for setting in system.settings]
    prepared = {id(system): system.prepare(collection.queries) for system in systems}
    order = np.random.default_rng(0)
    count = collection.queries.shape[0]
    chunks = [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    gc.collect()
    gc.disable()
    for number in range(rounds):
        for chunk in chunks:
            for place in order.permutation(len(timed)):
                one = timed[place]
                share = max(1, one.setting.most * len(chunk) // count) if one.setting.most < count else len(chunk)
                ask(one, prepared[id(one.system)], chunk[:share], collection if number == 0 else None)
    gc.enable()
    for one in timed:
        one.recall = float(np.mean(one.recalled))
    return timed


def ask(one: Timed, queries: list[Any], chunk: range, judge: Collection | None) -> None:
    """One turn of one setting."""
    search, options, clock = one.system.search, one.setting.options, time.perf_counter
    for query in chunk[:WARM_UP]:
        search(queries[query], options)
    answers = []
    for query in chunk:
        started = clock()
        answer = search(queries[query], options)
        one.seconds.setdefault(query, []).append(clock() - started)
        answers.append(answer)
    if judge is not None:
        one.recalled += [
            judge.recall(query, one.system.ids(answer))
            for query, answer in zip(chunk, answers, strict=True)
            if query < len(judge.tenth)
        ]


def batches(corten: Corten, collection: Collection, rounds: int) -> dict[str, float]:
    """Queries a second in one call of `search` with one thread and two, and from one Python thread and two."""
    queries = collection.queries
    prepared = corten.prepare(queries)
    count = queries.shape[0]

    def one_by_one(part: list[Any]) -> None:
        for query in part:
            corten.index.search(query, 10)

    def from_two(threads: ThreadPoolExecutor) -> None:
        list(threads.map(one_by_one, [prepared[::2], prepared[1::2]]))

    rates: dict[str, list[float]] = {}
    with ThreadPoolExecutor(2) as threads:
        works: dict[str, Callable[[], object]] = {
            "batch, 1 thread": lambda: corten.index.search(queries, 10, threads=1),
            "batch, 2 threads": lambda: corten.index.search(queries, 10, threads=2),
            "batch, recall 0.99, 1 thread": lambda: corten.index.search(queries, 10, exact=False, threads=1),
            "batch, recall 0.99, 2 threads": lambda: corten.index.search(queries, 10, exact=False, threads=2),
            "one by one, 1 Python thread": lambda: one_by_one(prepared),
            "one by one, 2 Python threads": lambda: from_two(threads),
        }
        for _ in range(rounds + 1):  # the first does not count
            for name, work in works.items():
                started = time.perf_counter()
                work()
                rates.setdefault(name, []).append(count / (time.perf_counter() - started))
    return {name: max(found[1:]) for name, found in rates.items()}
