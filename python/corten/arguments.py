"""Checks of what callers pass to Encoder, each with an error that names the argument."""

from __future__ import annotations

import inspect
import operator
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

from corten._native import DeviceError

_Method = TypeVar("_Method", bound=Callable[..., Any])


def signature_of(method: _Method) -> Callable[[Callable[..., Any]], _Method]:
    """Gives the decorated function the signature of `method`, for type checkers and for `inspect.signature`."""

    def decorate(function: Callable[..., Any]) -> _Method:
        function.__signature__ = inspect.signature(method)  # type: ignore[attr-defined]
        return cast("_Method", function)

    return decorate


def positive_integer(argument: str, value: Any) -> int:
    """`value` as an int of at least 1. Raises ValueError for anything else, True and 2.0 included."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < 1:
        raise ValueError(f"{argument}: expected an integer of at least 1, found {value!r}")
    return min(number, sys.maxsize)  # a larger one means the same: as many as there are


def check_device(device: Any) -> None:
    """Raises DeviceError for a device that this build has no support for. A `torch.device("cpu")` will do."""
    if device is not None and str(device) not in {"cpu", "auto"}:
        raise DeviceError(
            f'device: this build computes on "cpu" only, found "{device}" (hint: leave it out or pass "auto")'
        )


def check_encode_arguments(output_value: Any, pool: Any, unknown: dict[str, Any]) -> None:
    """Raises ValueError for arguments of `encode` that no model here takes."""
    if unknown:
        names = ", ".join(f'"{name}"' for name in sorted(unknown))
        raise ValueError(f"encode: unknown keyword arguments: {names}")
    if output_value not in {"sentence_embedding", "token_embeddings"}:
        raise ValueError(
            f'output_value: expected one of "sentence_embedding", "token_embeddings", found {output_value!r}'
        )
    if pool is not None:
        raise ValueError("pool: expected None: one Encoder uses all cores without other processes")
