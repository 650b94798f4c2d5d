"""SparseEmbeddings: what a SPLADE model makes of texts, in numpy alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np

from corten import sparse_similarity
from corten.arguments import positive_integer
from corten.similarity import SimilarityName, similarity_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray


class SparseEmbeddings:
    """Sparse vectors of texts: for each text a weight for each of the few terms of the vocabulary that describe it.

    Compressed sparse rows, as in scipy: the terms of row i are `indices[indptr[i]:indptr[i + 1]]`, rising, and their
    weights `values[indptr[i]:indptr[i + 1]]`. It always has two dimensions: a single text makes one row.

    A row taken by a number, and each row while iterating, is a dict of term ids and weights; a slice, a list of numbers
    or a mask gives SparseEmbeddings of those rows.

    Attributes:
        indptr: int64 `[rows + 1]`.
        indices: int32 `[active]`: term ids, rising within a row.
        values: float32 `[active]`.
        shape: `(rows, terms)`.
    """

    __slots__ = ("_similarity", "_vocabulary", "indices", "indptr", "shape", "values")
    __hash__ = None  # type: ignore[assignment]  # it can be changed, like an array
    __array_ufunc__ = None  # numpy is not to take it for a sequence of objects

    def __init__(
        self,
        indptr: ArrayLike,
        indices: ArrayLike,
        values: ArrayLike,
        shape: tuple[int, int],
        *,
        vocabulary: Sequence[str] | None = None,
        similarity_fn_name: str | None = "dot",
    ) -> None:
        """Takes compressed sparse rows; arrays of the right type are not copied.

        Args:
            indptr: Where each row begins, and the end: `[rows + 1]`, from 0 to the number of values, never falling.
            indices: The term of each value, from 0 to below `shape[1]`, rising within a row.
            values: The weights.
            shape: `(rows, terms)`.
            vocabulary: The words for the terms, which `decode` needs.
            similarity_fn_name: "dot", "cosine", "euclidean" or "manhattan", for `similarity`.

        Raises:
            ValueError: The arrays do not describe such rows.
        """
        rows, terms = (int(size) for size in shape)
        self.indptr: NDArray[np.int64] = np.asarray(indptr, dtype=np.int64)
        self.indices: NDArray[np.int32] = np.asarray(indices, dtype=np.int32)
        self.values: NDArray[np.float32] = np.asarray(values, dtype=np.float32)
        self.shape = (rows, terms)
        self._vocabulary = vocabulary
        self._similarity: SimilarityName = similarity_name(similarity_fn_name)
        self._check()

    def _check(self) -> None:
        rows, terms = self.shape
        if self.indices.ndim != 1 or self.values.shape != self.indices.shape:
            raise ValueError(
                f"values: expected one for each of the indices {self.indices.shape}, found {self.values.shape}"
            )
        ends = self.indptr
        if ends.shape != (rows + 1,) or ends[0] != 0 or ends[-1] != len(self.indices) or np.any(np.diff(ends) < 0):
            raise ValueError(f"indptr: expected {rows + 1} numbers that rise from 0 to {len(self.indices)}")
        if len(self.indices):
            if self.indices.min() < 0 or self.indices.max() >= terms:
                raise ValueError(f"indices: expected terms from 0 to below {terms}")
            rises = np.diff(self.indices) > 0
            starts = ends[1:-1]
            rises[starts[(starts > 0) & (starts < len(self.indices))] - 1] = True  # from one row to the next
            if not rises.all():
                raise ValueError("indices: expected them to rise within each row")

    @classmethod
    def from_dense(cls, embeddings: ArrayLike, **options: Any) -> SparseEmbeddings:
        """The values that are not zero of an array `[rows, terms]`, or `[terms]` for one row."""
        array = np.atleast_2d(np.asarray(embeddings, dtype=np.float32))
        if array.ndim != 2:
            raise ValueError(f"embeddings: expected an array of one or two dimensions, found {array.shape}")
        rows, indices = np.nonzero(array)
        indptr = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=len(array)))))
        return cls(indptr, indices, array[rows, indices], array.shape, **options)

    @classmethod
    def from_rows(cls, rows: Sequence[Mapping[int, float]], terms: int, **options: Any) -> SparseEmbeddings:
        """Rows as iteration gives them: for each a dict of term ids, in any order, and weights."""
        items = [sorted(row.items()) for row in rows]
        indptr = np.concatenate(([0], np.cumsum([len(row) for row in items], dtype=np.int64)))
        indices, values = [term for row in items for term, _ in row], [weight for row in items for _, weight in row]
        return cls(indptr, indices, values, (len(items), terms), **options)

    def __len__(self) -> int:
        """The number of rows."""
        return self.shape[0]

    @overload
    def __getitem__(self, key: int) -> dict[int, float]: ...
    @overload
    def __getitem__(self, key: slice | ArrayLike) -> SparseEmbeddings: ...

    def __getitem__(self, key: Any) -> dict[int, float] | SparseEmbeddings:
        """One row as a dict of term ids and weights, or several as SparseEmbeddings."""
        if isinstance(key, slice) and key.indices(len(self))[2] == 1:
            start, stop, _ = key.indices(len(self))
            ends = self.indptr[start : max(start, stop) + 1]
            part = slice(ends[0], ends[-1])
            return self._like(ends - ends[0], self.indices[part], self.values[part])
        if isinstance(key, tuple):
            raise IndexError("rows: expected a number, a slice, or a list of numbers or booleans, found a tuple")
        chosen = np.arange(len(self))[key]
        if chosen.ndim == 0:
            part = slice(self.indptr[chosen], self.indptr[chosen + 1])
            return dict(zip(self.indices[part].tolist(), self.values[part].tolist(), strict=True))
        if chosen.ndim != 1:
            raise IndexError(f"rows: expected one dimension of numbers or booleans, found {chosen.ndim}")
        places, indptr = sparse_similarity.ranges(self.indptr[chosen], self.indptr[chosen + 1])
        return self._like(indptr, self.indices[places], self.values[places])

    def __iter__(self) -> Iterator[dict[int, float]]:
        """Each row as a dict of term ids and weights."""
        for row in range(len(self)):
            yield self[row]

    def _like(
        self, indptr: NDArray[np.int64], indices: NDArray[np.int32], values: NDArray[np.float32]
    ) -> SparseEmbeddings:
        """Other rows of the same model."""
        return SparseEmbeddings(
            indptr,
            indices,
            values,
            (len(indptr) - 1, self.shape[1]),
            vocabulary=self._vocabulary,
            similarity_fn_name=self._similarity,
        )

    def to_dense(self) -> NDArray[np.float32]:
        """A float32 array `[rows, terms]`."""
        dense = np.zeros(self.shape, dtype=np.float32)
        dense[self._rows(), self.indices] = self.values
        return dense

    def to_scipy(self) -> Any:
        """A `scipy.sparse.csr_array` over the same values. Raises ImportError where scipy is not installed."""
        try:
            from scipy.sparse import csr_array  # noqa: PLC0415  corten works without it
        except ImportError as error:
            raise ImportError("to_scipy: scipy is not installed (hint: to_dense needs only numpy)") from error
        return csr_array((self.values, self.indices, self.indptr), shape=self.shape)

    def to_torch(self) -> Any:
        """A coalesced sparse COO tensor of torch. Raises ImportError where torch is not installed."""
        try:
            import torch  # noqa: PLC0415  corten works without it
        except ImportError as error:
            raise ImportError("to_torch: torch is not installed (hint: to_dense needs only numpy)") from error
        places = torch.from_numpy(np.stack((self._rows(), self.indices.astype(np.int64))))
        values = torch.from_numpy(self.values.copy())
        # What torch would check, the constructor of this class has.
        return torch.sparse_coo_tensor(places, values, self.shape, check_invariants=False, is_coalesced=True)

    def decode(self, top_k: int | None = None) -> list[list[tuple[str, float]]]:
        """The words and weights of each row by falling weight (equal ones by rising term id), at most `top_k` of them.

        Raises:
            ValueError: `top_k` is not an integer of at least 1, or the vocabulary is not known, as after unpickling.
        """
        if self._vocabulary is None:
            raise ValueError("decode: these embeddings do not know their vocabulary (hint: use decode of the Encoder)")
        most = None if top_k is None else positive_integer("top_k", top_k)
        decoded = []
        for start, stop in zip(self.indptr[:-1], self.indptr[1:], strict=True):
            order = start + np.argsort(-self.values[start:stop], kind="stable")[:most]
            terms, weights = self.indices[order].tolist(), self.values[order].tolist()
            decoded.append([(self._vocabulary[term], weight) for term, weight in zip(terms, weights, strict=True)])
        return decoded

    def sparsity(self) -> dict[str, float]:
        """The mean number of active terms of a row, "active_dims", and the mean share of others, "sparsity_ratio"."""
        rows, terms = self.shape
        if rows == 0 or terms == 0:
            return {"active_dims": 0.0, "sparsity_ratio": 1.0}
        active = float(np.count_nonzero(self.values)) / rows
        return {"active_dims": active, "sparsity_ratio": 1.0 - active / terms}

    def intersection(self, other: SparseEmbeddings) -> SparseEmbeddings:
        """What one row shares with each row of `other`: the products of the weights of common terms, where above zero.

        Raises:
            ValueError: These are not one row, or `other` has another number of terms.
        """
        if len(self) != 1:
            raise ValueError(f"embeddings: expected one row to intersect with others, found {len(self)}")
        return self._like(*sparse_similarity.intersection(self, other))

    def similarity(self, other: SparseEmbeddings) -> NDArray[np.float32]:
        """The similarity of every row with every row of `other`: `[rows, rows of other]`, by the model's function."""
        return sparse_similarity.similarity(self._similarity, self, other)

    def similarity_pairwise(self, other: SparseEmbeddings) -> NDArray[np.float32]:
        """The similarity of row i with row i of `other`: `[rows]`, by the model's function."""
        return sparse_similarity.similarity_pairwise(self._similarity, self, other)

    def _rows(self) -> NDArray[np.int64]:
        """The row of each value."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def __eq__(self, other: object) -> bool:
        """Whether both have the same shape, terms and weights."""
        if not isinstance(other, SparseEmbeddings):
            return NotImplemented
        pairs = ((self.indptr, other.indptr), (self.indices, other.indices), (self.values, other.values))
        return self.shape == other.shape and all(np.array_equal(mine, theirs) for mine, theirs in pairs)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the rows without the vocabulary, which is larger than most of them."""
        return _unpickle, (self.indptr, self.indices, self.values, self.shape, self._similarity)

    def __repr__(self) -> str:
        """The shape and how many terms are active."""
        active = self.sparsity()["active_dims"]
        return f"SparseEmbeddings(shape={self.shape}, active_dims={active:.1f}, dtype=float32)"


def _unpickle(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    values: NDArray[np.float32],
    shape: tuple[int, int],
    similarity: SimilarityName,
) -> SparseEmbeddings:
    return SparseEmbeddings(indptr, indices, values, shape, similarity_fn_name=similarity)


def is_sparse(embeddings: Any) -> bool:
    """Whether these are SparseEmbeddings, rows of such as dicts, or a sparse matrix of scipy or tensor of torch."""
    return (
        isinstance(embeddings, SparseEmbeddings | dict)
        or hasattr(embeddings, "tocsr")
        or bool(getattr(embeddings, "is_sparse", False))
        or (isinstance(embeddings, list | tuple) and len(embeddings) > 0 and is_sparse(embeddings[0]))
    )


def as_sparse(embeddings: Any, terms: int | None = None) -> SparseEmbeddings:
    """SparseEmbeddings as they are; sparse matrices of scipy, sparse tensors of torch and arrays turned into them.

    One row as a dict, or a list of such rows or of sparse vectors of torch, become rows of `terms` terms.
    """
    if isinstance(embeddings, SparseEmbeddings):
        return embeddings
    if isinstance(embeddings, dict):
        embeddings = [embeddings]
    if isinstance(embeddings, list | tuple) and is_sparse(embeddings):
        if isinstance(embeddings[0], dict):
            if terms is None:
                raise ValueError(
                    "embeddings: expected SparseEmbeddings, since a dict does not say how many terms there are"
                )
            return SparseEmbeddings.from_rows(embeddings, terms)
        import torch  # noqa: PLC0415  these are its tensors

        embeddings = torch.stack([row.coalesce() for row in embeddings])
    if getattr(embeddings, "is_sparse", False):
        embeddings = (embeddings if embeddings.ndim == 2 else embeddings.unsqueeze(0)).coalesce().cpu()
        rows, indices = embeddings.indices().numpy()
        indptr = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=embeddings.shape[0]))))
        return SparseEmbeddings(indptr, indices, embeddings.values().numpy(), tuple(embeddings.shape))
    if hasattr(embeddings, "tocsr"):
        matrix = embeddings.tocsr(copy=True)
        matrix.sum_duplicates()
        return SparseEmbeddings(matrix.indptr, matrix.indices, matrix.data, matrix.shape)
    return SparseEmbeddings.from_dense(embeddings)
