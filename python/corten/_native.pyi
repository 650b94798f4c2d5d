# The compiled half of corten: what crates/python-bindings offers to Python. mypy.stubtest holds this file to it.

import os
from collections.abc import Callable, Iterable
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DeviceError",
    "Encoder",
    "IndexFileError",
    "InternalError",
    "ModelFileError",
    "SparseIndex",
    "__version__",
    "cpu_info",
]

__version__: str

class ModelFileError(ValueError): ...
class DeviceError(RuntimeError): ...
class InternalError(RuntimeError): ...
class IndexFileError(ValueError): ...

def cpu_info() -> dict[str, Any]: ...

@final
class Encoder:
    def __new__(
        cls,
        path: str | os.PathLike[str],
        *,
        threads: int | None = None,
        dtype: str = "float32",
        device: str = "cpu",
        products: str = "cublas",
    ) -> Encoder: ...
    @property
    def device(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def prompts(self) -> dict[str, str]: ...
    @property
    def default_prompt_name(self) -> str | None: ...
    @property
    def similarity_fn_name(self) -> str: ...
    @property
    def truncate_dim(self) -> int | None: ...
    @property
    def is_sparse(self) -> bool: ...
    @property
    def max_active_dims(self) -> int | None: ...
    def vocabulary(self) -> list[str]: ...
    @property
    def dimension(self) -> int: ...
    @property
    def max_seq_length(self) -> int | None: ...
    @max_seq_length.setter
    def max_seq_length(self, value: int) -> None: ...
    @property
    def threads(self) -> int: ...
    def encode(
        self,
        texts: Iterable[str],
        *,
        prompt: str | None = None,
        batch_size: int = 32,
        normalize: bool = False,
        truncate_dim: int | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> NDArray[np.float32]: ...
    def encode_sparse(
        self,
        texts: Iterable[str],
        *,
        prompt: str | None = None,
        batch_size: int = 32,
        max_active_dims: int | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]: ...
    def token_embeddings(
        self,
        texts: Iterable[str],
        *,
        prompt: str | None = None,
        batch_size: int = 32,
        progress: Callable[[int], object] | None = None,
    ) -> list[NDArray[np.float32]]: ...
    def token_ids(self, texts: Iterable[str], *, prompt: str | None = None) -> list[list[int]]: ...

@final
class SparseIndex:
    def __new__(cls, dim: int) -> SparseIndex: ...
    @staticmethod
    def build(
        vectors: Any,
        ids: Iterable[int] | Iterable[str] | None = None,
        dim: int | None = None,
        *,
        threads: int | None = None,
    ) -> SparseIndex: ...
    def add(self, vectors: Any, ids: Iterable[int] | Iterable[str] | None = None, *, upsert: bool = False) -> None: ...
    def delete(self, ids: int | str | Iterable[int] | Iterable[str]) -> int: ...
    def compact(self) -> None: ...
    def search(
        self,
        queries: Any,
        k: int,
        *,
        exact: bool,
        recall: float,
        filter: Iterable[int] | Iterable[str] | Iterable[bool] | None = None,
        threads: int | None = None,
    ) -> tuple[NDArray[Any], NDArray[np.float32]]: ...
    def save(self, path: str | os.PathLike[str]) -> None: ...
    @staticmethod
    def open(path: str | os.PathLike[str], *, mmap: bool = True, verify: bool = False) -> SparseIndex: ...
    def get(self, id: int | str) -> dict[int, float] | None: ...
    def ids(self) -> NDArray[Any]: ...
    def stats(self) -> dict[str, Any]: ...
    def explain(self, query: Any, id: int | str) -> list[tuple[int, float, float, float]]: ...
    @property
    def dimension(self) -> int: ...
    def __len__(self) -> int: ...
    def __contains__(self, key: object, /) -> bool: ...
