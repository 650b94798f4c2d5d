"""The rooms of the code: ARCHITECTURE.md against the crates, `unsafe`, the length of files, the documents' commands."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from shared_files import REPOSITORY

CRATES = REPOSITORY / "crates"
RUST_FILES = sorted(path for path in CRATES.rglob("*.rs") if "target" not in path.parts)
PYTHON_FILES = sorted(
    path for folder in ("python", "tests", "benches", "examples") for path in (REPOSITORY / folder).rglob("*.py")
)
MOST_LINES = {".rs": 300, ".py": 350}
# Names that say nothing about what is inside.
EMPTY_NAMES = {"utils", "util", "common", "helpers", "helper", "core", "misc", "shared"}


def allowed_arrows() -> dict[str, set[str]]:
    """The table of ARCHITECTURE.md: for each crate those it may depend on."""
    rows = re.findall(
        r"^\| `([a-z-]+)` \|.*\| ([a-z`, -]*)\|$", (REPOSITORY / "ARCHITECTURE.md").read_text(), re.MULTILINE
    )
    return {crate: set(re.findall(r"`([a-z-]+)`", allowed)) for crate, allowed in rows}


def metadata() -> list[dict[str, Any]]:
    done = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--offline", "--format-version=1"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=25,
    )
    packages: list[dict[str, Any]] = json.loads(done.stdout)["packages"]
    return packages


def test_crates_depend_on_what_the_table_allows() -> None:
    allowed, packages = allowed_arrows(), metadata()
    names = {package["name"] for package in packages}
    assert names == set(allowed), "each crate has a row in ARCHITECTURE.md, and each row a crate"
    for package in packages:
        own = {dependency["name"] for dependency in package["dependencies"] if dependency["name"] in names}
        extra = own - allowed[package["name"]]
        assert not extra, f"{package['name']} depends on {extra}, which ARCHITECTURE.md does not allow"


def test_the_table_has_no_circle() -> None:
    allowed = allowed_arrows()
    done: set[str] = set()
    while len(done) < len(allowed):
        ready = {crate for crate, needs in allowed.items() if crate not in done and needs <= done}
        assert ready, f"a circle among {set(allowed) - done}"
        done |= ready


def test_model_files_does_not_know_candle() -> None:
    """And nothing but the tokenizer's room knows tokenizers, and nothing but the bindings knows Python."""
    only_in = {"candle-core": {"ops", "models"}, "tokenizers": {"encoder"}, "pyo3": {"python-bindings"}}
    for package in metadata():
        for dependency in package["dependencies"]:
            rooms = only_in.get(dependency["name"])
            assert rooms is None or package["name"] in rooms, f"{package['name']} depends on {dependency['name']}"


# Vector instructions and calls into CUDA.
UNSAFE_ROOMS = [CRATES / "kernels", CRATES / "cuda-kernels"]
# A file cannot be mapped without `unsafe`; its caller says why that is sound.
MAPPING = CRATES / "sparse-index" / "src" / "mapping.rs"


def test_unsafe_only_in_its_rooms() -> None:
    sites = [
        f"{path.relative_to(REPOSITORY)}:{number}"
        for path in RUST_FILES
        if path != MAPPING and not any(path.is_relative_to(room) for room in UNSAFE_ROOMS)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(r"\bunsafe\s*(\{|fn|impl|extern)", line.split("//")[0])
    ]
    assert sites == []


@pytest.mark.parametrize("path", RUST_FILES + PYTHON_FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_files_have_one_idea(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= MOST_LINES[path.suffix]
    assert path.stem not in EMPTY_NAMES


def test_commands_of_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", ".ci/run"):
        for target in re.findall(r"\bmake ([a-z-]+)\b", (REPOSITORY / document).read_text()):
            assert target in targets, f"{document} says `make {target}`"


def test_files_that_the_documents_name_exist() -> None:
    for document in REPOSITORY.glob("*.md"):
        text = document.read_text(encoding="utf-8")
        links = re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(
            r"`((?:tests|crates|python|examples)/[\w./-]*)`", text
        )
        for link in links:
            assert (REPOSITORY / link).exists(), f"{document.name} names {link}"


def test_every_target_has_a_line_of_help() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    helped = set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE))
    assert set(re.findall(r"^\.PHONY: (.*)", makefile, re.MULTILINE)) - helped == {"rust", "python", "cargo-nextest"}


def test_the_stub_declares_every_public_name() -> None:
    from corten import _native

    stub = (REPOSITORY / "python" / "corten" / "_native.pyi").read_text(encoding="utf-8")
    declared = set(re.findall(r"^(?:class|def) (\w+)|^(\w+):", stub, re.MULTILINE))
    names = {name for pair in declared for name in pair if name}
    assert names == {name for name in vars(_native) if not name.startswith("_")} | {"__version__"}
