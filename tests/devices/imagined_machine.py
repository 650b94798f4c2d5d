"""A machine with, or without, what a GPU needs: a stand-in for the driver, a package corten-cuda, the nvidia libraries.

What a process sees of it is chosen before it starts, by the paths that the system's loader and Python search.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import corten

# Encodes a text on the device that the second argument names, and prints where that was or the error.
PROGRAM = """
import logging, sys
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
import corten
device = None if sys.argv[2] == "None" else sys.argv[2]
try:
    encoder = corten.Encoder(sys.argv[1], device=device, dtype=sys.argv[3], threads=1)
except corten.DeviceError as error:
    print("DeviceError", error)
else:
    print("on", encoder.device, encoder.encode("the heart", show_progress_bar=False).shape)
"""

# What corten_cuda._native is asked for, in a module that is loaded as it would be.
NATIVE = """
from corten import _native

class Encoder:
    def __new__(cls, path, *, device, **options):
        print("corten_cuda._native.Encoder", device)
        return _native.Encoder(path, **options)
"""


def compile_shared(source: str | Path, to: Path) -> None:
    """A shared object of a C source; skips the test where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("NOT RUN: no C compiler for the stand-ins of the CUDA libraries")
    to.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([compiler, "-shared", "-fPIC", "-Werror", "-x", "c", str(source), "-o", str(to)], check=True)


@dataclass
class Machine:
    """Its files are in `folder`; `environment` is added to that of its processes."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def packages(self) -> Path:
        """Its site-packages."""
        return self.folder / "packages"

    @property
    def libraries(self) -> Path:
        """Where its nvidia packages have their libraries."""
        return self.packages / "nvidia" / "cu13" / "lib"

    def add_driver(self) -> None:
        compile_shared(Path(__file__).with_name("driver.c"), self.folder / "driver" / "libcuda.so.1")

    def add_package(self, version: str = corten.__version__, native: str = NATIVE) -> None:
        (self.packages / "corten_cuda").mkdir(parents=True)
        (self.packages / "corten_cuda" / "__init__.py").touch()
        (self.packages / "corten_cuda" / "_native.py").write_text(native)
        description = self.packages / f"corten_cuda-{version}.dist-info"
        description.mkdir()
        (description / "METADATA").write_text(f"Metadata-Version: 2.1\nName: corten-cuda\nVersion: {version}\n")

    def add_libraries(self) -> None:
        from corten.cuda_libraries import LIBRARIES

        for name, _ in LIBRARIES:
            compile_shared("/dev/null", self.libraries / name)
        # Otherwise a namespace, to which nvidia's packages of the environment that runs the tests would belong too.
        (self.packages / "nvidia" / "__init__.py").touch()

    def encode(self, folder: Path, device: str, dtype: str = "float32") -> list[str]:
        """What PROGRAM prints, without the line about the model."""
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(folder), device, dtype],
            env={
                **{name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"},
                "PYTHONPATH": str(self.packages),
                "LD_LIBRARY_PATH": str(self.folder / "driver"),
                **self.environment,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=25,
        )
        if done.returncode != 0 or done.stderr:
            pytest.fail(f"the process ended with {done.returncode} and wrote: {done.stderr}")
        return [line for line in done.stdout.splitlines() if not line.startswith(f"INFO {folder}: ")]
