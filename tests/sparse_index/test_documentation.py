"""The examples of the documentation run, and say what is said of them."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import pytest

import corten
import corten.sparse_index
from shared_files import REPOSITORY


def test_examples_in_the_docstrings() -> None:
    results = doctest.testmod(corten.sparse_index)
    assert results.attempted > 0
    assert results.failed == 0


def test_the_example_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (block,) = [block for block in blocks if "SparseIndex.build(documents" in block]
    first, second = block.split("index.add(")
    names: dict[str, Any] = {}
    exec(first, names)
    assert names["ids"].tolist() == ["b", "a"]
    assert names["scores"].tolist() == [2.0, 1.5]
    exec("index.add(" + second, names)
    assert names["ids"].tolist() == [["b", None], ["c", "b"]]
    assert names["index"].ids().tolist() == ["b", "c", "d"]
    assert names["index"].stats()["mapped"] is True


def test_the_best_of_several_parts() -> None:
    """The README's way to search more documents than one index should hold finds what one index finds."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (block,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "for part in parts" in block]
    names: dict[str, Any] = {}
    exec(block, names)
    documents = [{7: 1.0, 3: 0.5}, {3: 2.0, 9: 0.25}, {9: 1.0}, {3: 1.5}]
    ids, scores = corten.SparseIndex.build(documents, ids=["a", "b", "c", "d"]).search({3: 1.0, 7: 1.0}, k=2)
    assert names["best"] == [(-score, name) for name, score in zip(ids, scores, strict=True)]
