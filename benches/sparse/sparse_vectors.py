"""The collections that are searched: synthetic ones like SPLADE's of any size, and real SPLADE vectors."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

REPOSITORY = Path(__file__).parent.parent.parent
SHARED = Path(os.environ.get("CORTEN_SHARED", REPOSITORY.parent / "shared"))


@dataclass
class Collection:
    """Documents and queries, `[rows, terms]`, float32 CSR, and the float64 scores that decide about recall."""

    name: str
    documents: Any
    queries: Any
    tenth: Any = None  # [judged queries]: the float64 score of the tenth best document

    def judge(self, judged: int) -> None:
        """Compares the first `judged` queries with every document in float64."""
        documents = self.documents.astype(np.float64)
        tenth = []
        for start in range(0, min(judged, self.queries.shape[0]), 8):
            dense = self.queries[start : min(start + 8, judged)].astype(np.float64).toarray().T
            scores = documents @ dense
            place = scores.shape[0] - 10
            tenth.append(np.partition(scores, place, axis=0)[place])
        self.tenth = np.concatenate(tenth)

    def recall(self, query: int, ids: Any) -> float:
        """The share of the ten best documents that was found; one with the score of the tenth is as good as that."""
        row = self.queries[query].astype(np.float64)
        scores = (self.documents[np.asarray(ids, dtype=np.int64)].astype(np.float64) @ row.T).toarray().ravel()
        return float((scores >= self.tenth[query] - 1e-6).sum()) / 10


def synthetic(documents: int, queries: int) -> Collection:
    """The collection of shared/bench/splade_like.py, seed 0."""
    sys.path.insert(0, str(SHARED / "bench"))
    from splade_like import splade_like  # noqa: PLC0415  it lies outside the repository

    rows, asked = splade_like(documents, queries, 0)
    name = f"synthetic-{documents // 1000}k" if documents < 1_000_000 else f"synthetic-{documents // 1_000_000}m"
    return Collection(name, rows, asked)


def real(documents: str) -> Collection:
    """SPLADE vectors of `scifact_documents` (5183) or `texts_10k`, asked the questions of SciFact."""
    folder = SHARED / "data" / "sparse"
    rows = sp.csr_matrix(sp.load_npz(folder / f"{documents}.npz"))
    return Collection(f"real-{documents}", rows, sp.csr_matrix(sp.load_npz(folder / "scifact_queries.npz")))


def collection(name: str, queries: int) -> Collection:
    """By the name on the command line: a number of documents, or a file of real vectors."""
    return synthetic(int(float(name)), queries) if name[0].isdigit() else real(name)
