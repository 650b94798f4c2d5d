"""Every array of every SPLADE fixture, and the trained splade-minilm in both layouts, against the reference."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import corten
from corten import SparseEmbeddings
from parity import golden as g
from parity.test_cpu_levels import LEVELS, levels_up_to
from parity.test_fixtures import IDS_CALL
from shared_files import FIXTURES, SPLADE_MINILM, needs_fixtures, needs_splade_minilm

ENCODED = g.names_sparse() if FIXTURES.is_dir() else []
ARRAYS = ["sparse", "sparse_query", "sparse_document", "sparse_max_1", "sparse_max_8", "sparse_max_64"]
CASES = [(name, array) for name in ENCODED for array in ARRAYS]
# A term may be missing or new where its weight is below this: the fixtures' README, and that of the trained models.
BARELY_ACTIVE = 1e-4
# The trained model's README: values within 1e-4. Six layers of 384 add up more noise than the fixtures' two of 32.
TRAINED = g.Tolerance(1e-4, 0, "the bound for the trained model: sums of 384 products, six layers deep")


@cache
def encoder(name: str, device: str = "cpu") -> corten.Encoder:
    return corten.Encoder(g.golden(name).folder, device=device)


def rows_of(name: str, array: str) -> SparseEmbeddings:
    arrays = g.golden(name).arrays
    indptr, indices, values = (arrays[f"{array}.{part}"] for part in ("indptr", "indices", "values"))
    return SparseEmbeddings(indptr, indices, values, (len(indptr) - 1, g.golden(name).json["dim"]))


def assert_sparse_close(answer: Any, expected: SparseEmbeddings, tolerance: g.Tolerance, label: str) -> None:
    """Values within the tolerance, and the same terms but for those barely active."""
    assert isinstance(answer, SparseEmbeddings)
    assert answer.indptr.dtype == np.int64
    assert answer.indices.dtype == np.int32
    assert answer.values.dtype == np.float32
    assert (answer.values > 0).all()
    found, wanted = answer.to_dense(), expected.to_dense()
    g.assert_close(found, wanted, tolerance, label)
    changed = (found > 0) != (wanted > 0)
    assert np.maximum(found, wanted)[changed].max(initial=0) < BARELY_ACTIVE, label


def test_there_are_cases() -> None:
    if FIXTURES.is_dir():
        assert len(ENCODED) >= 5
        for name in ENCODED:
            known = {"ids", "dot", "dot_order", *ARRAYS}
            arrays = {array.rpartition(".")[0] or array for array in g.golden(name).json["arrays"]}
            assert arrays == known, "an array that no test compares"


@needs_fixtures
@pytest.mark.parametrize(("name", "array"), CASES)
def test_sparse_rows(name: str, array: str) -> None:
    answer = evaluate(name, array, encoder(name))
    assert_sparse_close(answer, rows_of(name, array), g.golden(name).tolerance(array), f"{name} {array}")


def evaluate(name: str, array: str, model: corten.Encoder) -> Any:
    """What corten answers to the call that made `array`."""
    call = g.golden(name).made_by(f"{array}.values")["call"]
    names = {"encode": model.encode, "encode_query": model.encode_query, "encode_document": model.encode_document}
    # The calls are data of the fixtures, which the person who runs the tests put there.
    return eval(call, {"__builtins__": {}, "texts": g.texts(), **names})


@needs_fixtures
@pytest.mark.parametrize("name", ENCODED)
def test_token_ids(name: str) -> None:
    call = IDS_CALL.fullmatch(g.golden(name).made_by("ids")["call"])
    assert call is not None
    answer = encoder(name).token_ids(g.texts(), prompt=ast.literal_eval(call["prompt"]))
    assert answer == [row.tolist() for row in g.golden(name).rows("ids")]


@needs_fixtures
@pytest.mark.parametrize("whose", ["reference", "corten"])
@pytest.mark.parametrize("name", ENCODED)
def test_dot_products_and_their_order(name: str, whose: str) -> None:
    """Of the reference's rows within the fixtures' bound; of our rows with the noise of their values on top."""
    embeddings = rows_of(name, "sparse") if whose == "reference" else encoder(name).encode(g.texts())
    expected, bound = g.golden(name).arrays["dot"], g.golden(name).tolerance("dot")
    if whose == "corten":
        bound = g.Tolerance(5e-5, bound.relative, "two values may be off by 2e-5 each, and weights are about 1")
    scores = encoder(name).similarity(embeddings, embeddings)
    g.assert_close(scores, expected, bound, f"{name} dot")
    # Documents may change places where their scores are closer than the bound.
    order = g.golden(name).arrays["dot_order"]
    for mine, theirs, wanted in zip(np.argsort(-scores, axis=1, kind="stable"), order, expected, strict=True):
        apart = np.abs(wanted[mine] - wanted[theirs])
        assert np.all(apart <= 2 * (bound.absolute + bound.relative * np.abs(wanted[theirs])))


@needs_fixtures
@pytest.mark.parametrize("name", ENCODED)
def test_decode(name: str) -> None:
    decoded = g.golden(name).json["decode"]
    model = encoder(name)
    embeddings = model.encode([g.texts()[i] for i in decoded["chosen"]])
    for top_k, expected in ((None, decoded["all"]), (5, decoded["top_5"])):
        for mine, theirs in zip(model.decode(embeddings, top_k=top_k), expected, strict=True):
            assert [word for word, _ in mine] == [word for word, _ in theirs]
            g.assert_close(
                [weight for _, weight in mine], np.array([weight for _, weight in theirs]), g.SPARSE_VALUES, name
            )


@needs_fixtures
@pytest.mark.parametrize("name", ENCODED)
def test_settings(name: str) -> None:
    said, model = g.golden(name).json, encoder(name)
    for key in ("max_seq_length", "similarity_fn_name", "prompts", "max_active_dims"):
        assert getattr(model, key) == said[key], key
    assert model.get_embedding_dimension() == said["embedding_dimension"]
    active = np.mean([len(row) for row in model.encode(g.texts())])
    assert abs(active - said["active_dims_mean"]) <= 0.05 * said["active_dims_mean"]
    empty = {name for name, row in zip(names_of_texts(), model.encode(g.texts()), strict=True) if not row}
    assert empty == set(said["texts_without_active_dims"])


def names_of_texts() -> list[str]:
    return [name for name, _ in json.loads((FIXTURES / "texts.json").read_text(encoding="utf-8"))]


@needs_fixtures
@pytest.mark.parametrize("name", ENCODED)
def test_rows_do_not_depend_on_batch_order_or_threads(name: str) -> None:
    model, texts = encoder(name), g.texts()
    together = model.encode(texts)
    for text, row in zip(texts, together, strict=True):
        assert model.encode(text)[0] == row
    assert model.encode(texts, batch_size=7) == together
    assert model.encode(texts[::-1])[::-1] == together
    for threads in (1, 3):
        assert corten.Encoder(g.golden(name).folder, threads=threads).encode(texts) == together


def trained_texts() -> list[str]:
    return [row["text"] for row in json.loads((SPLADE_MINILM / "golden" / "texts.json").read_text(encoding="utf-8"))]


def trained_rows() -> SparseEmbeddings:
    arrays = load_file(SPLADE_MINILM / "golden" / "golden.safetensors")
    rows, terms = arrays["shape"].tolist()
    return SparseEmbeddings(arrays["indptr"], arrays["indices"], arrays["data"], (rows, terms))


@needs_splade_minilm
@pytest.mark.parametrize("layout", ["current", "legacy"])
def test_trained_model(tmp_path: Path, layout: str) -> None:
    folder = SPLADE_MINILM
    if layout == "legacy":
        folder = tmp_path / "model"
        shutil.copytree(SPLADE_MINILM, folder, ignore=shutil.ignore_patterns("golden", "legacy_layout"))
        shutil.copytree(SPLADE_MINILM / "legacy_layout", folder, dirs_exist_ok=True)
    model = corten.Encoder(folder)
    assert (model.max_seq_length, model.similarity_fn_name, model.get_embedding_dimension()) == (256, "dot", 30522)
    answer = model.encode(trained_texts())
    assert_sparse_close(answer, trained_rows(), TRAINED, f"splade-minilm, {layout} layout")
    top = json.loads((SPLADE_MINILM / "golden" / "top_terms.json").read_text(encoding="utf-8"))
    assert len(top) == len(answer)
    alone = [model.encode(text)[0] for text in trained_texts()[:6]]
    assert alone == list(answer[:6]), "a text has the same bits alone"


ENCODE = """
import json, sys
import corten, numpy as np
rows = corten.Encoder(sys.argv[1]).encode(json.load(sys.stdin))
np.savez(sys.argv[2], indptr=rows.indptr, indices=rows.indices, values=rows.values)
print(corten.cpu_info()["level"])
"""


@needs_splade_minilm
@pytest.mark.timeout(120)
@pytest.mark.parametrize("level", LEVELS)
def test_trained_model_at_every_level(tmp_path: Path, level: str) -> None:
    if level not in levels_up_to(corten.cpu_info()["detected"]):
        pytest.skip(f"NOT RUN: this processor has no {level}")
    order = np.argsort([len(text) for text in trained_texts()])[:16]  # the scalar level takes its time
    done = subprocess.run(
        [sys.executable, "-c", ENCODE, str(SPLADE_MINILM), str(tmp_path / "rows.npz")],
        env={**os.environ, "CORTEN_CPU_LEVEL": level},
        input=json.dumps([trained_texts()[i] for i in order]),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"{level}\n"), done.stderr
    with np.load(tmp_path / "rows.npz") as file:
        answer = SparseEmbeddings(file["indptr"], file["indices"], file["values"], (len(order), 30522))
    assert_sparse_close(answer, trained_rows()[order], TRAINED, f"splade-minilm, {level}")
