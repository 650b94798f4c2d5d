"""Exact search finds what comparing every document in float64 finds: real SPLADE vectors, random rows of all kinds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import corten
from parity.test_cpu_levels import LEVELS, levels_up_to
from shared_files import REPOSITORY, SHARED
from sparse_reference import check_hits, check_queries, random_rows

REAL = SHARED / "data" / "sparse"
needs_real_vectors = pytest.mark.skipif(not REAL.is_dir(), reason=f"NOT RUN: there is no folder {REAL}")

# The promise for vectors like these, whose scores are below 100.
TOLERANCE = 1e-5


def real(name: str) -> sp.csr_matrix:
    return sp.csr_matrix(sp.load_npz(REAL / f"{name}.npz"))


@needs_real_vectors
@pytest.mark.parametrize("k", [1, 10, 100])
def test_scifact(k: int) -> None:
    documents, queries = real("scifact_documents"), real("scifact_queries")
    index = corten.SparseIndex.build(documents)
    ids, scores = index.search(queries, k=k)
    for number in range(0, queries.shape[0], 5):
        hits = ids[number], scores[number]
        check_hits(hits, documents, range(documents.shape[0]), queries[number], k, tolerance=TOLERANCE)


@needs_real_vectors
def test_real_texts_with_documents_as_queries(tmp_path: Path) -> None:
    """Long queries, of 182 terms; in pieces, with deleted documents, from a file."""
    documents = real("texts_10k")
    index = corten.SparseIndex.build(documents[:7000])
    index.add(documents[7000:9900])
    index.add(documents[9900:])
    index.delete(np.arange(0, 10_000, 7))
    index.save(tmp_path / "index")
    index = corten.SparseIndex.open(tmp_path / "index")
    allowed = np.arange(10_000) % 7 > 0
    for number in range(0, 10_000, 311):
        hits = index.search(documents[number], k=20)
        check_hits(hits, documents, range(10_000), documents[number], 20, allowed, tolerance=TOLERANCE)


@needs_real_vectors
def test_approximate_search_has_the_recall_that_is_asked_for() -> None:
    documents, queries = real("texts_10k"), real("scifact_queries")
    index = corten.SparseIndex.build(documents)
    exact = index.search(queries)[0]
    before = 0.0
    for recall in (0.9, 0.99):
        found = index.search(queries, exact=False, recall=recall)[0]
        same = sum(len(set(one) & set(other)) for one, other in zip(exact.tolist(), found.tolist(), strict=True))
        # 3000 results: the standard deviation of a share of 0.9 is 0.005.
        assert same / exact.size >= recall - 0.02
        assert same / exact.size >= before - 0.005
        before = same / exact.size


@pytest.mark.parametrize("kind", ["learned", "few values", "huge and tiny"])
def test_several_windows(kind: str) -> None:
    """More documents than a 16-bit number can count, some terms in nearly all of them."""
    rng = np.random.default_rng(len(kind))
    documents = random_rows(rng, 70_000, 80, kind, mean=5)
    index = corten.SparseIndex.build(documents)
    queries = random_rows(rng, 12, 80, kind, mean=8, empty=0)
    queries.data[-20:] *= -1
    check_queries(index, documents, range(70_000), queries, 10)
    for k in (1, 1000, 70_000):
        check_hits(index.search(queries[0], k=k), documents, range(70_000), queries[0], k)


@pytest.mark.parametrize("exponent", [-6, 0, 6])
def test_weights_that_cannot_be_told_apart_by_bounds(exponent: int) -> None:
    """All weights alike: nothing can be skipped, and scores are close together."""
    rng = np.random.default_rng(exponent + 10)
    documents = random_rows(rng, 20_000, 60, "learned", mean=10)
    documents.data = (10.0**exponent * rng.uniform(0.999, 1.0, len(documents.data))).astype(np.float32)
    index = corten.SparseIndex.build(documents)
    queries = random_rows(rng, 10, 60, "learned", mean=10, empty=0)
    queries.data[:] = 1
    check_queries(index, documents, range(20_000), queries, 25)


def shapes() -> list[tuple[str, sp.csr_matrix]]:
    """Rows at the edges."""
    rng = np.random.default_rng(0)
    one_term = sp.csr_matrix(np.ones((300, 1), np.float32))
    full = sp.csr_matrix(rng.random((200, 300)).astype(np.float32))
    mostly_empty = random_rows(rng, 3000, 30, "learned", empty=0.99)
    one_document = random_rows(rng, 1, 30, "learned", empty=0)
    same = sp.vstack([random_rows(rng, 1, 30, "learned", empty=0)] * 400, format="csr")
    return [
        ("one term", one_term),
        ("no zeros", full),
        ("mostly empty", mostly_empty),
        ("one document", one_document),
        ("the same", same),
    ]


@pytest.mark.parametrize(("name", "documents"), shapes(), ids=[name for name, _ in shapes()])
def test_shapes(name: str, documents: sp.csr_matrix) -> None:
    index = corten.SparseIndex.build(documents)
    ids: Any = range(documents.shape[0])
    for row in range(0, documents.shape[0], 1 + documents.shape[0] // 10):
        check_hits(index.search(documents[row], k=15), documents, ids, documents[row], 15)


def test_terms_that_are_far_apart() -> None:
    """Up to the largest dimension there is; the comparison is made with the same rows closer together."""
    near = random_rows(np.random.default_rng(0), 500, 40, "learned")
    step = (2**31 - 1) // 39
    index = corten.SparseIndex.build((near.indptr, near.indices * step, near.data), dim=2**31)
    for row in range(0, 500, 37):
        query = near[row]
        hits = index.search((query.indptr, query.indices * step, query.data), k=15)
        check_hits(hits, near, range(500), query, 15)


AT_LEVEL = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import corten
from sparse_reference import check_queries, random_rows

rng = np.random.default_rng(0)
for kind in ("learned", "few values", "huge and tiny"):
    documents = random_rows(rng, 20_000, 100, kind, mean=8)
    queries = random_rows(rng, 10, 100, kind, mean=8, empty=0)
    check_queries(corten.SparseIndex.build(documents), documents, range(20_000), queries, 10)
print(corten.cpu_info()["level"])
"""


@pytest.mark.parametrize("level", LEVELS)
def test_level(level: str) -> None:
    if level not in levels_up_to(corten.cpu_info()["detected"]):
        pytest.skip(f"NOT RUN: this processor has no {level}")
    done = subprocess.run(
        [sys.executable, "-c", AT_LEVEL, str(REPOSITORY / "tests")],
        env={**os.environ, "CORTEN_CPU_LEVEL": level},
        capture_output=True,
        text=True,
        timeout=28,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"{level}\n"), done.stderr
