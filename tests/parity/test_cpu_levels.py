"""Every set of instructions this processor has gives the reference's vectors, and an unknown one is refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import corten
from parity.test_dtypes import WORST_COSINE
from parity.test_minilm import cosines

TEXTS = 40
# Each processor has the first few of one of these lists.
ORDERS = [("scalar", "avx2", "avx512", "avx512_vnni", "avx512_bf16", "amx"), ("scalar", "neon")]
LEVELS = sorted({level for order in ORDERS for level in order})

ENCODE = """
import json, sys
import corten, numpy as np
texts = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8")]
encoder = corten.Encoder(sys.argv[1], dtype=sys.argv[4])
alone = encoder.encode(texts[-1])
vectors = encoder.encode(texts)
assert np.array_equal(vectors[-1], alone)
np.save(sys.argv[3], vectors)
print(corten.cpu_info()["level"])
"""


def levels_up_to(detected: str) -> tuple[str, ...]:
    order = next(order for order in ORDERS if detected in order)
    return order[: order.index(detected) + 1]


def encode_at(level: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ENCODE, *arguments],
        env={**os.environ, "CORTEN_CPU_LEVEL": level},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.timeout(120)
@pytest.mark.parametrize("level", LEVELS)
def test_level(minilm_folder: Path, minilm_reference: np.ndarray, tmp_path: Path, level: str) -> None:
    if level not in levels_up_to(corten.cpu_info()["detected"]):
        pytest.skip(f"NOT RUN: this processor has no {level}")
    texts, out = tmp_path / "texts.jsonl", tmp_path / "vectors.npy"
    lines = (Path(__file__).parent.parent / "data" / "texts.jsonl").read_text(encoding="utf-8").splitlines()[:TEXTS]
    texts.write_text("\n".join(lines), encoding="utf-8")
    done = encode_at(level, str(minilm_folder), str(texts), str(out), "float32")
    assert (done.returncode, done.stdout) == (0, f"{level}\n"), done.stderr
    assert np.abs(np.load(out).astype(np.float64) - minilm_reference[:TEXTS]).max() <= 1e-5
    for dtype, bound in WORST_COSINE.items():
        done = encode_at(level, str(minilm_folder), str(texts), str(out), dtype)
        assert (done.returncode, done.stdout) == (0, f"{level}\n"), done.stderr
        assert cosines(np.load(out), minilm_reference[:TEXTS]).min() >= bound


def test_the_levels_are_those_the_processor_has(tiny_folder: Path) -> None:
    """The error for an unknown level lists them, so that a level which is missing above does not go untested."""
    done = encode_at("avx9", str(tiny_folder), os.devnull, os.devnull, "float32")
    listed = re.findall(r"expected one of (.*) on this processor", done.stderr)[-1]
    assert tuple(listed.split(", ")) == levels_up_to(corten.cpu_info()["detected"])


def test_levels_of_other_processors() -> None:
    assert levels_up_to("neon") == ("scalar", "neon")
    assert levels_up_to("avx2") == ("scalar", "avx2")


def test_an_unknown_level_is_refused(tiny_folder: Path) -> None:
    done = encode_at("avx9", str(tiny_folder), os.devnull, os.devnull, "float32")
    assert done.returncode == 1
    assert "CORTEN_CPU_LEVEL: expected one of scalar" in done.stderr.splitlines()[-1]
    assert 'found "avx9"' in done.stderr.splitlines()[-1]
