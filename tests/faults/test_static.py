"""Static embedding folders that do not fit together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faults.refusal import refused
from static_model import STATIC, definition, table, write_static
from tiny_model import VOCABULARY

LAST = len(VOCABULARY) - 1


def test_a_table_smaller_than_the_tokenizer_s_ids(tmp_path: Path) -> None:
    folder = write_static(tmp_path, {"embedding.weight": table()[:LAST]})
    assert refused(folder) == (
        f'tokenizer.json: vocabulary: "##9": expected an id below {LAST} (from "embedding.weight" of the weights), '
        f"found {LAST}"
    )


def test_a_mapping_smaller_than_the_tokenizer_s_ids(tmp_path: Path) -> None:
    mapping = np.zeros(20, dtype=np.int64)
    folder = write_static(tmp_path, {"embeddings": table(), "mapping": mapping})
    assert refused(folder) == (
        f'tokenizer.json: vocabulary: "##9": expected an id below 20 (from "mapping" of the weights), found {LAST}'
    )


@pytest.mark.parametrize("index", [-1, 7, 2**40])
def test_a_mapping_out_of_range(tmp_path: Path, index: int) -> None:
    mapping = np.zeros(len(VOCABULARY), dtype=np.int64)
    mapping[3] = index
    folder = write_static(tmp_path, {"embeddings": table()[:7], "mapping": mapping})
    assert refused(folder) == (
        'model.safetensors: tensor "mapping": expected indices from 0 to 6 (the rows of "embeddings"), '
        f"found {index} for token 3"
    )


def test_no_table(tmp_path: Path) -> None:
    folder = write_static(tmp_path, {"linear.weight": table()})
    assert refused(folder) == (
        'model.safetensors: tensors: expected "embedding.weight", or "embeddings" as model2vec names it, '
        'found "linear.weight"'
    )


def test_a_table_of_integers(tmp_path: Path) -> None:
    folder = write_static(tmp_path, {"embedding.weight": np.ones((len(VOCABULARY), 4), dtype=np.int64)})
    assert refused(folder) == 'model.safetensors: tensor "embedding.weight": expected dtype F32, F16 or BF16, found I64'


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_value_that_is_not_finite(tmp_path: Path, dtype: Any) -> None:
    values = table().astype(dtype)
    values[2, 1] = np.nan
    folder = write_static(tmp_path, {"embedding.weight": values})
    expected = 'model.safetensors: tensor "embedding.weight": expected finite values, found at index 25: NaN'
    assert refused(folder) == expected


def test_a_truncation_of_second_texts(tmp_path: Path) -> None:
    tokenizer = definition() | {
        "truncation": {"direction": "Right", "max_length": 4, "strategy": "OnlySecond", "stride": 0}
    }
    assert refused(write_static(tmp_path, {"embedding.weight": table()}, tokenizer)) == (
        'tokenizer.json: truncation.strategy: expected "LongestFirst" or "OnlyFirst", since a text has no second part, '
        'found "OnlySecond"'
    )


def test_a_tokenizer_without_its_unknown_token(tmp_path: Path) -> None:
    tokenizer = definition()
    tokenizer["model"]["unk_token"] = "[OTHER]"
    message = refused(write_static(tmp_path, {"embedding.weight": table()}, tokenizer))
    assert message.startswith('tokenizer.json: vocabulary: expected the special token "[OTHER]", found ')


def test_a_module_that_cannot_follow(tmp_path: Path) -> None:
    pooling = "sentence_transformers.models.Pooling"
    folder = write_static(tmp_path, {"embedding.weight": table()}, modules=(STATIC, pooling))
    expected = "modules.json: [1].type: expected a Dense or Normalize module after the StaticEmbedding"
    assert refused(folder) == f'{expected}, found "{pooling}"'


def test_code_in_the_folder_is_not_a_module(tmp_path: Path) -> None:
    folder = write_static(tmp_path, {"embedding.weight": table()}, modules=("own_code.StaticEmbedding",))
    (folder / "own_code.py").write_text("raise SystemExit('run')", encoding="utf-8")
    expected = "modules.json: [0].type: a model with code of its own, which is never run, is not supported"
    assert refused(folder) == f'{expected}: "own_code.StaticEmbedding"'


def test_pickled_weights(tmp_path: Path) -> None:
    folder = write_static(tmp_path, {"embedding.weight": table()})
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert refused(folder).startswith(": expected weights in safetensors format, found only pytorch_model.bin (hint: ")


def test_a_plain_folder_of_another_kind_is_no_static_model(tmp_path: Path) -> None:
    folder = write_static(tmp_path, {"embedding.weight": table()})
    (folder / "modules.json").unlink()
    (folder / "config.json").write_text(json.dumps({"model_type": "word2vec"}), encoding="utf-8")
    expected = "config.json: model_type: a model of this type (other than bert) is not supported"
    assert refused(folder) == f'{expected}: "word2vec"'
