"""What `import corten` costs and brings in, and what the package offers."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

import corten
from shared_files import REPOSITORY


def python(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=25,
        check=True,
    )
    return done.stdout.strip()


def test_import_brings_in_nothing_heavy() -> None:
    modules = set(python("import sys, corten; print(*sys.modules)").split())
    assert "numpy" in modules
    assert modules.isdisjoint({"huggingface_hub", "tqdm", "torch", "transformers", "httpx", "requests", "asyncio"})
    assert modules.isdisjoint({"corten.cuda", "corten.cuda_driver", "corten.cuda_libraries", "corten_cuda"})


def test_encoding_a_folder_brings_in_nothing_more(tiny_folder: Path) -> None:
    program = f"import sys, corten; corten.Encoder({str(tiny_folder)!r}).encode(['a']); print(*sys.modules)"
    assert set(python(program).split()).isdisjoint({"huggingface_hub", "tqdm", "torch"})


def test_import_is_fast() -> None:
    """A tenth of a second on top of numpy, the best of five: the time is a promise of the package."""
    program = (
        "import numpy, numpy.typing, logging, time; start = time.perf_counter(); import corten; "
        "print(time.perf_counter() - start)"
    )
    assert min(float(python(program)) for _ in range(5)) < 0.1


@pytest.mark.parametrize("environment", [{"LC_ALL": "C", "PYTHONUTF8": "0"}, {"PYTHONOPTIMIZE": "2"}, {"HOME": "/"}])
def test_import_in_odd_environments(environment: dict[str, str]) -> None:
    assert python("import corten; print(corten.Encoder.__name__)", **environment) == "Encoder"


def test_names() -> None:
    assert corten.__all__ == sorted(corten.__all__)
    for name in corten.__all__:
        assert getattr(corten, name) is not None
    assert issubclass(corten.ModelFileError, ValueError)
    assert issubclass(corten.DeviceError, RuntimeError)
    assert issubclass(corten.InternalError, RuntimeError)


def test_version_is_one() -> None:
    assert importlib.metadata.version("corten") == corten.__version__
    assert f'\nversion = "{corten.__version__}"\n' in (REPOSITORY / "Cargo.toml").read_text(encoding="utf-8")


def test_dependencies() -> None:
    """No torch, and nothing that is not used."""
    required = importlib.metadata.requires("corten") or []
    names = {requirement.split(">")[0].strip().replace("-", "_") for requirement in required}
    assert names == {"huggingface_hub", "numpy", "tqdm"}


def test_cpu_info_says_what_runs() -> None:
    info = corten.cpu_info()
    assert isinstance(info["level"], str)
    assert isinstance(info["detected"], str)
    assert info["threads"] >= 1
    told_by = {"avx512": "avx512f", "avx512_vnni": "avx512vnni", "avx512_bf16": "avx512bf16", "amx": "amxint8"}
    assert told_by.get(info["detected"], info["detected"]) in [*info["features"], "scalar"]
