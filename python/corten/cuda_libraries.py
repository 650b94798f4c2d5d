"""Loads the CUDA libraries of the nvidia packages, before the native module that is linked to them.

The system's loader does not look into site-packages. But it takes a library that is in the process already for one of
the same name: it finds those that were loaded from there by their paths. torch does the same, from the same packages.
"""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path

from corten._native import DeviceError

# In an order in which each comes after those it needs, with the package that has it.
LIBRARIES = (
    ("libcudart.so.13", "nvidia-cuda-runtime"),
    ("libcublasLt.so.13", "nvidia-cublas"),
    ("libcublas.so.13", "nvidia-cublas"),
    ("libcurand.so.10", "nvidia-curand"),
    ("libnvrtc.so.13", "nvidia-cuda-nvrtc"),
)
# What libnvrtc opens when it compiles, by a name with its own minor version.
NVRTC_BUILTINS = "libnvrtc-builtins.so.13.*"


def preload(device: str) -> None:
    """Loads every library that corten-cuda is linked to: from its nvidia package, else from where the system has it.

    Raises:
        DeviceError: One of them is in neither place or cannot be loaded; the message names it.
    """
    folders = _package_folders()
    for name, package in LIBRARIES:
        in_packages = [folder / name for folder in folders if (folder / name).is_file()]
        path = in_packages[0] if in_packages else Path(name)
        try:
            if in_packages and package == "nvidia-cuda-nvrtc":
                for builtins in sorted(path.parent.glob(NVRTC_BUILTINS)):
                    ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            raise DeviceError(
                f'device: "{device}": the CUDA library {name} of the package {package} cannot be loaded: {error} '
                f"(hint: pip install --force-reinstall {package})"
            ) from error


def _package_folders() -> list[Path]:
    """Where the nvidia packages for CUDA 13 put their libraries: `nvidia` is a namespace, maybe of several folders."""
    spec = importlib.util.find_spec("nvidia")
    return [Path(folder, "cu13", "lib") for folder in (spec and spec.submodule_search_locations) or []]
