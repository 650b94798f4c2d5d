"""Corten and its peers behind one face: build once, then one query a call, as each is fastest from Python.

What a query has to be turned into beforehand (arrays, row matrices, request objects) is done outside the clock for all.
"""

from __future__ import annotations

import os
import tempfile
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import corten


@dataclass(frozen=True)
class Setting:
    """One way to ask a system; `most` is how many of a round's queries it is asked, fewer where it is slow."""

    name: str
    options: dict[str, Any]
    most: int = 1000


class System(ABC):
    """An index over one collection."""

    name: str
    settings: list[Setting]
    build_seconds: float
    size_bytes: int | None = None

    @abstractmethod
    def prepare(self, queries: Any) -> list[Any]:
        """Each query in the form that `search` takes."""

    @abstractmethod
    def search(self, query: Any, options: dict[str, Any]) -> Any:
        """The ten best documents; this is what is timed."""

    @abstractmethod
    def ids(self, answer: Any) -> list[int]:
        """The documents of an answer."""

    @property
    def version(self) -> str:
        """The version of the package."""
        return corten.__version__ if self.name == "corten" else version(self.name)


class Corten(System):
    """SparseIndex, saved to a file and opened again, mapped."""

    name = "corten"

    def __init__(self, documents: Any, threads: int, folder: Path) -> None:
        """Builds, saves and opens."""
        self.settings = [
            Setting("exact", {}),
            Setting("recall 0.9", {"exact": False, "recall": 0.9}),
            Setting("recall 0.95", {"exact": False, "recall": 0.95}),
            Setting("recall 0.99", {"exact": False, "recall": 0.99}),
            Setting("recall 0.997", {"exact": False, "recall": 0.997}),
        ]
        started = time.perf_counter()
        index = corten.SparseIndex.build(documents, threads=threads)
        self.build_seconds = time.perf_counter() - started
        self.path = folder / "index.corten"
        started = time.perf_counter()
        index.save(self.path)
        self.save_seconds = time.perf_counter() - started
        self.size_bytes = self.path.stat().st_size
        del index
        times = []
        for _ in range(20):
            started = time.perf_counter()
            self.index = corten.SparseIndex.open(self.path)
            times.append(time.perf_counter() - started)
        self.open_seconds = float(np.median(times))

    def prepare(self, queries: Any) -> list[Any]:
        """The three arrays of a row, as SparseEmbeddings has them."""
        rows = [queries[number] for number in range(queries.shape[0])]
        return [(row.indptr.astype(np.int64), row.indices.astype(np.int32), row.data) for row in rows]

    def search(self, query: Any, options: dict[str, Any]) -> Any:
        """One call."""
        return self.index.search(query, 10, **options)

    def ids(self, answer: Any) -> list[int]:
        """Ids are positions."""
        ids: list[int] = answer[0].tolist()
        return ids


class Seismic(System):
    """pyseismic-lsr's raw index, which takes term ids as numbers and so spends least on the call."""

    name = "pyseismic-lsr"

    def __init__(self, source: Path, build: dict[str, Any], queries: list[tuple[int, float]]) -> None:
        """Builds from the file of its own format; `queries` are pairs of query_cut and heap_factor."""
        import seismic  # noqa: PLC0415  its environment only

        label = " ".join(f"{name.split('_')[-1]}={value}" for name, value in build.items()) or "defaults"
        self.settings = [
            Setting(f"{label}, cut={cut} factor={factor}", {"query_cut": cut, "heap_factor": factor})
            for cut, factor in queries
        ]
        started = time.perf_counter()
        self.index = seismic.SeismicIndexRaw.build(str(source), **build)
        self.build_seconds = time.perf_counter() - started
        with tempfile.TemporaryDirectory(dir=source.parent) as folder:
            self.index.save(f"{folder}/index")
            self.size_bytes = sum(file.stat().st_size for file in Path(folder).iterdir())

    def prepare(self, queries: Any) -> list[Any]:
        """Term ids and weights."""
        rows = [queries[number] for number in range(queries.shape[0])]
        return [(row.indices.astype(np.int32), row.data) for row in rows]

    def search(self, query: Any, options: dict[str, Any]) -> Any:
        """One call."""
        return self.index.search(query[0], query[1], 10, options["query_cut"], options["heap_factor"], 0, True)

    def ids(self, answer: Any) -> list[int]:
        """Pairs of score and document."""
        return [document for _, document in answer]


class Scipy(System):
    """A sparse product of the query with the transposed documents, transposed and in rows once and for all."""

    name = "scipy"

    def __init__(self, documents: Any, most: int) -> None:
        """Transposes."""
        self.settings = [Setting("q @ inverted", {}, most)]
        started = time.perf_counter()
        self.inverted = documents.T.tocsr()
        self.build_seconds = time.perf_counter() - started

    def prepare(self, queries: Any) -> list[Any]:
        """Matrices of one row."""
        return [queries[number] for number in range(queries.shape[0])]

    def search(self, query: Any, options: dict[str, Any]) -> Any:  # noqa: ARG002  there are none
        """The product and its ten largest values."""
        scores = query @ self.inverted
        if scores.nnz <= 10:
            return scores.indices[np.argsort(-scores.data)]
        best = np.argpartition(scores.data, scores.nnz - 10)[scores.nnz - 10 :]
        return scores.indices[best[np.argsort(-scores.data[best])]]

    def ids(self, answer: Any) -> list[int]:
        """Columns."""
        ids: list[int] = answer.tolist()
        return ids


class Txtai(System):
    """txtai's IVFSparse with one cluster, which is its exact search."""

    name = "txtai"

    def __init__(self, documents: Any, most: int) -> None:
        """Keeps the documents."""
        from txtai.ann.sparse.ivfsparse import IVFSparse  # noqa: PLC0415  its environment only

        self.settings = [Setting("IVFSparse, exact", {}, most)]
        started = time.perf_counter()
        self.index = IVFSparse({"backend": "ivfsparse", "ivfsparse": {"nlist": 1}})
        self.index.index(documents)
        self.build_seconds = time.perf_counter() - started

    def prepare(self, queries: Any) -> list[Any]:
        """Matrices of one row."""
        return [queries[number] for number in range(queries.shape[0])]

    def search(self, query: Any, options: dict[str, Any]) -> Any:  # noqa: ARG002  there are none
        """One call."""
        return self.index.search(query, 10)

    def ids(self, answer: Any) -> list[int]:
        """One list of pairs for the one query."""
        return [document for document, _ in answer[0]]


class Qdrant(System):
    """qdrant-edge-py, its sparse index in memory, after optimize()."""

    name = "qdrant-edge-py"

    def __init__(self, documents: Any, folder: Path) -> None:
        """Feeds the documents in batches and optimizes."""
        import qdrant_edge as qdrant  # noqa: PLC0415  its environment only

        self.qdrant = qdrant
        self.settings = [Setting("exact", {})]
        started = time.perf_counter()
        vectors = {"splade": qdrant.EdgeSparseVectorParams(on_disk=False)}
        self.shard = qdrant.EdgeShard.create(str(folder / "qdrant"), qdrant.EdgeConfig(sparse_vectors=vectors))
        for start in range(0, documents.shape[0], 2000):
            rows = range(start, min(start + 2000, documents.shape[0]))
            points = [qdrant.Point(row, {"splade": self.vector(documents, row)}) for row in rows]
            self.shard.update(qdrant.UpdateOperation.upsert_points(points))
        self.shard.flush()
        while self.shard.optimize():
            pass
        self.build_seconds = time.perf_counter() - started
        files = [Path(root) / name for root, _, names in os.walk(folder / "qdrant") for name in names]
        self.size_bytes = sum(file.stat().st_blocks * 512 for file in files)

    def vector(self, rows: Any, row: int) -> Any:
        """A row as qdrant's object."""
        part = slice(rows.indptr[row], rows.indptr[row + 1])
        return self.qdrant.SparseVector(rows.indices[part].tolist(), rows.data[part].tolist())

    def prepare(self, queries: Any) -> list[Any]:
        """Whole requests."""
        nearest = [self.qdrant.Query.Nearest(self.vector(queries, row), "splade") for row in range(queries.shape[0])]
        return [self.qdrant.QueryRequest(limit=10, query=query) for query in nearest]

    def search(self, query: Any, options: dict[str, Any]) -> Any:  # noqa: ARG002  there are none
        """One call."""
        return self.shard.query(query)

    def ids(self, answer: Any) -> list[int]:
        """Points."""
        return [point.id for point in answer]


def write_seismic(path: Path, rows: Any) -> None:
    """The file that SeismicIndexRaw builds from: the number of rows, then for each its length, term ids and weights."""
    indptr, indices, values = rows.indptr, rows.indices.astype("<u4"), rows.data.astype("<f4")
    with path.open("wb", buffering=1 << 22) as file:
        file.write(np.uint32(rows.shape[0]).astype("<u4").tobytes())
        for start, end in pairwise(indptr.tolist()):
            file.write(np.uint32(end - start).astype("<u4").tobytes())
            file.write(indices[start:end].tobytes())
            file.write(values[start:end].tobytes())
