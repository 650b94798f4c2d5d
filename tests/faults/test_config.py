"""Settings out of range (M8, M10, M12) and JSON that is none (M2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import corten
from faults.refusal import not_found, refused
from tiny_model import tiny_model

SIZES = {
    "hidden_size": 2**20,
    "intermediate_size": 2**20,
    "num_hidden_layers": 1000,
    "num_attention_heads": 2**20,
    "vocab_size": 2**31 - 1,
    "max_position_embeddings": 2**31 - 1,
    "type_vocab_size": 2**31 - 1,
}
OUT_OF_RANGE = [
    (0, "0"),
    (-1, "-1"),
    (10**12, str(10**12)),
    (12.0, "12.0"),
    ("12", '"12"'),
    ([], "a list"),
    (True, "true"),
]


@pytest.mark.parametrize(("value", "shown"), OUT_OF_RANGE)
@pytest.mark.parametrize("field", SIZES)
def test_sizes_out_of_range(tmp_path: Path, field: str, value: Any, shown: str) -> None:
    files = tiny_model()
    files.config[field] = value
    expected = f"config.json: {field}: expected an integer from 1 to {SIZES[field]}, found {shown}"
    assert refused(files.write(tmp_path)) == expected


@pytest.mark.parametrize("field", [field for field in SIZES if field != "type_vocab_size"])
@pytest.mark.parametrize("how", ["absent", "null"])
def test_sizes_missing(tmp_path: Path, field: str, how: str) -> None:
    files = tiny_model()
    if how == "null":
        files.config[field] = None
    else:
        del files.config[field]
    shown = "null" if how == "null" else "nothing"
    expected = f"config.json: {field}: expected an integer from 1 to {SIZES[field]}, found {shown}"
    assert refused(files.write(tmp_path)) == expected


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("num_attention_heads", 3, "expected a divisor of hidden_size 16, found 3"),
        ("num_attention_heads", 32, "expected a divisor of hidden_size 16, found 32"),
        (
            "hidden_act",
            "swish_glu",
            "expected one of gelu, gelu_new, gelu_fast, gelu_pytorch_tanh, relu, tanh, sigmoid, silu, linear, "
            'found "swish_glu"',
        ),
        ("hidden_act", 3, "expected a string, found 3"),
        ("layer_norm_eps", -1e-12, "expected a number above 0 and below 1, found -1e-12"),
        ("layer_norm_eps", 0, "expected a number above 0 and below 1, found 0"),
        ("layer_norm_eps", "1e-12", 'expected a number above 0 and below 1, found "1e-12"'),
        ("position_embedding_type", "relative_key", 'expected "absolute", found "relative_key"'),
        ("is_decoder", True, "expected false, found true"),
        ("quantization_config", {}, "expected nothing, since quantized weights are not supported, found an object"),
        ("model_type", "roberta", 'a RoBERTa model is not supported: "roberta"'),
        ("model_type", None, 'expected "bert", found null'),
    ],
)
def test_fields_of_config(tmp_path: Path, field: str, value: Any, message: str) -> None:
    files = tiny_model()
    files.config[field] = value
    assert refused(files.write(tmp_path)) == f"config.json: {field}: {message}"


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu", "tanh", "silu"])
def test_activations_differ(tmp_path: Path, tiny: corten.Encoder, activation: str) -> None:
    """gelu is the exact one: the tanh form is another function and another vector."""
    files = tiny_model()
    files.config["hidden_act"] = activation
    vector = corten.Encoder(files.write(tmp_path)).encode("the heart of a patient")
    same = (vector == tiny.encode("the heart of a patient")).all()
    assert same == (activation == "gelu")


@pytest.mark.parametrize("length", [65, 512, 10**15])
def test_longer_texts_than_positions(tmp_path: Path, length: int) -> None:
    files = tiny_model()
    files.sentence_bert_config["max_seq_length"] = length
    assert refused(files.write(tmp_path)) == (
        "sentence_bert_config.json: max_seq_length: expected at most 64 (max_position_embeddings of config.json), "
        f"found {length} (hint: longer texts have no position embeddings; set max_seq_length to 64 or less)"
    )


def test_as_long_as_positions(tmp_path: Path) -> None:
    files = tiny_model()
    files.sentence_bert_config["max_seq_length"] = 64
    encoder = corten.Encoder(files.write(tmp_path))
    assert len(encoder.token_ids("a " * 100)[0]) == 64
    assert encoder.encode("a " * 100).shape == (16,)


def test_no_room_for_the_special_tokens(tmp_path: Path) -> None:
    message = "expected an integer of at least 2, since every text has 2 special tokens, found 1"
    files = tiny_model()
    files.sentence_bert_config["max_seq_length"] = 1
    assert refused(files.write(tmp_path)) == f"sentence_bert_config.json: max_seq_length: {message}"
    files.sentence_bert_config = {"tokenizer_args": {"model_max_length": 1}}
    assert refused(files.write(tmp_path)) == f"sentence_bert_config.json: tokenizer_args.model_max_length: {message}"
    files.sentence_bert_config = {}
    files.tokenizer_config["model_max_length"] = 1
    assert refused(files.write(tmp_path)) == f"tokenizer_config.json: model_max_length: {message}"
    files.tokenizer_config["model_max_length"] = 64
    files.config["max_position_embeddings"] = 1
    assert refused(files.write(tmp_path)) == f"config.json: max_position_embeddings: {message}"
    files.sentence_bert_config = {"max_seq_length": 2}
    files.config["max_position_embeddings"] = 64
    assert corten.Encoder(files.write(tmp_path)).token_ids("a") == [[2, 3]]


@pytest.mark.parametrize(
    ("file", "field", "value", "message"),
    [
        ("sentence_bert_config", "max_seq_length", 0, "expected an integer of at least 1, found 0"),
        ("sentence_bert_config", "max_seq_length", "32", 'expected an integer of at least 1, found "32"'),
        ("sentence_bert_config", "do_lower_case", 1, "expected true or false, found 1"),
        ("tokenizer_config", "model_max_length", -5, "expected an integer of at least 1, found -5"),
        ("tokenizer_config", "do_lower_case", "yes", 'expected true or false, found "yes"'),
        ("config_sentence_transformers", "prompts", ["query"], "expected an object, found a list"),
        ("config_sentence_transformers", "truncate_dim", 0, "expected an integer of at least 1, found 0"),
        (
            "config_sentence_transformers",
            "model_type",
            "SparseEncoder",
            'a sparse encoder other than SPLADE is not supported: "SparseEncoder"',
        ),
    ],
)
def test_fields_of_other_files(tmp_path: Path, file: str, field: str, value: Any, message: str) -> None:
    files = tiny_model()
    getattr(files, file)[field] = value
    assert refused(files.write(tmp_path)) == f"{file}.json: {field}: {message}"


def test_an_unknown_default_prompt(tmp_path: Path) -> None:
    files = tiny_model()
    files.config_sentence_transformers["default_prompt_name"] = "title"
    message = refused(files.write(tmp_path))
    assert message.startswith("config_sentence_transformers.json: default_prompt_name: expected ")
    assert message.endswith('found "title"')


def test_a_pooling_of_another_width(tmp_path: Path) -> None:
    files = tiny_model()
    files.pooling["word_embedding_dimension"] = 8
    assert refused(files.write(tmp_path)) == (
        "1_Pooling/config.json: word_embedding_dimension: expected 16 (hidden_size of the transformer's config.json), "
        "found 8"
    )


JSON_FILES = {
    "config": "config.json",
    "modules": "modules.json",
    "pooling": "1_Pooling/config.json",
    "sentence_bert_config": "sentence_bert_config.json",
    "config_sentence_transformers": "config_sentence_transformers.json",
    "tokenizer_config": "tokenizer_config.json",
}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not valid JSON: EOF while parsing a value at line 1 column 0"),
        (b"{", "not valid JSON: EOF while parsing an object at line 1 column 1"),
        (b"{} {}", "not valid JSON: trailing characters at line 1 column 4"),
        (b'{"a": NaN}', "not valid JSON: expected value at line 1 column 7"),
        (b'{"a": "\xff"}', "not valid JSON: invalid unicode code point at line 1 column "),
        (b"[" * 100_000, "not valid JSON: recursion limit exceeded at line 1 column 128"),
        (b'{"a": 1e999}', "not valid JSON: number out of range at line 1 column "),
        (b'{"twice": 1, "twice": 2}', 'expected each key once, found twice: "twice"'),
        (b"3", "not valid JSON: expected "),
    ],
    ids=["empty", "cut", "two", "NaN", "not UTF-8", "deep", "overflow", "duplicate", "number"],
)
@pytest.mark.parametrize("file", JSON_FILES)
def test_files_that_are_no_json(tmp_path: Path, file: str, content: bytes, message: str) -> None:
    files = tiny_model()
    setattr(files, file, content)
    assert refused(files.write(tmp_path)).startswith(f"{JSON_FILES[file]}: {message}")


@pytest.mark.parametrize("file", JSON_FILES)
def test_files_cut_off_anywhere(tmp_path: Path, file: str) -> None:
    files = tiny_model()
    whole = json.dumps(getattr(files, file)).encode()
    for length in range(1, len(whole), max(1, len(whole) // 20)):
        setattr(files, file, whole[:length])
        assert refused(files.write(tmp_path)).startswith(f"{JSON_FILES[file]}: not valid JSON: ")


def test_a_byte_order_mark_is_no_json(tmp_path: Path) -> None:
    files = tiny_model()
    files.config = b"\xef\xbb\xbf" + json.dumps(files.config).encode()
    assert refused(files.write(tmp_path)).startswith("config.json: not valid JSON: expected value at line 1 column 1")


def test_a_json_file_too_large(tmp_path: Path) -> None:
    folder = tiny_model().write(tmp_path)
    with (folder / "modules.json").open("r+b") as file:
        file.truncate((16 << 20) + 1)
    assert refused(folder) == f"modules.json: expected at most {16 << 20} bytes, found {(16 << 20) + 1}"


def test_files_missing(tmp_path: Path) -> None:
    hint = "expected a file, found nothing (hint: a model folder is what model.save_pretrained(path) writes)"
    files = tiny_model()
    files.config = None
    assert not_found(files.write(tmp_path / "a")) == (hint, "config.json")
    files = tiny_model()
    files.pooling = None
    assert not_found(files.write(tmp_path / "b")) == ("expected a file, found nothing", "1_Pooling/config.json")
    files = tiny_model()
    files.tokenizer = None
    words, file = not_found(files.write(tmp_path / "c"))
    assert words.startswith("expected a file, found nothing (hint: save the tokenizer again with ")
    assert file == "tokenizer.json"
