"""Small static embedding folders with random tables, in the layouts of sentence-transformers and model2vec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tiny_model import VOCABULARY, safetensors_bytes, safetensors_header, tokenizer_json

STATIC = "sentence_transformers.models.StaticEmbedding"


def table(dimension: int = 12, seed: int = 5, rows: int = len(VOCABULARY)) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (rows, dimension)).astype(np.float32)


def definition() -> dict[str, Any]:
    """A tokenizer.json for the vocabulary of tiny_model."""
    return tokenizer_json({token: i for i, token in enumerate(VOCABULARY)})


def write_static(
    folder: Path, tensors: dict[str, np.ndarray], tokenizer: Any = None, modules: tuple[str, ...] = (STATIC,)
) -> Path:
    """Writes a folder with everything in its root and one module of each of these types."""
    files = {
        "modules.json": [{"path": "" if i == 0 else f"{i}_Module", "type": name} for i, name in enumerate(modules)],
        "tokenizer.json": definition() if tokenizer is None else tokenizer,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    data = b"".join(tensor.tobytes() for tensor in tensors.values())
    (folder / "model.safetensors").write_bytes(safetensors_bytes(safetensors_header(tensors), data))
    return folder
