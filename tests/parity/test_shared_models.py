"""The trained models beside the fixtures, against sentence-transformers in float32."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import corten
from parity.test_cpu_levels import LEVELS, levels_up_to
from shared_files import SHARED

STATIC = SHARED / "models" / "static-minilm-256"

pytestmark = pytest.mark.skipif(not STATIC.is_dir(), reason=f"NOT RUN: there is no folder {STATIC}")

ENCODE = """
import json, sys
import corten, numpy as np
texts = [entry["text"] for entry in json.load(open(sys.argv[2], encoding="utf-8"))]
np.save(sys.argv[3], corten.Encoder(sys.argv[1]).encode(texts))
"""


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [entry["text"] for entry in json.loads((STATIC / "golden" / "texts.json").read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return load_file(STATIC / "golden" / "golden.safetensors")


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    """The fixtures' bound for static embeddings: sums of float32 rows, here of up to some thousand tokens."""
    assert found.shape == expected.shape
    return bool(np.all(np.abs(found - expected) <= 1e-5 + 1e-5 * np.abs(expected)))


def test_vectors(texts: list[str], golden: dict[str, np.ndarray]) -> None:
    encoder = corten.Encoder(STATIC)
    assert close(encoder.encode(texts), golden["embeddings"])
    assert close(encoder.encode(texts, normalize_embeddings=True), golden["normalized"])


@pytest.mark.parametrize("dimension", [32, 64, 128, 256])
def test_matryoshka(texts: list[str], golden: dict[str, np.ndarray], dimension: int) -> None:
    cut = golden["embeddings"][:, :dimension]
    for encoder, argument in [
        (corten.Encoder(STATIC), dimension),
        (corten.Encoder(STATIC, truncate_dim=dimension), None),
    ]:
        assert close(encoder.encode(texts, truncate_dim=argument), cut)
        unit = cut / np.maximum(np.linalg.norm(cut, axis=1, keepdims=True), 1e-12)
        assert close(encoder.encode(texts, truncate_dim=argument, normalize_embeddings=True), unit)


def test_the_root_layout_gives_the_same_bits(tmp_path: Path, texts: list[str]) -> None:
    for file in ("model.safetensors", "tokenizer.json"):
        (tmp_path / file).write_bytes((STATIC / "0_StaticEmbedding" / file).read_bytes())
    (tmp_path / "modules.json").write_bytes((STATIC / "root_layout" / "modules.json").read_bytes())
    assert np.array_equal(corten.Encoder(tmp_path).encode(texts), corten.Encoder(STATIC).encode(texts))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("level", LEVELS)
def test_level(tmp_path: Path, golden: dict[str, np.ndarray], level: str) -> None:
    detected = corten.cpu_info()["detected"]
    if level not in levels_up_to(detected):
        pytest.skip(f"NOT RUN: this processor has no {level}")
    arguments = [str(STATIC), str(STATIC / "golden" / "texts.json"), str(tmp_path / "vectors.npy")]
    environment = {**os.environ, "CORTEN_CPU_LEVEL": level}
    subprocess.run([sys.executable, "-c", ENCODE, *arguments], env=environment, check=True, timeout=100)
    assert close(np.load(tmp_path / "vectors.npy"), golden["embeddings"])
