"""What an Encoder with a SPLADE model makes goes into the index as it is, and is found as `similarity` says."""

from __future__ import annotations

import numpy as np
import pytest

import corten
from shared_files import SPLADE_MINILM, needs_splade_minilm
from sparse_reference import RELATIVE, STORED

QUESTIONS = ["Does aspirin prevent strokes?", "What is the treatment of diabetes?", "Which genes cause cancer?"]


@pytest.fixture(params=["random weights", pytest.param("trained", marks=needs_splade_minilm)])
def encoder(request: pytest.FixtureRequest, splade: corten.Encoder) -> corten.Encoder:
    return splade if request.param == "random weights" else corten.Encoder(SPLADE_MINILM)


def test_embeddings_of_an_encoder(encoder: corten.Encoder, real_texts: list[str]) -> None:
    texts = [text[:400] for text in real_texts[:60]]
    documents = encoder.encode_document(texts)
    queries = encoder.encode_query(QUESTIONS)
    index = corten.SparseIndex.build(documents[:40])
    index.add(documents[40:])
    assert (index.dim, len(index)) == (documents.shape[1], 60)

    ids, scores = index.search(queries, k=5)
    expected = queries.to_scipy().astype(np.float64) @ documents.to_scipy().astype(np.float64).T
    expected = expected.toarray()
    assert ids.shape == scores.shape == (3, 5)
    best = -np.sort(-expected, axis=1)[:, :5]
    tolerance = (RELATIVE + STORED) * best
    assert (np.abs(scores - best) <= tolerance).all()
    assert (np.abs(np.take_along_axis(expected, ids, axis=1) - best) <= tolerance).all()
    assert np.abs(encoder.similarity(queries, documents) - expected).max() <= 1e-5 * best.max()

    # One text is one query, whether it is encoded alone or is a row of several.
    alone = index.search(encoder.encode_query(QUESTIONS[1]), k=5)
    assert alone[0].tolist() == ids[1].tolist()
    assert alone[1].tolist() == scores[1].tolist()
    # Weights are kept in 24 bits, which loses at most this.
    assert index.get(7) == pytest.approx(list(documents)[7], rel=2**-17)


def test_a_batch_without_texts(splade: corten.Encoder) -> None:
    index = corten.SparseIndex.build(splade.encode_document([]))
    assert len(index) == 0
    assert index.search(splade.encode_query("the heart"))[0].shape == (0,)
    index.add(splade.encode_document(["the heart"]))
    assert index.search(splade.encode_query(["the heart"]), k=1)[0].tolist() == [0]
