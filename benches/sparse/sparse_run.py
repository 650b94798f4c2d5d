"""One collection: build every system, ask in turn, report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import corten
import interleaved
import machine
import sparse_report
from sparse_systems import Corten, Qdrant, Scipy, Seismic, System, Txtai, write_seismic
from sparse_vectors import Collection, collection

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

# Its guidelines' build and what was found to be best in tries at these sizes: the whole curve of recall is asked.
SEISMIC_BUILDS: dict[str, list[dict[str, Any]]] = {
    "small": [{"n_postings": 60, "max_fraction": 6.0}, {"n_postings": 150, "max_fraction": 6.0}],
    "large": [{"n_postings": 500, "centroid_fraction": 0.1, "summary_energy": 0.4, "max_fraction": 6.0}],
}
SEISMIC_QUERIES = [(3, 0.9), (4, 0.9), (5, 0.9), (5, 0.8), (8, 0.9), (8, 0.8), (10, 0.8), (15, 0.8)]


def built(data: Collection, chosen: argparse.Namespace, folder: Path) -> list[System]:
    """The systems that were asked for; Corten is the first."""
    wanted = set(chosen.systems.split(","))
    documents = data.documents
    large = documents.shape[0] >= 1_000_000
    systems: list[System] = [Corten(documents, chosen.threads, folder)]
    print(f"corten built in {systems[0].build_seconds:.2f} s", flush=True)
    if "scipy" in wanted:
        systems.append(Scipy(documents, 60 if large else 300))
    if "txtai" in wanted and not large:
        systems.append(Txtai(documents, 20))
    if "qdrant" in wanted and not large:
        systems.append(Qdrant(documents, folder))
        print(f"qdrant built in {systems[-1].build_seconds:.2f} s", flush=True)
    if "seismic" in wanted:
        source = folder / "documents.bin"
        write_seismic(source, documents)
        builds = SEISMIC_BUILDS["large" if large else "small"] + ([{}] if chosen.seismic_defaults else [])
        for build in builds:
            systems.append(Seismic(source, build, SEISMIC_QUERIES))
            print(f"seismic {build} built in {systems[-1].build_seconds:.2f} s", flush=True)
        source.unlink()
    return systems


def run_collection(name: str, chosen: argparse.Namespace, folder: Path) -> bool:
    """Whether every exact answer of Corten's was right."""
    data = collection(name, chosen.queries)
    info = corten.cpu_info()
    print(f"\n=== {data.name}: {data.documents.shape[0]:,} documents, {data.documents.nnz:,} non-zeros", end="")
    print(f"; {data.queries.shape[0]} queries; {machine.processor()}, level {info['level']}", flush=True)
    data.judge(chosen.judged)
    systems = built(data, chosen, folder)
    timed = interleaved.run(systems, data, chosen.rounds)
    ours = systems[0]
    assert isinstance(ours, Corten)
    sparse_report.print_table(timed, systems, data)
    batch = interleaved.batches(ours, data, chosen.rounds)
    print()
    for label, rate in batch.items():
        print(f"  {label:32}{rate:10,.0f} queries/s")
    print(f"  {'open with mmap':32}{ours.open_seconds * 1e3:10.2f} ms   save {ours.save_seconds:.2f} s")
    print("\n".join(["", *sparse_report.goals(timed, systems, data, ours, batch)]), flush=True)
    if not chosen.no_record:
        print(f"  {sparse_report.record(timed, data, ours, batch, chosen.threads)}")
    return timed[0].recall == 1.0
