"""encode() of a SPLADE model: what it takes and what it gives."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import corten
from corten import SparseEmbeddings
from tiny_model import VOCABULARY, tiny_splade

TEXTS = ["the heart of a patient", "cells", "", "does insulin help?", "cells"]


def test_a_list_gives_one_row_a_text(splade: corten.Encoder) -> None:
    rows = splade.encode(TEXTS)
    assert isinstance(rows, SparseEmbeddings)
    assert rows.shape == (5, len(VOCABULARY))
    assert splade.get_embedding_dimension() == len(VOCABULARY)
    assert rows[1] == rows[4]
    assert len({tuple(row.items()) for row in rows}) == 4
    assert 0 < rows.sparsity()["active_dims"] < len(VOCABULARY)
    assert (rows.values > 0).all()


def test_one_text_and_none(splade: corten.Encoder) -> None:
    assert splade.encode(TEXTS[0]) == splade.encode(TEXTS)[:1]
    none = splade.encode([])
    assert none.shape == (0, len(VOCABULARY))
    assert none.indptr.tolist() == [0]


def test_formula_in_float64(splade: corten.Encoder) -> None:
    """The head by hand, on the hidden vectors of the same encoder as a dense model."""
    files = tiny_splade()
    tensors = {name: tensor.astype(np.float64) for name, tensor in files.tensors.items()}
    hidden = hidden_vectors(files)
    dense = hidden @ tensors["cls.predictions.transform.dense.weight"].T
    dense += tensors["cls.predictions.transform.dense.bias"]
    gelu = dense * 0.5 * (1 + np.vectorize(__import__("math").erf)(dense / np.sqrt(2)))
    norm = (gelu - gelu.mean(1, keepdims=True)) / np.sqrt(gelu.var(1, keepdims=True) + 1e-12)
    norm = (
        norm * tensors["cls.predictions.transform.LayerNorm.weight"]
        + tensors["cls.predictions.transform.LayerNorm.bias"]
    )
    logits = norm @ tensors["bert.embeddings.word_embeddings.weight"].T + tensors["cls.predictions.bias"]
    expected = np.log1p(np.maximum(logits, 0)).max(axis=0)
    # Sums of 16 products of about 1 in float32.
    assert np.abs(splade.encode(TEXTS[0]).to_dense()[0] - expected).max() <= 2e-6


def hidden_vectors(files: Any) -> np.ndarray:
    import tempfile

    from tiny_model import tiny_model

    dense = tiny_model()
    with tempfile.TemporaryDirectory() as folder:
        rows = corten.Encoder(dense.write(Path(folder))).encode(TEXTS[0], output_value="token_embeddings")
    assert set(dense.tensors) <= {name.removeprefix("bert.") for name in files.tensors}
    return np.asarray(rows, dtype=np.float64)


def test_max_active_dims(splade: corten.Encoder, splade_folder: Path) -> None:
    whole = splade.encode(TEXTS)
    kept = splade.encode(TEXTS, max_active_dims=3)
    for all_of_row, row in zip(whole, kept, strict=True):
        largest = sorted(all_of_row.items(), key=lambda item: -item[1])[:3]
        assert row == dict(sorted(largest))
    assert corten.Encoder(splade_folder, max_active_dims=3).encode(TEXTS) == kept
    assert splade.encode(TEXTS, max_active_dims=10**30) == whole
    limited = corten.Encoder(splade_folder, max_active_dims=3)
    assert limited.max_active_dims == 3
    assert limited.encode(TEXTS, max_active_dims=5) == splade.encode(TEXTS, max_active_dims=5)
    limited.max_active_dims = None
    assert limited.encode(TEXTS) == whole


def test_max_active_dims_of_the_folder(tmp_path: Path) -> None:
    files = tiny_splade()
    files.config_sentence_transformers["max_active_dims"] = 2
    model = corten.Encoder(files.write(tmp_path))
    assert model.max_active_dims == 2
    assert [len(row) for row in model.encode(TEXTS)] == [2] * 5
    assert max(len(row) for row in model.encode(TEXTS, max_active_dims=4)) == 4


@pytest.mark.parametrize("wrong", [0, -1, 2.0, "3", True])
def test_max_active_dims_out_of_range(splade: corten.Encoder, splade_folder: Path, wrong: Any) -> None:
    message = "max_active_dims: expected an integer of at least 1, found "
    with pytest.raises(ValueError, match=message):
        splade.encode(TEXTS, max_active_dims=wrong)
    with pytest.raises(ValueError, match=message):
        corten.Encoder(splade_folder, max_active_dims=wrong)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output_value": "token_embeddings"}, "output_value: expected 'sentence_embedding', since"),
        ({"precision": "int8"}, "precision: expected 'float32', since this model gives sparse vectors, found 'int8'"),
        ({"normalize_embeddings": True}, "normalize_embeddings: expected False, since"),
        ({"normalize_embeddings": "no"}, "normalize_embeddings: expected True or False, found 'no'"),
        ({"truncate_dim": 8}, r"truncate_dim: expected None, since .* found 8 \(hint: max_active_dims keeps"),
        ({"truncate_dim": 0}, "truncate_dim: expected None, since .* found 0"),
    ],
)
def test_arguments_of_dense_models(splade: corten.Encoder, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        splade.encode(TEXTS, **arguments)


def test_truncation_is_for_dense_models(splade_folder: Path, tiny: corten.Encoder, tiny_folder: Path) -> None:
    with pytest.raises(ValueError, match="truncate_dim: expected None"):
        corten.Encoder(splade_folder, truncate_dim=8)
    model = corten.Encoder(splade_folder)
    with model.truncate_embeddings(8), pytest.raises(ValueError, match="truncate_dim: expected None"):
        model.encode(TEXTS)
    for call in (lambda: tiny.encode(TEXTS, max_active_dims=8), lambda: corten.Encoder(tiny_folder, max_active_dims=8)):
        with pytest.raises(ValueError, match="max_active_dims: this model gives dense vectors, found 8"):
            call()


def test_dense_arrays_where_asked_for(splade: corten.Encoder) -> None:
    rows = splade.encode(TEXTS)
    assert np.array_equal(splade.encode(TEXTS, convert_to_sparse_tensor=False), rows.to_dense())
    assert splade.encode(TEXTS[0], convert_to_sparse_tensor=False).shape == (len(VOCABULARY),)


def test_tensors_where_asked_for(splade: corten.Encoder) -> None:
    torch = pytest.importorskip("torch", reason="NOT RUN: torch is not installed")
    rows = splade.encode(TEXTS)
    sparse = splade.encode(TEXTS, convert_to_tensor=True)
    assert sparse.is_sparse
    assert torch.equal(sparse.to_dense(), torch.from_numpy(rows.to_dense()))
    dense = splade.encode(TEXTS, convert_to_tensor=True, convert_to_sparse_tensor=False)
    assert torch.equal(dense, sparse.to_dense())
    one = splade.encode(TEXTS[0], convert_to_tensor=True)
    assert one.shape == (len(VOCABULARY),)
    assert splade.decode(one) == splade.decode(rows[0])


def test_prompts(splade: corten.Encoder) -> None:
    assert splade.prompts == {"query": "query: ", "document": ""}
    assert splade.encode_query("cells") == splade.encode("query: cells")
    assert splade.encode_document("cells") == splade.encode("cells")
    assert splade.encode("cells", prompt="the ") == splade.encode("the cells")
    assert splade.encode(["cells"], prompt_name="query") == splade.encode_query(["cells"])


def test_similarity(splade: corten.Encoder, splade_folder: Path) -> None:
    assert splade.similarity_fn_name == "dot"
    rows = splade.encode(TEXTS)
    dense = rows.to_dense().astype(np.float64)
    scores = splade.similarity(splade.encode_query("cells"), rows)
    assert scores.shape == (1, 5)
    assert np.abs(splade.similarity(rows, rows) - dense @ dense.T).max() <= 1e-5
    assert np.array_equal(splade.similarity(rows, rows), splade.similarity(rows, rows.to_dense()))
    assert np.array_equal(splade.similarity_pairwise(rows, rows), np.diag(splade.similarity(rows, rows)))
    assert np.array_equal(rows.similarity(rows), splade.similarity(rows, rows))
    cosine = corten.Encoder(splade_folder, similarity_fn_name="cosine")
    assert np.abs(np.diag(cosine.similarity(rows, rows)) - 1).max() <= 1e-6
    assert np.array_equal(cosine.encode(TEXTS).similarity(rows), cosine.similarity(rows, rows))


def test_rows_as_iteration_gives_them(splade: corten.Encoder, tiny: corten.Encoder) -> None:
    rows = splade.encode(TEXTS)
    scores = splade.similarity(rows, rows)
    assert np.array_equal(splade.similarity(rows[0], rows), scores[:1])
    assert np.array_equal(splade.similarity(list(rows), rows.to_dense()), scores)
    assert np.array_equal(splade.similarity_pairwise(list(rows), tuple(rows)), np.diag(scores))
    assert splade.intersection(rows[0], rows) == rows[:1].intersection(rows)
    assert splade.decode(list(rows)) == rows.decode()
    with pytest.raises(
        ValueError, match="embeddings: expected SparseEmbeddings, since a dict does not say how many terms"
    ):
        splade.sparsity(rows[0])
    with pytest.raises(ValueError, match="embeddings: expected SparseEmbeddings"):
        splade.intersection(rows, list(rows))
    with pytest.raises(ValueError, match="indices: expected terms from 0 to below 16"):
        tiny.similarity({16: 1.0}, {3: 1.0})
    torch = pytest.importorskip("torch", reason="NOT RUN: torch is not installed")
    vectors = [torch.from_numpy(row).to_sparse() for row in rows.to_dense()]
    assert np.array_equal(splade.similarity(vectors, vectors), scores)


def test_decode_sparsity_and_intersection(splade: corten.Encoder) -> None:
    rows = splade.encode(TEXTS)
    decoded = splade.decode(rows)
    assert decoded == rows.decode()
    for row, words in zip(rows, decoded, strict=True):
        assert dict(words) == {VOCABULARY[term]: weight for term, weight in row.items()}
        assert [weight for _, weight in words] == sorted(row.values(), reverse=True)
    assert splade.decode(rows[0], top_k=2) == decoded[0][:2]
    assert splade.decode(rows.to_dense()) == decoded
    assert splade.decode(pickle.loads(pickle.dumps(rows))) == decoded
    assert splade.sparsity(rows) == rows.sparsity()
    assert splade.intersection(rows[:1], rows) == rows[:1].intersection(rows)
    with pytest.raises(ValueError, match=rf"decode: .* {len(VOCABULARY)} wide and sparse, found 7 wide"):
        splade.decode(SparseEmbeddings([0, 0], [], [], (1, 7)))


def test_decode_is_for_sparse_models(tiny: corten.Encoder) -> None:
    with pytest.raises(ValueError, match="decode: expected embeddings of this model"):
        tiny.decode(tiny.encode(TEXTS))


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_batches(splade: corten.Encoder, batch_size: int) -> None:
    texts = [" ".join(TEXTS[:i]) for i in range(1, 5)] * 40
    rows = splade.encode(texts, batch_size=batch_size)
    assert rows == splade.encode(texts)
    assert rows[0] == splade.encode(texts[0])[0]
    with pytest.raises(ValueError, match="batch_size: expected an integer of at least 1, found 0"):
        splade.encode(texts, batch_size=0)


def test_an_encoder_is_pickled_with_its_limit(splade_folder: Path) -> None:
    model = corten.Encoder(splade_folder, max_active_dims=4)
    copy = pickle.loads(pickle.dumps(model))
    assert copy.max_active_dims == 4
    assert copy.encode(TEXTS) == model.encode(TEXTS)


def test_progress(splade: corten.Encoder, capsys: pytest.CaptureFixture[str]) -> None:
    splade.encode(TEXTS, show_progress_bar=True)
    assert "5/5" in capsys.readouterr().err


def test_a_text_that_overflows_is_named(tmp_path: Path) -> None:
    files = tiny_splade()
    decoder = files.tensors["bert.embeddings.word_embeddings.weight"].copy()
    decoder[VOCABULARY.index("heart")] = 3e38
    files.tensors["cls.predictions.decoder.weight"] = decoder
    model = corten.Encoder(files.write(tmp_path))
    with pytest.raises(ValueError, match=r"texts\[0\]: expected a finite vector, found NaN or infinity"):
        model.encode(TEXTS)
