"""The Encoder's attributes, prompts, pickling and copying."""

from __future__ import annotations

import copy
import logging
import multiprocessing
import pickle
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import corten
from tiny_model import tiny_model

TEXTS = ["the heart", "of a patient"]


def test_attributes(tiny: corten.Encoder, tiny_folder: Path) -> None:
    assert tiny.max_seq_length == 32
    assert tiny.device == "cpu"
    assert tiny.dtype == "float32"
    assert tiny.threads >= 1
    assert tiny.prompts == {"query": "query: ", "document": ""}
    assert tiny.default_prompt_name is None
    assert tiny.similarity_fn_name == "cosine"
    assert tiny.truncate_dim is None
    assert tiny.get_embedding_dimension() == 16
    expected = f'Encoder("{tiny_folder}", dimension=16, max_seq_length=32, device="cpu", dtype="float32", threads='
    assert repr(tiny) == f"{expected}{tiny.threads})"


@pytest.mark.parametrize("device", [None, "cpu", "auto"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_what_this_build_has(tiny_folder: Path, device: str | None, dtype: str) -> None:
    encoder = corten.Encoder(tiny_folder, device=device, dtype=dtype, trust_remote_code=True, threads=1)
    assert (encoder.device, encoder.dtype, encoder.threads) == ("cpu", dtype, 1)


def test_the_default_dtype_is_the_exact_one(tiny: corten.Encoder) -> None:
    assert tiny.dtype == "float32"


def test_auto_is_bfloat16_where_there_are_instructions_for_it(tiny_folder: Path) -> None:
    has_bfloat16 = corten.cpu_info()["level"] in {"avx512_bf16", "amx"}
    assert corten.Encoder(tiny_folder, dtype="auto").dtype == ("bfloat16" if has_bfloat16 else "float32")


@pytest.mark.parametrize("dtype", ["float16", "f32", "", 8, None])
def test_other_dtypes(tiny_folder: Path, dtype: Any) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        corten.Encoder(tiny_folder, dtype=dtype)
    assert str(error.value) == f'dtype: expected "float32", "bfloat16", "int8" or "auto", found {dtype!r}'


@pytest.mark.parametrize("argument", ["threads", "truncate_dim"])
@pytest.mark.parametrize("value", [0, -3, True, 1.0])
def test_arguments_out_of_range(tiny_folder: Path, argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        corten.Encoder(tiny_folder, **{argument: value})
    assert str(error.value) == f"{argument}: expected an integer of at least 1, found {value!r}"


def test_max_seq_length_can_be_set(tiny_folder: Path) -> None:
    encoder = corten.Encoder(tiny_folder)
    text = "a " * 100
    for limit in (3, 64):
        encoder.max_seq_length = limit
        assert encoder.max_seq_length == limit
        assert len(encoder.token_ids(text)[0]) == limit
    assert encoder.encode(text).shape == (16,)


@pytest.mark.parametrize("value", [0, -1, 65, 10**9])
def test_max_seq_length_out_of_range(tiny_folder: Path, value: int) -> None:
    """The position table has 64 rows."""
    encoder = corten.Encoder(tiny_folder)
    with pytest.raises(ValueError, match=rf"^max_seq_length: expected .*, found {value}$"):
        encoder.max_seq_length = value
    assert encoder.max_seq_length == 32


def test_prompts(tiny: corten.Encoder) -> None:
    asked = tiny.encode([f"query: {text}" for text in TEXTS])
    plain = tiny.encode(TEXTS)
    assert not np.array_equal(asked, plain)
    assert np.array_equal(tiny.encode(TEXTS, prompt="query: "), asked)
    assert np.array_equal(tiny.encode(TEXTS, prompt_name="query"), asked)
    assert np.array_equal(tiny.encode(TEXTS, "query"), asked)
    assert np.array_equal(tiny.encode_query(TEXTS), asked)
    assert np.array_equal(tiny.encode_query(TEXTS, prompt=""), plain)
    assert np.array_equal(tiny.encode_query(TEXTS, "document"), plain)
    assert np.array_equal(tiny.encode_document(TEXTS), plain)
    assert np.array_equal(tiny.encode_document(TEXTS, prompt_name="query"), asked)
    assert tiny.token_ids(TEXTS, prompt="query: ") == tiny.token_ids([f"query: {text}" for text in TEXTS])


def test_default_prompt_is_for_encode_alone(tiny_folder: Path) -> None:
    encoder = corten.Encoder(tiny_folder, prompts={"topic": "of: "}, default_prompt_name="topic")
    assert encoder.prompts == {"query": "query: ", "document": "", "topic": "of: "}
    topic = encoder.encode(TEXTS, prompt="of: ")
    assert np.array_equal(encoder.encode(TEXTS), topic)
    assert not np.array_equal(encoder.encode_document(TEXTS), topic)
    assert np.array_equal(encoder.encode(TEXTS, prompt=""), encoder.encode_document(TEXTS))


def test_none_keeps_the_models_prompt(tiny_folder: Path, tiny: corten.Encoder) -> None:
    encoder = corten.Encoder(tiny_folder, prompts={"query": None, "topic": None})  # type: ignore[dict-item]
    assert encoder.prompts == {"query": "query: ", "document": "", "topic": ""}
    assert np.array_equal(encoder.encode_query("heart"), tiny.encode_query("heart"))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"prompts": ["query"]}, TypeError, "prompts: expected a dict, got list"),
        ({"prompts": {"query": 3}}, TypeError, r"prompts\['query'\]: expected str, got int"),
        ({"default_prompt_name": ""}, ValueError, "default_prompt_name: expected one of .*, found ''"),
        ({"similarity_fn_name": ""}, ValueError, "similarity_fn_name: expected one of .*, found ''"),
    ],
)
def test_settings_of_the_wrong_kind(
    tiny_folder: Path, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^{message}$"):
        corten.Encoder(tiny_folder, **arguments)


def test_own_prompts_overrule_the_models(tiny_folder: Path) -> None:
    encoder = corten.Encoder(tiny_folder, prompts={"query": "", "passage": "of: "})
    assert np.array_equal(encoder.encode_query(TEXTS), encoder.encode(TEXTS, prompt=""))
    assert np.array_equal(encoder.encode_document(TEXTS), encoder.encode(TEXTS, prompt=""))
    del encoder.prompts["document"]
    assert np.array_equal(encoder.encode_document(TEXTS), encoder.encode(TEXTS, prompt="of: "))


def test_unknown_prompt_names(tiny: corten.Encoder, tiny_folder: Path) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        tiny.encode(TEXTS, prompt_name="title")
    assert str(error.value) == 'prompt_name: expected one of "query", "document", found \'title\''
    with pytest.raises(ValueError, match=r".") as error:
        corten.Encoder(tiny_folder, default_prompt_name="title")
    assert str(error.value) == 'default_prompt_name: expected one of "query", "document", found \'title\''


def test_prompt_goes_before_prompt_name(tiny: corten.Encoder, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        vectors = tiny.encode(TEXTS, prompt_name="query", prompt="of: ")
    assert caplog.messages == ["prompt and prompt_name are both given: prompt_name is ignored"]
    assert np.array_equal(vectors, tiny.encode(TEXTS, prompt="of: "))


def changed(folder: Path) -> corten.Encoder:
    encoder = corten.Encoder(folder, threads=2, truncate_dim=9, prompts={"topic": "of: "}, default_prompt_name="topic")
    encoder.max_seq_length = 5
    encoder.similarity_fn_name = "dot"
    return encoder


def settings(encoder: corten.Encoder) -> dict[str, Any]:
    names = ("max_seq_length", "threads", "truncate_dim", "prompts", "default_prompt_name", "similarity_fn_name")
    return {name: getattr(encoder, name) for name in names}


def test_pickling_and_copying_keep_the_settings(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_folder.parent)
    encoder = changed(Path(tiny_folder.name))
    pickled = pickle.dumps(encoder)
    monkeypatch.chdir("/")
    for twin in (pickle.loads(pickled), copy.deepcopy(encoder), copy.copy(encoder)):
        assert settings(twin) == settings(encoder)
        assert np.array_equal(twin.encode(TEXTS * 9), encoder.encode(TEXTS * 9))
        twin.truncate_dim = None
        assert encoder.truncate_dim == 9
    assert len(pickled) < 1000, "the weights must not be in the pickle"


def test_a_pickle_holds_no_token(tiny_folder: Path) -> None:
    assert b"hf_secret" not in pickle.dumps(corten.Encoder(tiny_folder, token="hf_secret"))


def encode_in_child(encoder: corten.Encoder) -> np.ndarray:
    result: np.ndarray = encoder.encode(TEXTS)
    return result


def test_spawned_processes(tiny_folder: Path) -> None:
    encoder = changed(tiny_folder)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert np.array_equal(pool.apply(encode_in_child, (encoder,)), encoder.encode(TEXTS))


def test_similarity_function_can_be_set(tiny_folder: Path) -> None:
    encoder = corten.Encoder(tiny_folder, similarity_fn_name="manhattan")
    a, b = np.eye(2), np.zeros((1, 2))
    assert encoder.similarity(a, b).tolist() == [[-1.0], [-1.0]]
    encoder.similarity_fn_name = "dot"
    assert encoder.similarity(a, a).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert encoder.similarity_pairwise(a, a).tolist() == [1.0, 1.0]
    encoder.similarity_fn_name = Enum("SimilarityFunction", {"DOT_PRODUCT": "dot"}).DOT_PRODUCT  # type: ignore[attr-defined]
    assert encoder.similarity_fn_name == "dot"
    encoder.similarity_fn_name = None
    assert encoder.similarity_fn_name == "cosine"
    with pytest.raises(ValueError, match=r'^similarity_fn_name: expected one of "cosine", .*, found \'maxsim\'$'):
        encoder.similarity_fn_name = "maxsim"


def test_settings_of_the_folder(tmp_path: Path) -> None:
    files = tiny_model()
    files.config_sentence_transformers = {
        "prompts": {"query": "query: ", "topic": "of: "},
        "default_prompt_name": "topic",
        "similarity_fn_name": "euclidean",
        "truncate_dim": 7,
    }
    encoder = corten.Encoder(files.write(tmp_path))
    assert encoder.similarity_fn_name == "euclidean"
    assert encoder.default_prompt_name == "topic"
    assert encoder.get_embedding_dimension() == 7
    assert encoder.encode(TEXTS).shape == (2, 7)
    encoder.truncate_dim = None
    assert encoder.encode(TEXTS).shape == (2, 16)
