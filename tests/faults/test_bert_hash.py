"""BertHash folders that do not fit together. The linear map is found by its shape, so it must be the only one of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import corten
from faults.refusal import refused
from tiny_model import HIDDEN, VOCABULARY, ModelFiles, tiny_model

P = 5
PLACE = "embeddings.word_embeddings."
SHAPES = f"[{HIDDEN}, {P}] (hidden_size and projections of config.json)"


def bert_hash(**tensors: np.ndarray) -> ModelFiles:
    """A model with a table of `P` columns and these tensors beside it, given without their place."""
    files = tiny_model()
    random = np.random.default_rng(3)
    del files.tensors[f"{PLACE}weight"]
    files.tensors[f"{PLACE}embeddings.weight"] = random.normal(0, 0.3, (len(VOCABULARY), P)).astype(np.float32)
    files.tensors |= {f"{PLACE}{name}": tensor for name, tensor in tensors.items()}
    files.config |= {
        "model_type": "bert_hash",
        "architectures": ["BertHashModel"],
        "auto_map": {"AutoModel": "modeling_bert_hash.BertHashModel"},
        "projections": P,
    }
    return files


def matrix(rows: int = HIDDEN, columns: int = P) -> np.ndarray:
    return np.random.default_rng(4).normal(0, 0.3, (rows, columns)).astype(np.float32)


def test_it_is_the_bert_of_the_multiplied_table_under_any_name(tmp_path: Path) -> None:
    bias = np.random.default_rng(6).normal(0, 0.3, HIDDEN).astype(np.float32)
    hashed = bert_hash(**{"anything.w": matrix(), "something.else": bias})
    (tmp_path / "modeling_bert_hash.py").write_text("raise SystemExit('run')", encoding="utf-8")
    found = corten.Encoder(hashed.write(tmp_path), trust_remote_code=True).encode(["does insulin help", "a cell"])

    plain = tiny_model()
    narrow = hashed.tensors[f"{PLACE}embeddings.weight"]
    plain.tensors[f"{PLACE}weight"] = (narrow.astype(np.float64) @ matrix().T + bias).astype(np.float32)
    expected = corten.Encoder(plain.write(tmp_path / "plain")).encode(["does insulin help", "a cell"])
    # The table differs by one rounding of float32 sums of five products.
    assert np.abs(found - expected).max() <= 1e-5
    without = corten.Encoder(bert_hash(map=matrix()).write(tmp_path / "without")).encode(["a cell"])
    assert np.abs(without - found[1]).max() > 1e-2


def test_no_projections(tmp_path: Path) -> None:
    files = bert_hash(map=matrix())
    del files.config["projections"]
    expected = "config.json: projections: expected an integer from 1 to 1048576, found nothing"
    assert refused(files.write(tmp_path)) == expected


def test_no_map(tmp_path: Path) -> None:
    expected = f'model.safetensors: tensors under "{PLACE}": expected one of shape {SHAPES}, found none'
    assert refused(bert_hash().write(tmp_path)) == expected


def test_two_maps(tmp_path: Path) -> None:
    files = bert_hash(first=matrix(), second=matrix())
    assert refused(files.write(tmp_path)) == (
        f'model.safetensors: tensors under "{PLACE}": expected one of shape {SHAPES}, '
        f'found "{PLACE}first", "{PLACE}second"'
    )


def test_two_biases(tmp_path: Path) -> None:
    bias = np.zeros(HIDDEN, dtype=np.float32)
    files = bert_hash(map=matrix(), b1=bias, b2=bias)
    assert refused(files.write(tmp_path)) == (
        f'model.safetensors: tensors under "{PLACE}": expected at most one of shape [{HIDDEN}] '
        f'(hidden_size of config.json), found "{PLACE}b1", "{PLACE}b2"'
    )


@pytest.mark.parametrize("shape", [(P, HIDDEN), (P,), (HIDDEN, P, 1)])
def test_a_tensor_that_is_neither(tmp_path: Path, shape: tuple[int, ...]) -> None:
    files = bert_hash(map=np.zeros(shape, dtype=np.float32))
    assert refused(files.write(tmp_path)) == (
        f'model.safetensors: tensor "{PLACE}map": expected shape [{HIDDEN}, {P}] or [{HIDDEN}] (from config.json), '
        f"found {list(shape)}"
    )


def test_a_table_of_another_width(tmp_path: Path) -> None:
    files = bert_hash(map=matrix())
    files.config["projections"] = P + 1
    assert refused(files.write(tmp_path)) == (
        f'model.safetensors: tensor "{PLACE}embeddings.weight": expected shape [{len(VOCABULARY)}, {P + 1}] '
        f"(from config.json), found [{len(VOCABULARY)}, {P}]"
    )


def test_bert_s_own_table(tmp_path: Path) -> None:
    files = bert_hash(map=matrix(), weight=matrix(len(VOCABULARY), HIDDEN))
    del files.tensors[f"{PLACE}embeddings.weight"]
    expected = f'model.safetensors: missing 1 tensor: "{PLACE}embeddings.weight" (prefixes tried: "", "bert.")'
    assert refused(files.write(tmp_path)) == expected
