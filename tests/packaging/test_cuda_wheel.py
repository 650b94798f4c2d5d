"""The configuration of the wheel corten-cuda, which is not built here: that takes CUDA's compiler and half an hour."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import corten
from corten.cuda_driver import LEAST_CAPABILITY, LEAST_CUDA
from corten.cuda_libraries import LIBRARIES
from shared_files import REPOSITORY

FOLDER = REPOSITORY / "cuda-wheel"
TOOLCHAIN = (FOLDER / "toolchain.sh").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def metadata(tmp_path_factory: pytest.TempPathFactory) -> Message:
    """What maturin would write into the wheel."""
    maturin = Path(sys.executable).with_name("maturin")
    if not maturin.exists():
        pytest.skip("NOT RUN: maturin is not installed in this environment")
    to = tmp_path_factory.mktemp("metadata")
    done = subprocess.run(
        [maturin, "pep517", "write-dist-info", "--metadata-directory", to, "--interpreter", sys.executable],
        cwd=FOLDER,
        env={**os.environ, "CARGO_NET_OFFLINE": "true"},
        capture_output=True,
        text=True,
        check=False,
        timeout=25,
    )
    assert done.returncode == 0, done.stderr
    [file] = to.glob("*.dist-info/METADATA")
    return Parser().parsestr(file.read_text(encoding="utf-8"))


def test_name_and_version(metadata: Message) -> None:
    assert (metadata["Name"], metadata["Version"]) == ("corten-cuda", corten.__version__)
    assert metadata["Requires-Python"] == ">=3.10"


def requirements(metadata: Message) -> dict[str, str]:
    """The version ranges by the names of the packages."""
    lines = metadata.get_all("Requires-Dist") or []
    parts = [re.split(r"(?=[=<>])", line, maxsplit=1) for line in lines]
    return {name: range_ for name, range_ in parts}  # noqa: C416  a dict() of lists has no type


def test_it_requires_corten_of_its_own_version(metadata: Message) -> None:
    assert requirements(metadata)["corten"] == f"=={corten.__version__}"


def test_it_requires_the_packages_of_the_libraries(metadata: Message) -> None:
    """Each library that is loaded, of the driver's CUDA or newer, and nothing else."""
    names = {name for name in requirements(metadata) if name != "corten"}
    assert names == {package for _, package in LIBRARIES}
    major, minor = divmod(LEAST_CUDA // 10, 100)
    for name, range_ in requirements(metadata).items():
        if name not in {"corten", "nvidia-curand"}:  # cuRAND counts its own versions
            assert re.fullmatch(rf">={major}\.{minor}\.[0-9.]+,<{major + 1}", range_), (name, range_)


def test_the_compiler_is_the_oldest_that_a_driver_must_have() -> None:
    """A driver refuses what a newer compiler made."""
    major, minor = divmod(LEAST_CUDA // 10, 100)
    pinned = re.findall(r"^(nvidia-[a-z-]+)==(\S+)$", (FOLDER / "toolchain.txt").read_text(), re.MULTILINE)
    versions = {version for name, version in pinned if name != "nvidia-curand"}
    assert versions == {f"{major}.{minor}.*"}
    assert {package for _, package in LIBRARIES} <= {name for name, _ in pinned}


def test_the_compute_capability_is_the_least_that_is_let_through() -> None:
    major, minor = LEAST_CAPABILITY
    assert re.findall(r"CUDA_COMPUTE_CAP=(\d+)", TOOLCHAIN) == [f"{major}{minor}"]
    kernels = (REPOSITORY / "crates" / "cuda-kernels" / "src" / "gpu.rs").read_text(encoding="utf-8")
    assert f"OLDEST_CAPABILITY: (i32, i32) = ({major}, {minor});" in kernels


def test_the_linker_is_given_the_libraries_that_are_loaded() -> None:
    [line] = re.findall(r"^for library in (.*); do$", TOOLCHAIN, re.MULTILINE)
    assert {f"lib{name}" for name in line.split()} == {name for name, _ in LIBRARIES}


def source_toolchain(environment: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in a shell that has sourced toolchain.sh for an environment."""
    return subprocess.run(
        ["bash", "-euc", f'source "$1" "$2"; {program}', "bash", FOLDER / "toolchain.sh", environment],
        capture_output=True,
        text=True,
        check=False,
        timeout=25,
    )


def test_the_toolchain_says_what_it_misses(tmp_path: Path) -> None:
    done = source_toolchain(tmp_path, "echo unreached")
    home = tmp_path / "lib" / "python3*" / "site-packages" / "nvidia" / "cu13"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"toolchain.sh: no nvcc in {home}/bin\n"


@pytest.mark.skipif(shutil.which("cc") is None, reason="NOT RUN: no C compiler")
def test_the_toolchain_makes_a_driver_to_link_with(tmp_path: Path) -> None:
    """Every function of the header, and the name by which the system's loader will look for the real one."""
    home = tmp_path / "lib" / "python3.12" / "site-packages" / "nvidia" / "cu13"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "nvcc").touch(mode=0o755)
    (home / "include").mkdir()
    (home / "include" / "cuda.h").write_text(
        "#define cuMemAlloc cuMemAlloc_v2\ntypedef int CUdevice;\nCUresult CUDAAPI cuInit(unsigned int Flags);\n"
    )
    done = source_toolchain(tmp_path, 'printf "%s\\n" "$CUDA_HOME" "$CUDA_TOOLKIT_ROOT_DIR" "$LIBRARY_PATH"')
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:2] == [str(home)] * 2
    stubs = tmp_path / "stubs"
    assert done.stdout.splitlines()[2].split(":")[0] == str(stubs)
    driver = ctypes.CDLL(str(stubs / "libcuda.so"))
    assert [driver.cuInit(0), driver.cuMemAlloc(), driver.cuMemAlloc_v2()] == [100] * 3
    assert not hasattr(driver, "CUdevice")
    assert b"libcuda.so.1\0" in (stubs / "libcuda.so").read_bytes()
    assert (stubs / "libcublas.so").readlink() == home / "lib" / "libcublas.so.13"


def test_importing_the_package_loads_no_library() -> None:
    """So that looking for it costs nothing: corten imports `corten_cuda._native` by itself."""
    program = "import sys, corten_cuda; print('corten_cuda._native' in sys.modules, 'ctypes' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(FOLDER)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=25
    )
    assert done.stdout == "False False\n"


def test_corten_itself_is_built_without_cuda() -> None:
    """No crate turns the feature on for the others."""
    done = subprocess.run(
        [
            "cargo",
            "tree",
            "--offline",
            "--locked",
            "--package",
            "python-bindings",
            "--prefix=none",
            "--edges=normal,build",
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=25,
    )
    crates = {line.split()[0] for line in done.stdout.splitlines() if line}
    assert "candle-core" in crates
    assert crates.isdisjoint({"cudarc", "candle-kernels"})
