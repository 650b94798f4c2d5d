"""The examples of README.md run, and the outputs they show are those that come.

A model that README.md names by its id on the hub is replaced by a small one of the same family, since no test may
download anything.
"""

from __future__ import annotations

import doctest
import os
import re
from pathlib import Path

import pytest

import corten
from shared_files import REPOSITORY, SHARED

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```(?:python|pycon)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
# The models of README.md and what stands for each: a folder, or None for all-MiniLM-L6-v2, which is a package.
STAND_INS: dict[str, Path | None] = {
    "sentence-transformers/all-MiniLM-L6-v2": None,
    "neuml/pubmedbert-base-splade": SHARED / "models" / "splade-minilm",
    "sentence-transformers/static-retrieval-mrl-en-v1": SHARED / "models" / "static-minilm-256",
    "neuml/bert-hash-pico-embeddings": SHARED / "fixtures" / "models" / "bert-hash",
}
MOST_LINES = 5


def models_of(example: str) -> list[str]:
    return re.findall(r'Encoder\("([^"]+)"', example)


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # for the files that examples write

    def folder(name: str | os.PathLike[str], **_: object) -> Path:
        stand_in = STAND_INS[str(name)]
        if stand_in is None:
            found: Path = request.getfixturevalue("minilm_folder")
            return found
        if not stand_in.is_dir():
            pytest.skip(f"NOT RUN: there is no folder {stand_in} to stand for {name}")
        return stand_in

    monkeypatch.setattr("corten.encoder.model_folder", folder)


def test_there_are_examples() -> None:
    assert {model for example in EXAMPLES for model in models_of(example)} == set(STAND_INS)


@pytest.mark.usefixtures("stand_ins")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: (models_of(example) or ["no model"])[0])
def test_example(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    parsed = doctest.DocTestParser().get_doctest(example, {"Encoder": corten.Encoder}, "README.md", "README.md", 0)
    if not parsed.examples:  # without prompts: nothing is shown, and nothing may fail
        exec(compile(example, "README.md", "exec"), {})
        return
    assert len(parsed.examples) <= MOST_LINES, "each family in a few lines"
    with capsys.disabled():
        failed = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(parsed).failed
    assert failed == 0, "the differences are printed above"
