"""Which device an Encoder takes, and what it says where a GPU cannot be used: machines with one thing missing each."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import pytest

import corten
from devices.imagined_machine import Machine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="corten-cuda is for Linux")

SHAPE = "(16,)"


def found(number: int = 0, capability: str = "9.0") -> str:
    """The line about the GPU that will be used."""
    return f"INFO cuda:{number}: Imagined GPU {number}, compute capability {capability}, driver for CUDA 13.0"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def complete(machine: Machine) -> Machine:
    machine.add_driver()
    machine.add_package()
    machine.add_libraries()
    return machine


def refusal(machine: Machine, folder: Path, *before: str) -> str:
    """The message of the DeviceError, said after nothing but `before`. "auto" must be the CPU, for the same reason."""
    *lines, last = machine.encode(folder, "cuda")
    kind, message = last.split(" ", 1)
    assert (lines, kind) == ([*before], "DeviceError")
    level = "WARNING" if machine.packages.exists() else "INFO"
    expected = [*before, f'{level} device "auto" is the CPU: {message}', f"on cpu {SHAPE}"]
    assert machine.encode(folder, "auto") == expected
    return message


def test_a_complete_machine(complete: Machine, tiny_folder: Path) -> None:
    """`corten_cuda._native` is loaded, and asked for the GPU by its full name."""
    complete.environment["DRIVER_GPUS"] = "2"
    for device in ("cuda", "cuda:0", "auto", "None"):
        gpu, native, on = complete.encode(tiny_folder, device)
        assert gpu == found(0)
        assert native == "corten_cuda._native.Encoder cuda:0"
        assert on == f"on cpu {SHAPE}", "the stand-in computes on the CPU, and says so"
    assert complete.encode(tiny_folder, "cuda:1")[:2] == [found(1), "corten_cuda._native.Encoder cuda:1"]


def test_the_cpu_loads_nothing_of_cuda(complete: Machine, tiny_folder: Path) -> None:
    assert complete.encode(tiny_folder, "cpu") == [f"on cpu {SHAPE}"]


def test_int8_is_for_the_cpu(complete: Machine, tiny_folder: Path) -> None:
    expected = ['INFO device "auto" is the CPU: dtype "int8" is for the CPU only', f"on cpu {SHAPE}"]
    assert complete.encode(tiny_folder, "auto", "int8") == expected


def test_without_the_package(machine: Machine, tiny_folder: Path) -> None:
    assert refusal(machine, tiny_folder) == (
        'device: "cuda:0" needs the package corten-cuda, which is not installed '
        f"(hint: install corten-cuda {corten.__version__})"
    )
    assert machine.encode(tiny_folder, "None") == [f"on cpu {SHAPE}"], "whom nothing was asked of says nothing"


@pytest.mark.parametrize("version", ["0.0.9", f"{corten.__version__}.post1"])
def test_another_version_of_the_package(machine: Machine, tiny_folder: Path, version: str) -> None:
    machine.add_driver()
    machine.add_package(version)
    assert refusal(machine, tiny_folder) == (
        f'device: "cuda:0": expected corten-cuda {corten.__version__}, the version of corten, found {version} '
        "(hint: install both of the same version)"
    )


def test_without_a_driver(machine: Machine, tiny_folder: Path) -> None:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        reason = str(error)
    else:
        pytest.skip("NOT RUN: this machine has an NVIDIA driver")
    machine.add_package()
    assert refusal(machine, tiny_folder) == (
        f'device: "cuda:0": the NVIDIA driver is missing: {reason} '
        "(hint: install it; a container must be started with access to the GPUs)"
    )


def test_a_driver_that_is_too_old(complete: Machine, tiny_folder: Path) -> None:
    complete.environment["DRIVER_CUDA"] = "12080"
    assert refusal(complete, tiny_folder) == (
        'device: "cuda:0": expected an NVIDIA driver for CUDA 13.0 or newer, found one for CUDA 12.8 '
        "(hint: update the driver to release 580 or newer)"
    )


@pytest.mark.parametrize("environment", [{"DRIVER_INIT": "100"}, {"DRIVER_GPUS": "0"}])
def test_without_a_gpu(complete: Machine, tiny_folder: Path, environment: dict[str, str]) -> None:
    complete.environment.update(environment)
    assert refusal(complete, tiny_folder) == 'device: there is no "cuda:0": found no GPU'
    complete.environment["CUDA_VISIBLE_DEVICES"] = ""
    assert refusal(complete, tiny_folder) == (
        'device: there is no "cuda:0": found no GPU (hint: the environment variable CUDA_VISIBLE_DEVICES is "")'
    )


@pytest.mark.parametrize(
    ("device", "count", "there"),
    [
        ("cuda:1", "1", "1 GPU, number 0"),
        ("cuda:4", "4", "4 GPUs, numbers 0 to 3"),
        ("cuda:99999999999999999999", "2", "2 GPUs, numbers 0 to 1"),
    ],
)
def test_a_number_out_of_range(complete: Machine, tiny_folder: Path, device: str, count: str, there: str) -> None:
    complete.environment["DRIVER_GPUS"] = count
    expected = f'DeviceError device: there is no "{device}": found {there}'
    assert complete.encode(tiny_folder, device) == [expected]


def test_a_gpu_that_is_too_old(complete: Machine, tiny_folder: Path) -> None:
    complete.environment["DRIVER_CAPABILITY"] = "75"
    assert refusal(complete, tiny_folder) == (
        'device: "cuda:0": expected a GPU of compute capability 8.0 or higher, found Imagined GPU 0 of 7.5'
    )


@pytest.mark.parametrize("capability", ["80", "86", "100", "120"])
def test_gpus_that_will_do(complete: Machine, tiny_folder: Path, capability: str) -> None:
    complete.environment["DRIVER_CAPABILITY"] = capability
    gpu = found(0, f"{capability[:-1]}.{capability[-1]}")
    assert complete.encode(tiny_folder, "cuda")[:2] == [gpu, "corten_cuda._native.Encoder cuda:0"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("999", "unknown error (999)"),
        ("888", "unknown error (888)"),
        (
            "3",
            "initialization error (3) (hint: a process cannot use CUDA if it was forked from one that does; "
            'start it with "spawn")',
        ),
    ],
)
def test_a_driver_that_does_not_start(complete: Machine, tiny_folder: Path, error: str, words: str) -> None:
    complete.environment["DRIVER_INIT"] = error
    assert refusal(complete, tiny_folder) == f'device: "cuda:0": the NVIDIA driver fails: cuInit: {words}'


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("libcudart.so.13", "nvidia-cuda-runtime"),
        ("libcublasLt.so.13", "nvidia-cublas"),
        ("libcublas.so.13", "nvidia-cublas"),
        ("libcurand.so.10", "nvidia-curand"),
        ("libnvrtc.so.13", "nvidia-cuda-nvrtc"),
    ],
)
def test_a_library_that_is_missing(complete: Machine, tiny_folder: Path, name: str, package: str) -> None:
    try:
        ctypes.CDLL(name)
    except OSError as error:
        reason = str(error)
    else:
        pytest.skip(f"NOT RUN: this machine has a {name}")
    (complete.libraries / name).unlink()
    assert refusal(complete, tiny_folder, found()) == (
        f'device: "cuda:0": the CUDA library {name} of the package {package} cannot be loaded: {reason} '
        f"(hint: pip install --force-reinstall {package})"
    )


def test_a_library_that_is_damaged(complete: Machine, tiny_folder: Path) -> None:
    library = complete.libraries / "libcublas.so.13"
    library.write_bytes(library.read_bytes()[:3])
    assert refusal(complete, tiny_folder, found()) == (
        f'device: "cuda:0": the CUDA library libcublas.so.13 of the package nvidia-cublas cannot be loaded: {library}: '
        "file too short (hint: pip install --force-reinstall nvidia-cublas)"
    )


def test_a_module_that_does_not_load(machine: Machine, tiny_folder: Path) -> None:
    machine.add_driver()
    machine.add_package(native="raise ImportError('undefined symbol: cuOfTheFuture')")
    machine.add_libraries()
    assert refusal(machine, tiny_folder, found()) == (
        'device: "cuda:0": the native module of corten-cuda cannot be loaded: undefined symbol: cuOfTheFuture'
    )
