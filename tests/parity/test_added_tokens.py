"""Tokens that only the files beside tokenizer.json name, and what of tokenizer.json the BERT classes overrule.

The ids are those of sentence-transformers 6.2 with transformers 5.23 for the same folders.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import corten
from faults.refusal import refused
from tiny_model import VOCABULARY, ModelFiles, tiny_model

# Rows of the table that the tokenizer leaves free: the added tokens have them, in the order in which they are added.
FREE = 3
FIRST = len(VOCABULARY) - FREE
TEXT = "[A] cell[B]x [a] [MASK]the"
PLAIN = ["[UNK]", "a", "[UNK]"]  # what "[a]" is where it is no token

LISTED = {str(FIRST): {"content": "[A]", "special": True}, str(FIRST + 2): {"content": "[B]", "special": True}}
SPECIAL = {str(VOCABULARY.index(name)): {"content": name, "special": True} for name in ("[CLS]", "[SEP]", "[MASK]")}
BOTH = ["[CLS]", FIRST, "cell", FIRST + 1, "x", *PLAIN, "[MASK]", "the", "[SEP]"]
NEITHER = ["[CLS]", "[UNK]", "a", "[UNK]", "cell", "[UNK]", "b", "[UNK]", "x", *PLAIN, "[MASK]", "the", "[SEP]"]
NOT_SPECIAL = ["[CLS]", FIRST, "cell", "[UNK]", "b", "[UNK]", "x", FIRST, "[MASK]", "the", "[SEP]"]
FAST = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]"}

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], list[str | int]]] = {
    "nothing": ({}, {}, NEITHER),
    "added_tokens_decoder": ({"added_tokens_decoder": SPECIAL | LISTED}, {}, BOTH),
    "added_tokens_decoder, other class": (FAST | {"added_tokens_decoder": LISTED}, {}, BOTH),
    "extra_special_tokens": ({"extra_special_tokens": ["[A]", "[B]"]}, {}, BOTH),
    "additional_special_tokens": ({"additional_special_tokens": ["[A]", "[B]"]}, {}, BOTH),
    "special_tokens_map.json": ({}, {"special_tokens_map.json": {"additional_special_tokens": ["[A]", "[B]"]}}, BOTH),
    "added_tokens.json": ({}, {"added_tokens.json": {"[A]": FIRST}}, NOT_SPECIAL),
    "added_tokens.json, other class": (FAST, {"added_tokens.json": {"[A]": FIRST}}, NOT_SPECIAL),
    "added_tokens.json beside added_tokens_decoder": (
        {"added_tokens_decoder": SPECIAL},
        {"added_tokens.json": {"[A]": FIRST}},
        NEITHER,
    ),
}


def model_with_free_rows() -> ModelFiles:
    files = tiny_model()
    vocabulary = files.tokenizer["model"]["vocab"]
    for name in VOCABULARY[FIRST:]:
        del vocabulary[name]
    return files


def ids(names: list[str | int]) -> list[int]:
    return [name if isinstance(name, int) else VOCABULARY.index(name) for name in names]


def write(folder: Path, files: ModelFiles, others: dict[str, Any]) -> Path:
    files.write(folder)
    for name, content in others.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.mark.parametrize("case", CASES)
def test_tokens_of_other_files(tmp_path: Path, case: str) -> None:
    config, others, expected = CASES[case]
    files = model_with_free_rows()
    files.tokenizer_config |= config
    encoder = corten.Encoder(write(tmp_path, files, others))
    assert encoder.token_ids(TEXT) == [ids(expected)]
    assert encoder.encode(TEXT).shape == (16,)


def test_tokens_beside_vocab_txt(tmp_path: Path) -> None:
    files = model_with_free_rows()
    files.tokenizer = None
    files.tokenizer_config["added_tokens_decoder"] = LISTED
    folder = files.write(tmp_path)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY[:FIRST]), encoding="utf-8")
    assert corten.Encoder(folder).token_ids(TEXT) == [ids(BOTH)]


def test_the_rules_of_a_token(tmp_path: Path) -> None:
    files = model_with_free_rows()
    listed = {name: dict(token) for name, token in LISTED.items()}
    listed[str(FIRST + 2)]["single_word"] = True
    files.tokenizer_config["added_tokens_decoder"] = SPECIAL | listed
    expected = ["[CLS]", FIRST, "cell", "[UNK]", "b", "[UNK]", "x", *PLAIN, "[MASK]", "the", "[SEP]"]
    assert corten.Encoder(files.write(tmp_path)).token_ids(TEXT) == [ids(expected)]


@pytest.mark.parametrize("complete", [True, False])
def test_tokens_of_tokenizer_json_count_without_added_tokens_decoder(tmp_path: Path, complete: bool) -> None:
    files = model_with_free_rows()
    token = files.tokenizer["added_tokens"][0]
    files.tokenizer["added_tokens"] += [
        token | {"id": FIRST + i, "content": name} for i, name in enumerate(["[A]", "[B]"])
    ]
    if complete:
        files.tokenizer_config["added_tokens_decoder"] = SPECIAL
    encoder = corten.Encoder(files.write(tmp_path))
    assert encoder.token_ids(TEXT) == [ids(NEITHER if complete else BOTH)]


def test_special_tokens_that_only_other_files_name(tmp_path: Path) -> None:
    files = tiny_model()
    files.tokenizer["added_tokens"] = []
    files.tokenizer_config |= FAST
    names: list[str | int] = ["[CLS]", "the", "[MASK]", "cell", "[SEP]"]
    written = corten.Encoder(files.write(tmp_path)).token_ids("the [MASK] cell")
    assert written == [ids(["[CLS]", "the", "[UNK]", "m", "##a", "##s", "##k", "[UNK]", "cell", "[SEP]"])]
    files.tokenizer_config["mask_token"] = "[MASK]"
    assert corten.Encoder(files.write(tmp_path)).token_ids("the [MASK] cell") == [ids(names)]


def test_a_named_token_without_an_id_stays_plain_text(tmp_path: Path) -> None:
    files = tiny_model()
    files.tokenizer_config["bos_token"] = "[BOS]"
    text = corten.Encoder(files.write(tmp_path)).token_ids("[BOS]")
    assert text == [ids(["[CLS]", "[UNK]", "b", "##o", "##s", "[UNK]", "[SEP]"])]


def test_the_bert_classes_take_only_the_vocabulary_of_tokenizer_json(tmp_path: Path, tiny: corten.Encoder) -> None:
    files = tiny_model()
    template = files.tokenizer["post_processor"]
    template["single"].insert(0, template["single"][0])
    files.tokenizer["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    files.tokenizer["model"]["continuing_subword_prefix"] = "@@"
    encoder = corten.Encoder(files.write(tmp_path))
    texts = ["the cell, xyz.", "a", ""]
    assert encoder.token_ids(texts) == tiny.token_ids(texts)
    assert np.array_equal(encoder.encode(texts), tiny.encode(texts))

    files.tokenizer_config |= FAST
    assert corten.Encoder(files.write(tmp_path)).token_ids("a") == [ids(["[CLS]", "[CLS]", "a", "[SEP]"])]


def test_the_first_and_last_token_of_the_bert_classes_are_those_of_tokenizer_config(tmp_path: Path) -> None:
    files = tiny_model()
    files.tokenizer_config |= {"cls_token": "heart", "sep_token": "cell"}
    assert corten.Encoder(files.write(tmp_path)).token_ids("a") == [ids(["heart", "a", "cell"])]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("truncation_side", "left", 'truncation_side: expected "right", found "left"'),
        ("split_special_tokens", True, "split_special_tokens: expected false, found true"),
        ("added_tokens_decoder", [], "added_tokens_decoder: expected an object, found a list"),
        ("added_tokens_decoder", {"x": {}}, "added_tokens_decoder.x: expected a token under its id, found an object"),
        ("added_tokens_decoder", {"1": "[A]"}, 'added_tokens_decoder.1: expected an object, found "[A]"'),
        ("added_tokens_decoder", {"1": {}}, "added_tokens_decoder.1.content: expected a string, found nothing"),
        ("extra_special_tokens", "[A]", 'extra_special_tokens: expected a list of tokens, found "[A]"'),
        ("extra_special_tokens", [3], "extra_special_tokens[0]: expected an object, found 3"),
        (
            "extra_special_tokens",
            {"a": 3},
            "extra_special_tokens.a: expected a string or an object with content, found 3",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, field: str, value: object, message: str) -> None:
    files = tiny_model()
    files.tokenizer_config[field] = value
    assert refused(files.write(tmp_path)) == f"tokenizer_config.json: {message}"


def test_added_tokens_without_rows_are_refused(tmp_path: Path) -> None:
    files = tiny_model()
    files.tokenizer_config["added_tokens_decoder"] = LISTED
    rows = len(VOCABULARY)
    assert refused(files.write(tmp_path)) == (
        f'tokenizer.json: vocabulary: "[B]": expected an id below {rows} (vocab_size of config.json), found {rows + 1}'
    )
    files.tokenizer_config["added_tokens_decoder"] = {}
    folder = write(tmp_path, files, {"added_tokens.json": {"[A]": -1}})
    del files.tokenizer_config["added_tokens_decoder"]
    write(folder, files, {})
    assert refused(folder) == "added_tokens.json: [A]: expected an integer of at least 0, found -1"


@pytest.mark.parametrize("field", ["added_tokens_decoder", "extra_special_tokens", "added_tokens.json"])
def test_very_many_tokens_take_no_longer_each(tmp_path: Path, field: str) -> None:
    """A file of a megabyte is refused for its first token without a row, and not after minutes."""
    names = [f"t{i}" for i in range(40_000)]
    files, others = tiny_model(), {}
    if field == "added_tokens.json":
        others = {field: {name: FIRST + i for i, name in enumerate(names)}}
    elif field == "added_tokens_decoder":
        files.tokenizer_config[field] = {str(FIRST + i): {"content": name} for i, name in enumerate(names)}
    else:
        files.tokenizer_config[field] = names
    start = time.monotonic()
    assert f'vocabulary: "{names[-1]}": expected an id below' in refused(write(tmp_path, files, others))
    assert time.monotonic() - start < 5
