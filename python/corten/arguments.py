"""Checks of what callers pass to Encoder, each with an error that names the argument."""

from __future__ import annotations

import inspect
import operator
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

_Method = TypeVar("_Method", bound=Callable[..., Any])


class _Default(int):
    """An int that is not the equal one that a caller gives."""


# The reference's. Only one that a caller gives holds on a GPU, which takes many more short texts at once.
DEFAULT_BATCH_SIZE = _Default(32)


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


def boolean(argument: str, value: Any) -> bool:
    """`value` as a bool: Python's, numpy's, or 0 or 1. Raises ValueError for anything else."""
    if isinstance(value, bool | int | np.bool_) and value in {0, 1}:
        return bool(value)
    raise ValueError(f"{argument}: expected True or False, found {value!r}")


def check_dense_arguments(max_active_dims: Any) -> None:
    """Raises ValueError for arguments that a model of dense vectors does not take."""
    if max_active_dims is not None:
        raise ValueError(f"max_active_dims: this model gives dense vectors, found {max_active_dims!r}")


def check_sparse_arguments(
    output_value: Any = "sentence_embedding",
    precision: Any = None,
    normalize_embeddings: bool = False,
    truncate_dim: Any = None,
) -> None:
    """Raises ValueError for arguments that a model of sparse vectors does not take."""
    taken = {
        "output_value": (output_value, "sentence_embedding"),
        "precision": (precision or "float32", "float32"),
        "normalize_embeddings": (normalize_embeddings, False),
        "truncate_dim": (truncate_dim, None),
    }
    for argument, (found, expected) in taken.items():
        if found != expected:
            hint = " (hint: max_active_dims keeps the largest values)" if argument == "truncate_dim" else ""
            raise ValueError(
                f"{argument}: expected {expected!r}, since this model gives sparse vectors, found {found!r}{hint}"
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
