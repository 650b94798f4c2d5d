"""Similarity of embeddings: cosine, dot product, negative Euclidean and negative Manhattan distance.

The numbers are those of sentence-transformers' `util/similarity.py`, in numpy. Every function comes in two forms:
of all pairs, `[n, dim]` and `[m, dim]` to `[n, m]`, and of rows side by side, `[n, dim]` and `[n, dim]` to `[n]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

SimilarityName: TypeAlias = Literal["cosine", "dot", "euclidean", "manhattan"]
SIMILARITY_NAMES: tuple[str, ...] = get_args(SimilarityName)

# torch.nn.functional.normalize divides by max(norm, 1e-12): a zero vector stays zero.
_SMALLEST_NORM = 1e-12


def similarity_name(value: Any) -> SimilarityName:
    """Checks the name of a similarity function; None is "cosine". sentence-transformers' own enum of names will do."""
    value = getattr(value, "value", value)
    if value is None:
        return "cosine"
    if value not in SIMILARITY_NAMES:
        expected = ", ".join(f'"{name}"' for name in SIMILARITY_NAMES)
        raise ValueError(f"similarity_fn_name: expected one of {expected}, found {value!r}")
    return cast("SimilarityName", value)


def similarity(name: SimilarityName, first: ArrayLike, second: ArrayLike) -> NDArray[Any]:
    """The similarity of every row of `first` `[n, dim]` with every row of `second` `[m, dim]`: float32 `[n, m]`.

    A single vector `[dim]` counts as one row. Raises ValueError where the widths differ.
    """
    a, b = np.atleast_2d(_floats(first)), np.atleast_2d(_floats(second))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"embeddings: expected two arrays of rows equally wide, found {a.shape} and {b.shape}")
    return _OF_ALL_PAIRS[name](a, b)


def similarity_pairwise(name: SimilarityName, first: ArrayLike, second: ArrayLike) -> NDArray[Any]:
    """The similarity of row i of `first` `[n, dim]` with row i of `second` `[n, dim]`: float32 `[n]`.

    Two single vectors `[dim]` give a zero-dimensional array. Raises ValueError where the shapes differ.
    """
    a, b = _floats(first), _floats(second)
    if a.shape != b.shape:
        raise ValueError(f"embeddings: expected two arrays of one shape, found {a.shape} and {b.shape}")
    return np.asarray(_OF_ROWS[name](a, b))


def _floats(embeddings: ArrayLike) -> NDArray[Any]:
    """float32 and float64 as they are, anything else (16 bits, integers) as float32."""
    array = np.asarray(embeddings)
    return array if array.dtype in {np.dtype(np.float32), np.dtype(np.float64)} else array.astype(np.float32)


def _unit(rows: NDArray[Any]) -> NDArray[Any]:
    return cast("NDArray[Any]", rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), _SMALLEST_NORM))


def _dot(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    return cast("NDArray[Any]", a @ b.T)


def _cosine(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    return _dot(_unit(a), _unit(b))


def _euclidean(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """-sqrt(|a|^2 + |b|^2 - 2ab) in float64: in float32 the difference of near rows would be lost."""
    dtype = np.result_type(a, b)
    a, b = a.astype(np.float64), b.astype(np.float64)
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)[None, :] - 2.0 * (a @ b.T)
    return cast("NDArray[Any]", -np.sqrt(np.maximum(squares, 0.0)).astype(dtype))


def _manhattan(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """One row of `a` at a time: `[n, m, dim]` would not fit in memory."""
    result = np.empty((len(a), len(b)), dtype=np.result_type(a, b))
    for i, row in enumerate(a):
        result[i] = -np.abs(b - row).sum(axis=1)
    return result


def _dot_rows(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    return cast("NDArray[Any]", (a * b).sum(axis=-1))


def _cosine_rows(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    return _dot_rows(_unit(a), _unit(b))


def _euclidean_rows(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    return cast("NDArray[Any]", -np.sqrt(np.square(a - b).sum(axis=-1)))


def _manhattan_rows(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    return cast("NDArray[Any]", -np.abs(a - b).sum(axis=-1))


_Function: TypeAlias = "Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]"
_OF_ALL_PAIRS: dict[SimilarityName, _Function] = {
    "cosine": _cosine,
    "dot": _dot,
    "euclidean": _euclidean,
    "manhattan": _manhattan,
}
_OF_ROWS: dict[SimilarityName, _Function] = {
    "cosine": _cosine_rows,
    "dot": _dot_rows,
    "euclidean": _euclidean_rows,
    "manhattan": _manhattan_rows,
}
