"""Vectors as torch tensors. torch is imported only where a tensor is asked for: corten works without it."""

from __future__ import annotations

from typing import Any


def to_tensor(array: Any) -> Any:
    """The array as a torch tensor over the same memory. Raises ImportError where torch is not installed."""
    try:
        import torch  # noqa: PLC0415  see above
    except ImportError as error:
        raise ImportError("convert_to_tensor: torch is not installed (hint: convert_to_numpy needs none)") from error
    return torch.from_numpy(array)
