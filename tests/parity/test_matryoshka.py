"""truncate_dim at the sizes of the published Matryoshka models, at load and per call, in the reference's order.

The goldens of the fixtures hold the same at their own sizes (test_fixtures.py); these folders are as wide as the
published ones: BERT with 768 dimensions, static embeddings with 1024.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import corten
from static_model import STATIC, table, write_static
from tiny_model import HIDDEN, safetensors_bytes, safetensors_header, tiny_model

TEXTS = ["does insulin help the patient", "the heart of a cell", ""]


def write_dense(folder: Path, normalize: bool) -> Path:
    """The small BERT with a Dense module to 768 dimensions."""
    files = tiny_model()
    dense = "sentence_transformers.models.Dense"
    files.modules.append({"path": "2_Dense", "type": dense})
    if normalize:
        files.modules.append({"path": "3_Normalize", "type": "sentence_transformers.models.Normalize"})
    files.write(folder)
    random = np.random.default_rng(8)
    tensors = {
        "linear.weight": random.normal(0, 0.3, (768, HIDDEN)).astype(np.float32),
        "linear.bias": random.normal(0, 0.3, 768).astype(np.float32),
    }
    data = b"".join(tensor.tobytes() for tensor in tensors.values())
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "model.safetensors").write_bytes(safetensors_bytes(safetensors_header(tensors), data))
    config = (
        f'{{"in_features": {HIDDEN}, "out_features": 768, "activation_function": "torch.nn.modules.activation.Tanh"}}'
    )
    (folder / "2_Dense" / "config.json").write_text(config, encoding="utf-8")
    return folder


@pytest.fixture(scope="module", params=[("dense", False), ("dense", True), ("static", False), ("static", True)])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    family, normalize = request.param
    path = tmp_path_factory.mktemp(family)
    if family == "dense":
        return write_dense(path, normalize), 768
    modules = (STATIC, "sentence_transformers.models.Normalize") if normalize else (STATIC,)
    return write_static(path, {"embedding.weight": table(1024)}, modules=modules), 1024


@pytest.mark.parametrize("dimension", [32, 64, 128, 256, 384, 512, 768, 1024])
def test_sizes(folder: tuple[Path, int], dimension: int) -> None:
    path, width = folder
    whole = corten.Encoder(path).encode(TEXTS)
    assert whole.shape == (3, width)
    cut = whole[:, :dimension]  # a size beyond the width changes nothing
    norms = np.linalg.norm(cut.astype(np.float64), axis=1, keepdims=True)
    unit = cut / np.maximum(norms, 1e-12)
    for encoder, argument in [(corten.Encoder(path), dimension), (corten.Encoder(path, truncate_dim=dimension), None)]:
        assert np.array_equal(encoder.encode(TEXTS, truncate_dim=argument), cut)
        found = encoder.encode(TEXTS, truncate_dim=argument, normalize_embeddings=True)
        assert np.abs(found - unit).max() <= 1e-6
    assert corten.Encoder(path, truncate_dim=dimension).get_embedding_dimension() == min(dimension, width)
