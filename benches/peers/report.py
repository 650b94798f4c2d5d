"""From results to a table, to the goals, and to a file of records."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from workloads import DTYPES, dtype, library

if TYPE_CHECKING:
    from pathlib import Path

    from measure import Result

# The least similarity that a dtype promises, with torch's float32 vectors.
COSINES = {"float32": 0.999999, "bfloat16": 0.9999, "int8": 0.999}


def of(results: list[Result], name: str, kind: str) -> Result | None:
    """The result of one engine."""
    return next((result for result in results if result.engine == f"{name}-{kind}"), None)


def best_peer(results: list[Result], kind: str) -> Result | None:
    """The fastest engine of a dtype that is not Corten."""
    peers = [result for result in results if dtype(result.engine) == kind and library(result.engine) != "corten"]
    return min(peers, key=lambda result: result.seconds, default=None)


def ratio(results: list[Result], result: Result) -> float | None:
    """How many times as fast as the best peer of its dtype."""
    peer = best_peer(results, dtype(result.engine))
    return peer.seconds / result.seconds if peer else None


def print_table(results: list[Result]) -> None:
    """One workload, fastest first within each dtype."""
    workload, tokens = results[0].workload, results[0].tokens
    print(f"\n{workload.name}: {workload.count} texts, {tokens / workload.count:.1f} tokens each")
    timed = "     p50 ms    p99 ms" if workload.alone else " batch   tokens/s"
    print(f"  {'engine':22}{timed}  of best peer  worst cosine  import s  load s  peak MB")
    for kind in DTYPES:
        for result in sorted((r for r in results if dtype(r.engine) == kind), key=lambda r: r.seconds):
            if workload.alone:
                figures = f"{result.seconds * 1e3:11.2f}{(result.p99_s or 0) * 1e3:10.2f}"
            else:
                figures = f"{result.batch:6}{result.tokens_per_s:11,.0f}"
            times = ratio(results, result)
            started, peak = result.started, result.peak_mb
            print(
                f"  {result.engine:22}{figures}{f'{times:.2f}x' if times else '':>14}{result.worst_cosine:14.7f}"
                f"{started['import_s']:10.3f}{started['first_vector_s']:8.3f}{peak or 0:9,.0f}",
                flush=True,
            )


def goal(name: str, found: float, bound: float, *, at_least: bool, unit: str) -> str:
    """One line: a goal, what was found, and whether that is enough."""
    met = found >= bound if at_least else found <= bound
    word = "at least" if at_least else "at most"
    return f"  {'met   ' if met else 'MISSED'}  {name}: {found:.6g}{unit}, goal {word} {bound:.6g}{unit}"


def speed_goals(results: list[Result], amx: bool) -> list[str]:
    """One workload's goals that compare times; those of lower precision without AMX compare with Corten's float32."""
    workload = results[0].workload
    lines = []
    for kind in DTYPES:
        ours, peer, plain = of(results, "corten", kind), best_peer(results, kind), of(results, "corten", "float32")
        if ours is None:
            continue
        name = f"{workload.name}, {kind}"
        if workload.alone:
            if peer:
                share = ours.seconds / peer.seconds
                lines.append(goal(f"{name}, p50 beside {peer.engine}", share, 0.5, at_least=False, unit="x"))
            continue
        if kind == "bfloat16" and not amx:
            if plain:
                times = plain.seconds / ours.seconds
                lines.append(goal(f"{name} beside corten-float32", times, 1.3, at_least=True, unit="x"))
        elif peer:
            bound = {"float32": 3.0 if amx else 1.3, "bfloat16": 2.5, "int8": 2.0}[kind]
            lines.append(
                goal(f"{name} beside {peer.engine}", peer.seconds / ours.seconds, bound, at_least=True, unit="x")
            )
        lines.append(goal(f"{name}, worst cosine", ours.worst_cosine, COSINES[kind], at_least=True, unit=""))
    return lines


def other_goals(results: list[Result]) -> list[str]:
    """Memory beside CTranslate2's, and the times to import and to load."""
    workload = results[0].workload
    lines = []
    for kind in DTYPES:
        ours, peer = of(results, "corten", kind), of(results, "ctranslate2", kind)
        if ours is None or workload.texts != "abstracts":
            continue
        if peer and peer.peak_mb and ours.peak_mb:
            name = f"{workload.name}, {kind}, peak memory beside {peer.engine}'s {peer.peak_mb:.0f} MB"
            lines.append(goal(name, ours.peak_mb, peer.peak_mb, at_least=False, unit=" MB"))
        if workload.model == "minilm":
            first = ours.started["first_vector_s"]
            lines.append(goal(f"minilm, {kind}, load to first vector", first, 0.5, at_least=False, unit=" s"))
            imported = ours.started["import_s"]
            lines.append(goal(f"import corten ({kind})", imported, 0.1, at_least=False, unit=" s"))
    return lines


def write_records(path: Path, machine: dict[str, Any], workloads: list[list[Result]]) -> None:
    """One row an engine and workload, the machine's columns first."""
    rows = [
        {
            **machine,
            "engine": result.engine,
            "version": result.started["version"],
            "workload": result.workload.name,
            "texts": result.workload.count,
            "tokens": result.tokens,
            "batch": result.batch,
            "seconds": f"{result.seconds:.6f}",
            "tokens_per_s": f"{result.tokens_per_s:.0f}" if not result.workload.alone else "",
            "p50_ms": f"{result.seconds * 1e3:.3f}" if result.workload.alone else "",
            "p99_ms": f"{result.p99_s * 1e3:.3f}" if result.p99_s is not None else "",
            "times_best_peer": f"{times:.3f}" if (times := ratio(results, result)) else "",
            "worst_cosine": f"{result.worst_cosine:.8f}",
            "import_s": f"{result.started['import_s']:.3f}",
            "first_vector_s": f"{result.started['first_vector_s']:.3f}",
            "peak_mb": f"{result.peak_mb:.0f}" if result.peak_mb else "",
        }
        for results in workloads
        for result in results
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
