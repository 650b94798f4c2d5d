"""What `make` says where something is missing that it cannot install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared_files import REPOSITORY

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(tools: Path, *arguments: str) -> tuple[int, list[str]]:
    """Runs make with a PATH of nothing but bash and make; returns its exit status and the lines on stderr."""
    tools.mkdir()
    for name in ("bash", "make"):
        (tools / name).symlink_to(os.path.realpath(shutil.which(name) or name))
    done = subprocess.run(
        [tools / "make", "--no-print-directory", *arguments],
        cwd=REPOSITORY,
        env={"PATH": str(tools), "HOME": str(tools)},
        capture_output=True,
        text=True,
        check=False,
        timeout=25,
    )
    return done.returncode, done.stderr.splitlines()


def test_without_rust(tmp_path: Path) -> None:
    """One line with what to do (and make's own line that it stops)."""
    status, lines = make(tmp_path / "tools", "rust")
    assert status == 2
    assert lines[0] == (
        "make: no cargo found: install Rust with rustup (see rust-lang.org), open a new shell and run make again"
    )
    assert len(lines) == 2


@pytest.mark.parametrize("python", ["no-such-python", "/bin/false"])
def test_without_python(tmp_path: Path, python: str) -> None:
    status, lines = make(tmp_path / "tools", "python", f"PYTHON={python}")
    assert status == 2
    assert lines[0] == (
        f"make: {python} is not a Python of at least 3.10 with venv: install one, or run make PYTHON=/path/to/python3"
    )
    assert len(lines) == 2


def test_with_this_python(tmp_path: Path) -> None:
    assert make(tmp_path / "tools", "python", f"PYTHON={sys.executable}") == (0, [])
