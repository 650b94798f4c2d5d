"""The device that an Encoder computes on: its name, and the native module that goes with it."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from corten import _native
from corten._native import DeviceError

if TYPE_CHECKING:
    from types import ModuleType

logger = logging.getLogger(__name__)


def device_named(device: Any) -> str:
    """The device's full name: "cpu", "auto" (also of None) or "cuda:N" ("cuda" is "cuda:0"). A `torch.device` will do.

    Raises:
        DeviceError: Not the name of a device.
    """
    name = "auto" if device is None else str(device)
    if name in {"cpu", "auto"}:
        return name
    number = re.fullmatch(r"cuda(?::(0|[1-9][0-9]*))?", name, re.ASCII)
    if number is None:
        raise DeviceError(f'device: expected "cpu", "cuda", "cuda:N" or "auto", found "{name}"')
    return f"cuda:{number[1] or 0}"


def choose_device(device: Any, dtype: str) -> tuple[str, ModuleType]:
    """The device to compute on, "cpu" or "cuda:N", and the native module for it, loaded.

    "auto", which None means too, is the first GPU where corten-cuda can use it, else the CPU; the logger says why. With
    dtype "int8" it is the CPU, since a GPU has no such products here.

    Raises:
        DeviceError: A GPU was asked for by name and cannot be used. The message says what was found.
    """
    name = device_named(device)
    if name == "cpu":
        return "cpu", _native
    from corten import cuda  # noqa: PLC0415  only where a GPU may be wanted

    if name != "auto":
        return name, cuda.load(name)
    if device is None and not cuda.is_installed():
        return "cpu", _native  # nobody asked for a GPU: nothing to explain
    if dtype == "int8":
        logger.info('device "auto" is the CPU: dtype "int8" is for the CPU only')
        return "cpu", _native
    try:
        return "cuda:0", cuda.load("cuda:0")
    except DeviceError as error:
        # Whoever installed corten-cuda expects it to be used.
        level = logging.WARNING if cuda.is_installed() else logging.INFO
        logger.log(level, 'device "auto" is the CPU: %s', error)
        return "cpu", _native


def check_device_of_call(device: Any, own: str) -> None:
    """Raises DeviceError for another device than `own`, the one of the Encoder: its weights do not move."""
    name = device_named(device)
    if name not in {"auto", own}:
        raise DeviceError(
            f'device: this Encoder computes on "{own}", found "{device}" (hint: give the device to Encoder instead)'
        )
