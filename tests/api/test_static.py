"""Static embeddings as callers see them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import corten
from static_model import STATIC, definition, table, write_static
from tiny_model import VOCABULARY

NORMALIZE = "sentence_transformers.models.Normalize"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_static(tmp_path / "static", {"embedding.weight": table()})


def rows_of(words: list[str]) -> np.ndarray:
    return table()[[VOCABULARY.index(word) for word in words]].astype(np.float64)


def test_the_mean_of_the_token_vectors(folder: Path) -> None:
    encoder = corten.Encoder(folder)
    found = encoder.encode("The cells of a patient?")
    expected = rows_of(["the", "cells", "of", "a", "patient", "?"]).mean(axis=0)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= 1e-6


def test_unknown_words_and_special_tokens_count(folder: Path) -> None:
    found = corten.Encoder(folder).encode("heart §§ [MASK]")
    assert np.abs(found - rows_of(["heart", "[UNK]", "[UNK]", "[MASK]"]).mean(axis=0)).max() <= 1e-6


@pytest.mark.parametrize("text", ["", "  \t\n", "\u200b\x00"])
def test_a_text_without_tokens_is_a_zero_row(folder: Path, text: str) -> None:
    encoder = corten.Encoder(folder)
    assert encoder.token_ids([text]) == [[]]
    vectors = encoder.encode(["heart", text, "cell"], normalize_embeddings=True)
    assert np.array_equal(vectors[1], np.zeros(12, dtype=np.float32))
    assert np.abs(np.linalg.norm(vectors[[0, 2]], axis=1) - 1).max() <= 1e-6
    assert encoder.similarity(vectors, vectors)[1].tolist() == [0, 0, 0]


@pytest.mark.parametrize(("direction", "words"), [("Right", ["the", "heart", "of"]), ("Left", ["of", "a", "patient"])])
def test_truncation_of_the_tokenizer_counts_and_its_padding_does_not(
    tmp_path: Path, direction: str, words: list[str]
) -> None:
    tokenizer = definition() | {
        "truncation": {"direction": direction, "max_length": 3, "strategy": "LongestFirst", "stride": 0},
        "padding": {
            "strategy": {"Fixed": 9},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "[PAD]",
        },
    }
    encoder = corten.Encoder(write_static(tmp_path, {"embedding.weight": table()}, tokenizer))
    assert np.abs(encoder.encode("the heart of a patient") - rows_of(words).mean(axis=0)).max() <= 1e-6
    assert encoder.token_ids("cell") == [[VOCABULARY.index("cell")]]
    assert encoder.max_seq_length is None


def test_truncate_dim_comes_after_the_modules_and_before_normalizing(tmp_path: Path) -> None:
    folder = write_static(tmp_path, {"embedding.weight": table()}, modules=(STATIC, NORMALIZE))
    encoder = corten.Encoder(folder, truncate_dim=5)
    whole = encoder.encode("the heart", truncate_dim=99)
    assert whole.shape == (12,)
    assert np.linalg.norm(whole.astype(np.float64)) == pytest.approx(1, abs=1e-6)
    cut = encoder.encode("the heart")
    assert np.array_equal(cut, whole[:5])
    unit = encoder.encode("the heart", normalize_embeddings=True)
    assert np.abs(unit - cut / np.linalg.norm(cut)).max() <= 1e-6


def test_float16_tables_are_widened_exactly(tmp_path: Path) -> None:
    halves = table().astype(np.float16)
    narrow = corten.Encoder(write_static(tmp_path / "16", {"embedding.weight": halves}))
    wide = corten.Encoder(write_static(tmp_path / "32", {"embedding.weight": halves.astype(np.float32)}))
    texts = ["the heart of a patient", "cells", ""]
    assert narrow.encode(texts).dtype == np.float32
    assert np.array_equal(narrow.encode(texts), wide.encode(texts))


def test_model2vec_without_modules_json(tmp_path: Path) -> None:
    mapping = np.arange(len(VOCABULARY)) % 7
    weights = np.linspace(0.5, 2, len(VOCABULARY)).astype(np.float32)
    folder = write_static(tmp_path, {"embeddings": table()[:7], "mapping": mapping, "weights": weights})
    (folder / "modules.json").unlink()
    ids = [VOCABULARY.index(word) for word in ("the", "heart")]
    expected = (table()[mapping[ids]].astype(np.float64) * weights[ids, None]).mean(axis=0)
    config: dict[str, Any] = {"model_type": "model2vec"}
    for normalize, row in [(False, expected), (True, expected / np.linalg.norm(expected))]:
        (folder / "config.json").write_text(json.dumps(config | {"normalize": normalize}), encoding="utf-8")
        assert np.abs(corten.Encoder(folder).encode("the heart") - row).max() <= 1e-6


def test_long_texts_count_whole(folder: Path) -> None:
    """Nothing is cut: the last of a hundred thousand words is one of a hundred thousand."""
    encoder = corten.Encoder(folder)
    (ids,) = encoder.token_ids("cell " * 100_000 + "heart")
    assert (len(ids), ids[-1]) == (100_001, VOCABULARY.index("heart"))
    assert ids[0] == VOCABULARY.index("cell")


def test_what_a_static_embedding_has_not(folder: Path) -> None:
    encoder = corten.Encoder(folder)
    with pytest.raises(ValueError, match="a static embedding gives one vector a text, and none a token"):
        encoder.encode("heart", output_value="token_embeddings")
    with pytest.raises(ValueError, match=r"^max_seq_length: expected none for a static embedding.*, found 5$"):
        encoder.max_seq_length = 5
    assert "max_seq_length=None" in repr(encoder)


def test_a_text_whose_vector_is_not_finite_is_named(tmp_path: Path) -> None:
    values = table()
    values[VOCABULARY.index("heart")] = 3e38
    encoder = corten.Encoder(write_static(tmp_path, {"embedding.weight": values}))
    with pytest.raises(ValueError, match=r"^texts\[1\]: expected a finite vector, found NaN or infinity"):
        encoder.encode(["cell", "heart heart", "heart heart"])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8", "auto"])
def test_every_dtype_is_taken_and_is_float32(folder: Path, dtype: str) -> None:
    encoder = corten.Encoder(folder, dtype=dtype)
    assert encoder.dtype == "float32"
    assert np.array_equal(encoder.encode(["the heart", "cell"]), corten.Encoder(folder).encode(["the heart", "cell"]))


def test_it_is_not_sparse(folder: Path) -> None:
    encoder = corten.Encoder(folder)
    with pytest.raises(ValueError, match="max_active_dims"):
        encoder.encode("cell", max_active_dims=3)
    with pytest.raises(ValueError, match=r"^expected a model of sparse vectors, found one of dense vectors"):
        encoder._native.encode_sparse(["cell"])


def test_pickling(folder: Path) -> None:
    encoder = corten.Encoder(folder, truncate_dim=7)
    copy = pickle.loads(pickle.dumps(encoder))
    assert copy.max_seq_length is None
    assert np.array_equal(copy.encode(["the heart"]), encoder.encode(["the heart"]))


def test_all_outputs_of_many_texts_on_many_threads(folder: Path) -> None:
    """Several tasks: order, progress and every kind of output are as for a dense model."""
    texts = [" ".join(VOCABULARY[5 + (i * 7 + j) % 15] for j in range(i % 90)) for i in range(3000)]
    encoder = corten.Encoder(folder, threads=3)
    vectors = encoder.encode(texts)
    assert np.array_equal(vectors[::211], np.stack([encoder.encode(text) for text in texts[::211]]))
    assert np.array_equal(encoder.encode(iter(texts), batch_size=7), vectors)
    assert encoder.encode(texts, precision="int8").shape == (3000, 12)
    assert len(encoder.encode(texts, convert_to_numpy=False)) == 3000
