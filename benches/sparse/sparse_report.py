"""From times to a table, to the goals, and to a file of records."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import corten
import machine

if TYPE_CHECKING:
    from interleaved import Timed
    from sparse_systems import Corten, System
    from sparse_vectors import Collection

RECORDS = Path(__file__).parent.parent / "records"


def micro(seconds: Any, share: float) -> float:
    """A percentile in microseconds."""
    return float(np.percentile(seconds, share)) * 1e6


def print_table(timed: list[Timed], systems: list[System], collection: Collection) -> None:
    """Each setting's times and recall, each system's build and size."""
    ours = timed[0]
    print(f"\n  microseconds, each query's shortest of its rounds; the last column: of all calls\n{'':48}", end="")
    print(f"{'mean':>9}{'p50':>9}{'p99':>9}{'recall@10':>11}{'of exact':>10}{'all p99':>10}")
    for one in timed:
        best = one.best()
        print(
            f"  {one.label:46}{best.mean() * 1e6:9,.0f}{micro(best, 50):9,.0f}{micro(best, 99):9,.0f}"
            f"{one.recall:11.4f}{times(one, ours):10.2f}{micro(one.all(), 99):10,.0f}"
        )
    print(f"\n{'':48}{'build s':>9}{'bytes a non-zero':>18}")
    for system in systems:
        size = f"{system.size_bytes / collection.documents.nnz:18.2f}" if system.size_bytes else ""
        print(f"  {system.name + ' ' + system.settings[-1].name.split(', cut')[0]:46}{system.build_seconds:9.2f}{size}")


def times(one: Timed, other: Timed) -> float:
    """How many times as long the one takes as the other, on the queries that both were asked."""
    queries = one.seconds.keys() & other.seconds.keys()
    return float(one.best(queries).mean() / other.best(queries).mean())


def goal(name: str, found: float, bound: float, *, at_least: bool = True) -> str:
    """One line: a goal, what was found, and whether that is enough."""
    met = found >= bound if at_least else found <= bound
    return (
        f"  {'met   ' if met else 'MISSED'}  {name}: {found:.4g}, goal at {'least' if at_least else 'most'} {bound:g}"
    )


def fastest(timed: list[Timed], name: str, recall: float) -> Timed | None:
    """A system's fastest setting of at least this recall."""
    good = [one for one in timed if one.system.name == name and one.recall >= recall]
    return min(good, key=lambda one: one.best().mean(), default=None)


def goals(
    timed: list[Timed], systems: list[System], collection: Collection, ours: Corten, batch: dict[str, float]
) -> list[str]:
    """Section 7 of the notes on sparse search, as far as this collection has a goal."""
    large = collection.documents.shape[0] >= 1_000_000
    small = collection.documents.shape[0] < 100_000
    exact = timed[0]
    lines = [goal("exact, recall@10 against float64", exact.recall, 1.0)]
    for one in timed:
        if small and one.system.name in {"scipy", "qdrant-edge-py"}:
            lines.append(
                f"          exact, times as fast as {one.label}: {times(one, exact):.4g}, no goal at this size"
            )
        elif one.system.name == "scipy":
            lines.append(goal("exact, times as fast as scipy q @ inverted", times(one, exact), 80 if large else 20))
        elif one.system.name == "qdrant-edge-py":
            lines.append(goal("exact, times as fast as qdrant-edge", times(one, exact), 8))
    if large and (other := fastest(timed, "pyseismic-lsr", 0.997)):
        name = f"exact, beside {other.label} of recall {other.recall:.4f}"
        lines.append(goal(name, times(exact, other), 3, at_least=False))
    peer, mine = (fastest(timed, name, 0.99) for name in ("pyseismic-lsr", "corten"))
    if peer and mine:
        name = f"recall >= 0.99, {mine.setting.name} ({mine.recall:.4f}) as fast as {peer.label} ({peer.recall:.4f})"
        if small:
            lines.append(f"          {name}: {times(peer, mine):.4g}, no goal at this size")
        else:
            lines.append(goal(name, times(peer, mine), 1.3 if large else 2))
    builds = [system.build_seconds for system in systems if system.name == "pyseismic-lsr"]
    if builds:
        lines.append(goal("build, times as fast as seismic's fastest", min(builds) / ours.build_seconds, 10))
    lines += [
        goal("bytes a non-zero on disk", (ours.size_bytes or 0) / collection.documents.nnz, 7.5, at_least=False),
        goal("open with mmap, ms", ours.open_seconds * 1e3, 10, at_least=False),
        goal("batch, two threads beside one", batch["batch, 2 threads"] / batch["batch, 1 thread"], 1.8),
        goal(
            "two Python threads beside one",
            batch["one by one, 2 Python threads"] / batch["one by one, 1 Python thread"],
            1.8,
        ),
    ]
    return lines


def record(timed: list[Timed], collection: Collection, ours: Corten, batch: dict[str, float], threads: int) -> Path:
    """Writes one row a setting and one a batch to benches/records/."""
    info = corten.cpu_info()
    now = dt.datetime.now(tz=dt.timezone.utc)
    common = {
        "date": now.strftime("%Y-%m-%d %H:%M"),
        "processor": machine.processor(),
        "cpu_level": info["level"],
        "cores": info["threads"],
        "collection": collection.name,
        "documents": collection.documents.shape[0],
        "non_zeros": collection.documents.nnz,
        "queries": collection.queries.shape[0],
    }
    rows = []
    for one in timed:
        best = one.best()
        mine = one.system is ours
        rows.append(
            {
                **common,
                "system": one.system.name,
                "version": one.system.version,
                "setting": one.setting.name,
                "mean_us": f"{best.mean() * 1e6:.1f}",
                "p50_us": f"{micro(best, 50):.1f}",
                "p99_us": f"{micro(best, 99):.1f}",
                "p99_us_of_all_calls": f"{micro(one.all(), 99):.1f}",
                "recall_at_10": f"{one.recall:.4f}",
                "queries_per_s": "",
                "build_s": f"{one.system.build_seconds:.3f}",
                "build_threads": threads,
                "bytes_per_non_zero": f"{one.system.size_bytes / collection.documents.nnz:.3f}"
                if one.system.size_bytes
                else "",
                "open_ms": f"{ours.open_seconds * 1e3:.3f}" if mine else "",
                "save_s": f"{ours.save_seconds:.3f}" if mine else "",
            }
        )
    rows += [
        {**common, "system": ours.name, "version": ours.version, "setting": name, "queries_per_s": f"{rate:.0f}"}
        for name, rate in batch.items()
    ]
    path = RECORDS / f"{now:%Y-%m-%d}-sparse-{collection.name}-{info['level']}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
