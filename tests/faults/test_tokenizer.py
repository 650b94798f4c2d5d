"""Tokenizers that are none or too large (T1), whose ids the model has no rows for (T2), that lack tokens (T4),
take for ever (T6) or cut texts (T7)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import corten
from faults.refusal import refused
from tiny_model import VOCABULARY, tiny_model


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b'{"model": {}}', b"\xff\xfe", b'{"version": "1.0"}'])
def test_what_is_no_tokenizer(tmp_path: Path, content: bytes) -> None:
    files = tiny_model()
    files.tokenizer = content
    message = refused(files.write(tmp_path))
    assert message.startswith("tokenizer.json: tokenizer: expected a definition that tokenizers 0.23 can read, found ")


def test_a_tokenizer_cut_off_anywhere(tmp_path: Path) -> None:
    files = tiny_model()
    whole = json.dumps(files.tokenizer).encode()
    for length in range(1, len(whole), len(whole) // 25):
        files.tokenizer = whole[:length]
        assert refused(files.write(tmp_path)).startswith("tokenizer.json: ")


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt"])
def test_a_tokenizer_above_the_limit(tmp_path: Path, name: str) -> None:
    limit = 128 << 20
    files = tiny_model()
    files.tokenizer = None
    folder = files.write(tmp_path)
    with (folder / name).open("wb") as file:
        file.truncate(limit + 1)  # takes no room on the disk
    assert refused(folder) == f"{name}: expected at most {limit} bytes, found {limit + 1}"


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a*)*\1b", r"(a+)+\1$", r"(?=(a+)+b)x"])
@pytest.mark.parametrize("part", ["normalizer", "pre_tokenizer"])
def test_patterns_that_try_everything_are_stopped(tmp_path: Path, part: str, pattern: str) -> None:
    """Each takes time that doubles with every letter in an engine without a limit: 32 tokens are 8,000 letters."""
    files = tiny_model()
    files.tokenizer_config["tokenizer_class"] = "PreTrainedTokenizerFast"
    step = {"normalizer": {"type": "Replace", "content": "b"}, "pre_tokenizer": {"type": "Split"}}[part]
    files.tokenizer[part] = step | {"pattern": {"Regex": pattern}}
    if part == "pre_tokenizer":
        files.tokenizer[part] |= {"behavior": "Isolated", "invert": False}
    encoder = corten.Encoder(files.write(tmp_path))
    start = time.monotonic()
    assert encoder.encode("a" * 20_000 + "!").shape == (16,)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(("id_", "rows"), [(len(VOCABULARY), len(VOCABULARY)), (2**32 - 1, len(VOCABULARY))])
def test_ids_without_a_row(tmp_path: Path, id_: int, rows: int) -> None:
    files = tiny_model()
    files.tokenizer["model"]["vocab"]["heart"] = id_
    assert refused(files.write(tmp_path)) == (
        f'tokenizer.json: vocabulary: "heart": expected an id below {rows} (vocab_size of config.json), found {id_}'
    )


def test_an_added_token_without_a_row(tmp_path: Path) -> None:
    files = tiny_model()
    files.tokenizer["added_tokens"].append(files.tokenizer["added_tokens"][0] | {"id": 500, "content": "[NEW]"})
    message = refused(files.write(tmp_path))
    assert message.startswith("tokenizer.json: ")
    assert "[NEW]" in message


@pytest.mark.parametrize("token", ["[UNK]", "[CLS]", "[SEP]"])
def test_missing_special_tokens(tmp_path: Path, token: str) -> None:
    files = tiny_model()
    tokenizer = files.tokenizer
    tokenizer["model"]["vocab"] = {name: i for name, i in tokenizer["model"]["vocab"].items() if name != token}
    tokenizer["added_tokens"] = [entry for entry in tokenizer["added_tokens"] if entry["content"] != token]
    message = refused(files.write(tmp_path))
    assert message.startswith(
        'tokenizer.json: vocabulary: expected the special tokens "[UNK]", "[CLS]" and "[SEP]", found '
    )
    assert message.endswith(f'without "{token}"')


def test_truncation_and_padding_in_the_file_do_not_count(tmp_path: Path, tiny: corten.Encoder) -> None:
    files = tiny_model()
    files.tokenizer["truncation"] = {"direction": "Left", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    files.tokenizer["padding"] = {
        "strategy": {"Fixed": 40},
        "direction": "Left",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    encoder = corten.Encoder(files.write(tmp_path))
    texts = ["the heart of a patient does help", "a " * 50]
    assert encoder.token_ids(texts) == tiny.token_ids(texts)
    assert np.array_equal(encoder.encode(texts), tiny.encode(texts))


def test_vocab_txt_alone(tmp_path: Path, tiny: corten.Encoder) -> None:
    files = tiny_model()
    files.tokenizer = None
    folder = files.write(tmp_path)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    texts = ["the Heart of a patient", "does insulin help?", ""]
    assert corten.Encoder(folder).token_ids(texts) == tiny.token_ids(texts)

    (folder / "vocab.txt").write_bytes(b"[PAD]\n\xff\n")
    assert refused(folder) == "vocab.txt: vocabulary: expected UTF-8 text, found an invalid byte at offset 6"
    (folder / "vocab.txt").write_text("\n".join([*VOCABULARY, "more"]), encoding="utf-8")
    assert refused(folder).startswith('vocab.txt: vocabulary: "more": expected an id below ')


@pytest.mark.parametrize("field", ["cls_token", "unk_token"])
@pytest.mark.parametrize("value", [3, ["[CLS]"], {"content": 3}])
def test_special_tokens_of_the_wrong_type(tmp_path: Path, field: str, value: Any) -> None:
    files = tiny_model()
    files.tokenizer_config[field] = value
    assert refused(files.write(tmp_path)).startswith(f"tokenizer_config.json: {field}")
