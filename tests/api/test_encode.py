"""encode(): the reference's parameters, and the shape and type of what comes back."""

from __future__ import annotations

import builtins
import inspect
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import corten

# encode() of sentence-transformers 6.2: names, order and defaults. `inputs` was `sentences` up to 5.3.
REFERENCE = {
    "prompt_name": None,
    "prompt": None,
    "batch_size": 32,
    "show_progress_bar": None,
    "output_value": "sentence_embedding",
    "precision": "float32",
    "convert_to_numpy": True,
    "convert_to_tensor": False,
    "device": None,
    "normalize_embeddings": False,
    "truncate_dim": None,
    "pool": None,
    "chunk_size": None,
}
TEXTS = ["the heart of a patient", "cells", "", "does insulin help?"]


@pytest.mark.parametrize("method", ["encode", "encode_query", "encode_document"])
def test_signature(tiny: corten.Encoder, method: str) -> None:
    parameters = inspect.signature(getattr(tiny, method)).parameters
    assert next(iter(parameters)) == "sentences"
    found = {name: parameter.default for name, parameter in parameters.items() if name in REFERENCE}
    assert list(found.items()) == list(REFERENCE.items())
    assert all(parameters[name].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for name in REFERENCE)


def test_a_list_gives_one_row_a_text(tiny: corten.Encoder) -> None:
    vectors = tiny.encode(TEXTS)
    assert vectors.shape == (4, 16)
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    assert vectors.flags.writeable
    assert np.isfinite(vectors).all()
    assert len({row.tobytes() for row in vectors}) == 4


def test_one_text_gives_one_vector(tiny: corten.Encoder) -> None:
    vector = tiny.encode(TEXTS[0])
    assert vector.shape == (16,)
    assert np.array_equal(vector, tiny.encode(TEXTS)[0])


@pytest.mark.parametrize("precision", ["float32", "int8", "uint8", "binary", "ubinary"])
def test_no_texts_give_no_rows(tiny: corten.Encoder, precision: Any) -> None:
    vectors = tiny.encode([], precision=precision)
    assert vectors.shape == (0, 2 if "binary" in precision else 16)
    assert vectors.dtype == {"float32": "f4", "int8": "i1", "uint8": "u1", "binary": "i1", "ubinary": "u1"}[precision]


def test_no_texts_with_other_outputs(tiny: corten.Encoder) -> None:
    assert tiny.encode([], output_value="token_embeddings") == []
    assert tiny.encode([], convert_to_numpy=False) == []
    assert tiny.encode([], truncate_dim=5).shape == (0, 5)
    assert (tiny.encode([]) @ tiny.encode(TEXTS).T).shape == (0, 4)


def test_the_keyword_is_sentences_or_inputs(tiny: corten.Encoder) -> None:
    expected = tiny.encode(TEXTS)
    assert np.array_equal(tiny.encode(sentences=TEXTS), expected)
    assert np.array_equal(tiny.encode(inputs=TEXTS), expected)
    assert np.array_equal(tiny.encode_document(inputs=TEXTS), expected)


def test_convert_to_numpy_false_gives_a_list_of_vectors(tiny: corten.Encoder) -> None:
    rows = tiny.encode(TEXTS, convert_to_numpy=False)
    assert isinstance(rows, list)
    assert np.array_equal(np.stack(rows), tiny.encode(TEXTS))
    assert tiny.encode(TEXTS[0], convert_to_numpy=False).shape == (16,)


def test_token_embeddings(tiny: corten.Encoder) -> None:
    rows = tiny.encode(TEXTS, output_value="token_embeddings")
    assert [row.shape for row in rows] == [(len(ids), 16) for ids in tiny.token_ids(TEXTS)]
    assert all(row.dtype == np.float32 for row in rows)
    one = tiny.encode(TEXTS[0], output_value="token_embeddings")
    assert np.array_equal(one, rows[0])
    # Mean pooling is the mean of the token vectors.
    assert np.allclose(one.mean(axis=0), tiny.encode(TEXTS[0]), atol=1e-6)


def test_token_embeddings_in_fewer_bits_share_their_ranges(tiny: corten.Encoder) -> None:
    rows = tiny.encode(TEXTS, output_value="token_embeddings")
    quantized = tiny.encode(TEXTS, output_value="token_embeddings", precision="uint8")
    together = corten.quantize_embeddings(np.concatenate(rows), "uint8")
    assert np.array_equal(np.concatenate(quantized), together)


def test_truncation_then_normalization(tiny: corten.Encoder) -> None:
    whole = tiny.encode(TEXTS)
    assert np.array_equal(tiny.encode(TEXTS, truncate_dim=5), whole[:, :5])
    assert np.array_equal(tiny.encode(TEXTS, truncate_dim=900), whole)
    unit = tiny.encode(TEXTS, truncate_dim=5, normalize_embeddings=True)
    assert np.allclose(unit, whole[:, :5] / np.linalg.norm(whole[:, :5], axis=1, keepdims=True), atol=1e-6)
    assert np.allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("wrong", ["False", None, 2, float("nan")])
def test_normalize_embeddings_is_a_bool(tiny: corten.Encoder, wrong: Any) -> None:
    with pytest.raises(ValueError, match=f"^normalize_embeddings: expected True or False, found {wrong!r}$"):
        tiny.encode(TEXTS, normalize_embeddings=wrong)
    for one in (1, np.True_):
        assert np.array_equal(
            tiny.encode(TEXTS, normalize_embeddings=one), tiny.encode(TEXTS, normalize_embeddings=True)
        )


def test_truncate_dim_of_the_encoder_and_its_context(tiny_folder: Any) -> None:
    encoder = corten.Encoder(tiny_folder, truncate_dim=8)
    whole = encoder.encode(TEXTS, truncate_dim=16)
    assert encoder.get_embedding_dimension() == 8
    assert encoder.get_sentence_embedding_dimension() == 8
    assert np.array_equal(encoder.encode(TEXTS), whole[:, :8])
    with encoder.truncate_embeddings(3):
        assert encoder.encode(TEXTS).shape == (4, 3)
    with encoder.truncate_sentence_embeddings(None):
        assert np.array_equal(encoder.encode(TEXTS), whole)
    assert encoder.truncate_dim == 8


def test_batch_size_changes_no_bit(tiny: corten.Encoder) -> None:
    expected = tiny.encode(TEXTS)
    for batch_size in (1, 3, 10**6):
        assert np.array_equal(tiny.encode(TEXTS, batch_size=batch_size), expected)


@pytest.mark.parametrize("output_value", ["sentence_embedding", "token_embeddings"])
def test_only_a_given_batch_size_is_passed_on(
    tiny: corten.Encoder, monkeypatch: pytest.MonkeyPatch, output_value: str
) -> None:
    """Where none is given the device decides."""
    told: list[object] = []

    class Native:
        is_sparse = False
        device, dimension = tiny.device, 16

        def encode(self, texts: list[str], **arguments: object) -> np.ndarray:
            told.append(arguments.get("batch_size"))
            return np.zeros((len(texts), 16), np.float32)

        token_embeddings = encode

    monkeypatch.setattr(tiny, "_native", Native())
    tiny.encode(TEXTS, output_value=output_value)
    tiny.encode(TEXTS, output_value=output_value, batch_size=32)
    tiny.encode_query(TEXTS, output_value=output_value, batch_size=7)
    assert told == [None, 32, 7]


@pytest.mark.parametrize("argument", ["batch_size", "truncate_dim"])
@pytest.mark.parametrize("value", [0, -1, True, False, 2.0, float("nan"), "2"])
def test_integers_out_of_range(tiny: corten.Encoder, argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        tiny.encode(TEXTS, **{argument: value})
    assert str(error.value) == f"{argument}: expected an integer of at least 1, found {value!r}"


@pytest.mark.parametrize("argument", ["batch_size", "truncate_dim"])
@pytest.mark.parametrize("value", [2**63, 2**64, 10**30])
def test_huge_integers_mean_as_many_as_there_are(tiny: corten.Encoder, argument: str, value: int) -> None:
    assert np.array_equal(tiny.encode(TEXTS, **{argument: value}), tiny.encode(TEXTS))


def test_numpy_integers_are_integers(tiny: corten.Encoder) -> None:
    assert tiny.encode(TEXTS, batch_size=np.int64(2), truncate_dim=np.uint8(3)).shape == (4, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"colour": 1, "beam": 2}, 'encode: unknown keyword arguments: "beam", "colour"'),
        ({"pool": {}}, "pool: expected None: one Encoder uses all cores without other processes"),
        ({"output_value": None}, 'output_value: expected one of "sentence_embedding", "token_embeddings", found None'),
        (
            {"precision": "int4"},
            'precision: expected one of "float32", "int8", "uint8", "binary", "ubinary", found \'int4\'',
        ),
    ],
)
def test_arguments_no_model_takes(tiny: corten.Encoder, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        tiny.encode(TEXTS, **arguments)
    assert str(error.value) == message


def test_without_torch_a_tensor_is_a_clear_error(tiny: corten.Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_torch(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    with pytest.raises(ImportError, match=r"^convert_to_tensor: torch is not installed \(hint: "):
        tiny.encode(TEXTS, convert_to_tensor=True)


def test_a_tensor_is_made_of_the_array(tiny: corten.Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.from_numpy gets the array that would have been returned; torch itself is too large to test with."""
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(from_numpy=lambda array: ("tensor", array)))
    for sentences in (TEXTS, []):
        kind, array = tiny.encode(sentences, convert_to_tensor=True, convert_to_numpy=False)
        assert kind == "tensor"
        assert np.array_equal(array, tiny.encode(sentences))
    rows = tiny.encode(TEXTS, convert_to_tensor=True, output_value="token_embeddings")
    assert all(isinstance(row, np.ndarray) for row in rows)
