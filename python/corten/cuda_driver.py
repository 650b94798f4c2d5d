"""Asks the NVIDIA driver whether it, and the GPU that is wanted, can run what corten-cuda was built from.

By ctypes and the driver's own C interface (libcuda.so.1), before anything that is linked to CUDA is loaded.
"""

from __future__ import annotations

import ctypes
import logging
import os

from corten._native import DeviceError

logger = logging.getLogger(__name__)

# The driver must be of this CUDA or newer: that of the libraries that corten-cuda depends on. As the driver gives it,
# 1000 * major + 10 * minor.
LEAST_CUDA = 13000
# The Linux driver that first had it, as users know drivers.
LEAST_RELEASE = "580"
# The compute capability that the kernels are compiled for (CUDA_COMPUTE_CAP in the Makefile); later ones run them too.
LEAST_CAPABILITY = (8, 0)

# From the driver's header cuda.h.
_NOT_INITIALIZED, _NO_DEVICE = 3, 100
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76


def check_driver(device: str) -> None:
    """Returns where the driver can run corten-cuda on `device`, "cuda:N".

    Raises:
        DeviceError: No driver, one that is too old or does not start, no GPU of this number, or one that is too old.
    """
    driver = _Driver(device)
    version = driver.number("cuDriverGetVersion")
    if version < LEAST_CUDA:
        raise DeviceError(
            f'device: "{device}": expected an NVIDIA driver for CUDA {_cuda(LEAST_CUDA)} or newer, found one for CUDA '
            f"{_cuda(version)} (hint: update the driver to release {LEAST_RELEASE} or newer)"
        )
    driver.start()
    count, wanted = driver.number("cuDeviceGetCount"), int(device.removeprefix("cuda:"))
    if wanted >= count:
        found = "1 GPU, number 0" if count == 1 else f"{count} GPUs, numbers 0 to {count - 1}"
        raise DeviceError(f'device: there is no "{device}": found {found if count else "no GPU"}{_visible()}')
    gpu = driver.number("cuDeviceGet", ctypes.c_int(wanted))
    name = driver.name_of(gpu)
    major = driver.number("cuDeviceGetAttribute", ctypes.c_int(_CAPABILITY_MAJOR), ctypes.c_int(gpu))
    minor = driver.number("cuDeviceGetAttribute", ctypes.c_int(_CAPABILITY_MINOR), ctypes.c_int(gpu))
    if (major, minor) < LEAST_CAPABILITY:
        least = ".".join(map(str, LEAST_CAPABILITY))
        raise DeviceError(
            f'device: "{device}": expected a GPU of compute capability {least} or higher, '
            f"found {name} of {major}.{minor}"
        )
    logger.info("%s: %s, compute capability %d.%d, driver for CUDA %s", device, name, major, minor, _cuda(version))


class _Driver:
    """The driver's library. Every function of it returns 0 or the number of an error."""

    def __init__(self, device: str) -> None:
        self._device = device
        try:
            self._library = ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            raise DeviceError(
                f'device: "{device}": the NVIDIA driver is missing: {error} '
                "(hint: install it; a container must be started with access to the GPUs)"
            ) from error

    def start(self) -> None:
        """Starts the driver, which looks for GPUs."""
        error = self._library.cuInit(ctypes.c_uint(0))
        if error == _NO_DEVICE:
            raise DeviceError(f'device: there is no "{self._device}": found no GPU{_visible()}')
        self._check("cuInit", error)

    def number(self, function: str, *arguments: ctypes.c_int) -> int:
        """The int that a function writes to where its first argument points."""
        result = ctypes.c_int()
        self._check(function, getattr(self._library, function)(ctypes.byref(result), *arguments))
        return result.value

    def name_of(self, gpu: int) -> str:
        """What the GPU is sold as."""
        name = ctypes.create_string_buffer(256)
        self._check("cuDeviceGetName", self._library.cuDeviceGetName(name, ctypes.c_int(len(name)), ctypes.c_int(gpu)))
        return name.value.decode(errors="replace")

    def _check(self, function: str, error: int) -> None:
        if error == 0:
            return
        text = ctypes.c_char_p()
        self._library.cuGetErrorString(ctypes.c_int(error), ctypes.byref(text))
        words = text.value.decode(errors="replace") if text.value else "unknown error"
        hint = ""
        if error == _NOT_INITIALIZED:
            hint = ' (hint: a process cannot use CUDA if it was forked from one that does; start it with "spawn")'
        raise DeviceError(f'device: "{self._device}": the NVIDIA driver fails: {function}: {words} ({error}){hint}')


def _cuda(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


def _visible() -> str:
    """A hint where an environment variable hides GPUs."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "" if visible is None else f' (hint: the environment variable CUDA_VISIBLE_DEVICES is "{visible}")'
