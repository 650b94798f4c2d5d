"""Embeddings in fewer bits: int8, uint8, binary and ubinary, value for value as sentence-transformers makes them.

The reference is `quantize_embeddings` in sentence-transformers' `util/quantization.py` (6.2).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args, overload

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

Precision: TypeAlias = Literal["float32", "int8", "uint8", "binary", "ubinary"]
PRECISIONS: tuple[str, ...] = get_args(Precision)

# Fewer embeddings than this make poor ranges: the reference warns, and so does this module.
_ENOUGH_FOR_RANGES = 100


def check_precision(precision: str | None) -> None:
    """Raises ValueError for a precision that does not exist. None means "float32", as in the reference."""
    if precision is not None and precision not in PRECISIONS:
        expected = ", ".join(f'"{name}"' for name in PRECISIONS)
        raise ValueError(f"precision: expected one of {expected}, found {precision!r}")


@overload
def quantize_embeddings(
    embeddings: NDArray[Any],
    precision: Precision,
    ranges: NDArray[Any] | None = ...,
    calibration_embeddings: NDArray[Any] | None = ...,
) -> NDArray[Any]: ...
@overload
def quantize_embeddings(
    embeddings: list[NDArray[Any]],
    precision: Precision,
    ranges: NDArray[Any] | None = ...,
    calibration_embeddings: NDArray[Any] | None = ...,
) -> NDArray[Any] | list[NDArray[Any]]: ...


def quantize_embeddings(
    embeddings: NDArray[Any] | list[NDArray[Any]],
    precision: Precision,
    ranges: NDArray[Any] | None = None,
    calibration_embeddings: NDArray[Any] | None = None,
) -> NDArray[Any] | list[NDArray[Any]]:
    """Turns float embeddings `[n, dim]` into fewer bits.

    "int8" and "uint8" cut each dimension's range into 256 equal steps: `floor((x - min) / ((max - min) / 255))`,
    less 128 for int8. "binary" and "ubinary" keep the sign of each value, eight to a byte, `[n, dim / 8]`, as int8
    (less 128) or uint8.

    Args:
        embeddings: Rows `[n, dim]` or one vector `[dim]`; or a list of arrays: vectors are stacked, matrices
            (token vectors of several texts) are quantized one by one over common ranges.
        precision: "float32", "int8", "uint8", "binary" or "ubinary".
        ranges: For int8 and uint8: the minima and maxima of each dimension, `[2, dim]`.
        calibration_embeddings: For int8 and uint8: embeddings `[m, dim]` to take the ranges from. Without both, the
            ranges are those of `embeddings`, which makes the result depend on what is quantized together.

    Raises:
        ValueError: An unknown precision; integer embeddings; int8 or uint8 ranges wanted from one single embedding.
    """
    check_precision(precision)
    if isinstance(embeddings, list):
        if not embeddings:
            return []
        embeddings = [row if hasattr(row, "ndim") else np.asarray(row, dtype=np.float32) for row in embeddings]
        if embeddings[0].ndim == 2:
            if precision in {"int8", "uint8"} and ranges is None:
                ranges = _ranges(np.concatenate(embeddings), precision, calibration_embeddings)
            return [quantize_embeddings(matrix, precision, ranges) for matrix in embeddings]
        embeddings = np.stack(embeddings)
    embeddings = np.asarray(embeddings)  # a tensor of torch is an array to numpy
    if not np.issubdtype(embeddings.dtype, np.floating):
        raise ValueError(f"embeddings: expected floats, found {embeddings.dtype}")
    if precision in {"binary", "ubinary"}:
        bits = np.packbits(embeddings > 0, axis=-1)
        return bits if precision == "ubinary" else (bits.astype(np.int16) - 128).astype(np.int8)
    if precision == "float32":
        return embeddings.astype(np.float32)
    if embeddings.ndim == 2 and len(embeddings) == 0:
        return np.empty(embeddings.shape, dtype=np.int8 if precision == "int8" else np.uint8)
    if ranges is None:
        ranges = _ranges(embeddings, precision, calibration_embeddings)
    return _to_bytes(embeddings, precision, ranges.astype(np.float32, copy=False))


def _to_bytes(embeddings: NDArray[Any], precision: Precision, ranges: NDArray[np.float32]) -> NDArray[Any]:
    starts = ranges[0]
    steps = (ranges[1] - starts) / np.float32(255)
    steps = np.where(steps == 0, np.float32(1), steps)
    levels = np.clip(np.floor((embeddings - starts) / steps), 0, 255)
    result: NDArray[Any] = levels.astype(np.uint8) if precision == "uint8" else (levels - 128).astype(np.int8)
    return result


def _ranges(embeddings: NDArray[Any], precision: Precision, calibration: NDArray[Any] | None) -> NDArray[Any]:
    """The minimum and the maximum of each dimension, `[2, dim]`."""
    if calibration is None:
        if embeddings.ndim == 1 or len(embeddings) == 1:
            raise ValueError(
                f"precision: {precision} ranges cannot be had from a single embedding (hint: encode in float32, then "
                "call corten.quantize_embeddings with `ranges` or `calibration_embeddings` of many texts)"
            )
        if len(embeddings) < _ENOUGH_FOR_RANGES:
            logger.warning(
                "%s ranges are taken from %d embeddings; more embeddings, `ranges` or `calibration_embeddings` make "
                "them stable",
                precision,
                len(embeddings),
            )
        calibration = embeddings
    return np.vstack((calibration.min(axis=0), calibration.max(axis=0)))
