"""SPLADE folders with something missing or wrong in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import corten
from faults.refusal import not_found, refused
from tiny_model import HIDDEN, VOCABULARY, tiny_model, tiny_splade

TERMS = len(VOCABULARY)
DECODER = "cls.predictions.decoder.weight"
TEXTS = ["the heart of a patient", "cells"]


def test_without_a_head(tmp_path: Path) -> None:
    files = tiny_splade()
    files.tensors = tiny_model().tensors
    assert refused(files.write(tmp_path)) == (
        'model.safetensors: missing 5 tensors: "cls.predictions.transform.dense.weight", '
        '"cls.predictions.transform.dense.bias", "cls.predictions.transform.LayerNorm.weight", '
        '"cls.predictions.transform.LayerNorm.bias", "cls.predictions.bias" (prefixes tried: "")'
    )


@pytest.mark.parametrize("name", ["transform.dense.weight", "transform.LayerNorm.bias", "bias"])
def test_a_missing_tensor(tmp_path: Path, name: str) -> None:
    files = tiny_splade()
    del files.tensors[f"cls.predictions.{name}"]
    message = f'model.safetensors: missing 1 tensor: "cls.predictions.{name}" (prefixes tried: "")'
    assert refused(files.write(tmp_path)) == message


def test_an_untied_decoder_that_is_missing(tmp_path: Path) -> None:
    files = tiny_splade()
    files.config["tie_word_embeddings"] = False
    assert refused(files.write(tmp_path)) == f'model.safetensors: missing 1 tensor: "{DECODER}" (prefixes tried: "")'


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        (DECODER, (TERMS - 1, HIDDEN), [TERMS, HIDDEN]),
        (DECODER, (TERMS, HIDDEN // 2), [TERMS, HIDDEN]),
        ("cls.predictions.bias", (TERMS + 1,), [TERMS]),
        ("cls.predictions.decoder.bias", (TERMS - 1,), [TERMS]),
        ("cls.predictions.transform.dense.weight", (HIDDEN, HIDDEN + 1), [HIDDEN, HIDDEN]),
    ],
)
def test_vocabulary_and_decoder_of_different_sizes(
    tmp_path: Path, name: str, shape: tuple[int, ...], expected: list[int]
) -> None:
    files = tiny_splade()
    files.tensors[name] = np.zeros(shape, dtype=np.float32)
    assert refused(files.write(tmp_path)) == (
        f'model.safetensors: tensor "{name}": expected shape {expected} (from config.json), found {list(shape)}'
    )


@pytest.mark.parametrize("name", ["cls.predictions.bias", "cls.predictions.transform.dense.weight", DECODER])
def test_weights_that_are_not_finite(tmp_path: Path, name: str) -> None:
    files = tiny_splade()
    tensor = files.tensors.get(name, files.tensors["bert.embeddings.word_embeddings.weight"]).copy()
    tensor.reshape(-1)[3] = np.nan
    files.tensors[name] = tensor
    message = f'model.safetensors: tensor "{name}": expected finite values, found at index 3: NaN'
    assert refused(files.write(tmp_path)) == message


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("pooling_strategy", "mean", 'expected max or sum, found "mean"'),
        ("pooling_strategy", 1, "expected a string, found 1"),
        ("activation_function", "gelu", 'expected relu or log1p_relu, found "gelu"'),
        ("embedding_dimension", 5, f"expected {TERMS} (vocab_size of the transformer's config.json), found 5"),
    ],
)
def test_fields_of_the_pooling(tmp_path: Path, field: str, value: Any, message: str) -> None:
    files = tiny_splade()
    files.splade_pooling[field] = value
    assert refused(files.write(tmp_path)) == f"1_SpladePooling/config.json: {field}: {message}"


@pytest.mark.parametrize("value", [0, -3, 1.5, "8", True])
def test_max_active_dims_of_the_folder(tmp_path: Path, value: Any) -> None:
    files = tiny_splade()
    files.config_sentence_transformers["max_active_dims"] = value
    shown = f'"{value}"' if isinstance(value, str) else str(value).lower()
    message = "config_sentence_transformers.json: max_active_dims: expected an integer of at least 1, found "
    assert refused(files.write(tmp_path)) == message + shown


def test_without_its_pooling_file(tmp_path: Path) -> None:
    files = tiny_splade()
    files.splade_pooling = None
    assert not_found(files.write(tmp_path)) == ("expected a file, found nothing", "1_SpladePooling/config.json")


def test_a_transformer_that_gives_no_logits(tmp_path: Path) -> None:
    files = tiny_splade()
    del files.sentence_bert_config["transformer_task"]
    message = 'sentence_bert_config.json: transformer_task: expected "fill-mask", found nothing'
    assert refused(files.write(tmp_path)) == message


def test_the_names_of_decoder_and_bias(tmp_path: Path) -> None:
    """A decoder or bias of its own goes before the tied one; the bias is found under both names."""
    reference = corten.Encoder(tiny_splade().write(tmp_path / "tied")).encode(TEXTS)

    files = tiny_splade()
    files.tensors["cls.predictions.decoder.bias"] = files.tensors.pop("cls.predictions.bias")
    assert corten.Encoder(files.write(tmp_path / "bias")).encode(TEXTS) == reference

    files = tiny_splade()
    files.tensors[DECODER] = files.tensors["bert.embeddings.word_embeddings.weight"]
    files.config["tie_word_embeddings"] = False
    assert corten.Encoder(files.write(tmp_path / "untied")).encode(TEXTS) == reference

    files.tensors[DECODER] = files.tensors[DECODER] * 2
    for tied in (True, False):
        files.config["tie_word_embeddings"] = tied
        assert corten.Encoder(files.write(tmp_path / f"other{tied}")).encode(TEXTS) != reference

    files = tiny_splade()
    files.tensors["cls.predictions.decoder.bias"] = files.tensors["cls.predictions.bias"] + 1
    assert corten.Encoder(files.write(tmp_path / "otherbias")).encode(TEXTS) != reference

    files = tiny_splade()
    for name in ("weight", "bias"):
        old = {"weight": "gamma", "bias": "beta"}[name]
        norm = "cls.predictions.transform.LayerNorm"
        files.tensors[f"{norm}.{old}"] = files.tensors.pop(f"{norm}.{name}")
    files.tensors = {name.removeprefix("bert."): tensor for name, tensor in files.tensors.items()}
    assert corten.Encoder(files.write(tmp_path / "old")).encode(TEXTS) == reference
