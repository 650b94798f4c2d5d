"""Loads the second native module, `corten_cuda._native` of the package corten-cuda.

It is linked to the CUDA libraries, so it is imported only when a GPU is asked for, and only after everything that it
needs has been looked at: the package and its version, the driver, the GPU, the libraries. So each thing that may be
missing has a message of its own, where the import would fail with the first that the system's loader stumbles over.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

from corten._native import DeviceError, __version__

if TYPE_CHECKING:
    from types import ModuleType


def is_installed() -> bool:
    """Whether there is a package corten-cuda, of whatever version."""
    return importlib.util.find_spec("corten_cuda") is not None


def load(device: str) -> ModuleType:
    """`corten_cuda._native`, which has the `Encoder` of `corten._native` for the GPU `device`, "cuda:N".

    Raises:
        DeviceError: Something that it needs is missing, too old, or of another version.
    """
    _check_package(device)
    from corten.cuda_driver import check_driver  # noqa: PLC0415  with ctypes, which is needed here alone
    from corten.cuda_libraries import preload  # noqa: PLC0415  likewise

    check_driver(device)
    preload(device)
    try:
        return importlib.import_module("corten_cuda._native")
    except ImportError as error:
        raise DeviceError(f'device: "{device}": the native module of corten-cuda cannot be loaded: {error}') from error


def _check_package(device: str) -> None:
    """Raises DeviceError unless corten-cuda is installed in this version: both halves are built from one source."""
    from importlib import metadata  # noqa: PLC0415  slow to import, and needed here alone

    if not is_installed():
        raise DeviceError(
            f'device: "{device}" needs the package corten-cuda, which is not installed '
            f"(hint: install corten-cuda {__version__})"
        )
    try:
        version = metadata.version("corten-cuda")
    except metadata.PackageNotFoundError:
        version = "one without a version"
    if version != __version__:
        raise DeviceError(
            f'device: "{device}": expected corten-cuda {__version__}, the version of corten, found {version} '
            f"(hint: install both of the same version)"
        )
