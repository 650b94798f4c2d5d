"""What a newly loaded Encoder says to the logger "corten"."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

import corten


def test_a_line_says_what_the_encoder_runs_on(tiny_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="corten"):
        encoder = corten.Encoder(tiny_folder, threads=1)
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("corten")]
    assert messages == [f"{tiny_folder}: dtype {encoder.dtype}, CPU level {corten.cpu_info()['level']}, threads 1"]


def test_it_names_the_level_that_was_asked_for(tiny_folder: Path) -> None:
    program = (
        "import logging, corten; logging.basicConfig(level=logging.INFO); "
        f"corten.Encoder({str(tiny_folder)!r}, threads=1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "CORTEN_CPU_LEVEL": "scalar"},
        capture_output=True,
        text=True,
        check=True,
        timeout=25,
    )
    assert done.stderr == f"INFO:corten.encoder:{tiny_folder}: dtype float32, CPU level scalar, threads 1\n"


def test_no_line_unless_asked(tiny_folder: Path) -> None:
    program = f"import corten; corten.Encoder({str(tiny_folder)!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=25)
    assert (done.stdout, done.stderr) == ("", "")
