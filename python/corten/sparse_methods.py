"""What Encoder offers for the sparse embeddings of a SPLADE model, named as in sentence-transformers' SparseEncoder."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from corten.arguments import positive_integer
from corten.sparse_embeddings import SparseEmbeddings, as_sparse

if TYPE_CHECKING:
    from corten._native import Encoder as NativeEncoder
    from corten.similarity import SimilarityName


class SparseMethods:
    """The methods of Encoder that take sparse embeddings: SparseEmbeddings, scipy's matrices or torch's tensors."""

    _native: NativeEncoder
    _similarity: SimilarityName
    max_active_dims: int | None

    @cached_property
    def _vocabulary(self) -> list[str]:
        """The word of each term, empty where the tokenizer has none."""
        return self._native.vocabulary()

    def decode(self, embeddings: Any, top_k: int | None = None) -> list[Any]:
        """The words and weights of sparse embeddings by falling weight, at most `top_k` a row.

        Args:
            embeddings: SparseEmbeddings `[rows, terms]`, or one row: a dict as of iteration, or a vector `[terms]`.
            top_k: How many at most; None for all.

        Returns:
            For each row a list of (word, weight); for one row that list.

        Raises:
            ValueError: `top_k` is not an integer of at least 1, or the embeddings are not those of this model.
        """
        terms = self._native.dimension
        rows = as_sparse(embeddings, terms)
        if not self._native.is_sparse or rows.shape[1] != terms:
            raise ValueError(
                f"decode: expected embeddings of this model, {terms} wide and sparse, found {rows.shape[1]} wide"
            )
        known = SparseEmbeddings(rows.indptr, rows.indices, rows.values, rows.shape, vocabulary=self._vocabulary)
        decoded = known.decode(top_k)
        return decoded[0] if isinstance(embeddings, dict) or getattr(embeddings, "ndim", 2) == 1 else decoded

    @staticmethod
    def sparsity(embeddings: Any) -> dict[str, float]:
        """The mean number of active terms of a row, "active_dims", and the mean share of others, "sparsity_ratio"."""
        return as_sparse(embeddings).sparsity()

    @staticmethod
    def intersection(embeddings_1: Any, embeddings_2: Any) -> SparseEmbeddings:
        """What one row shares with each of others: the products of the weights of common terms, where above zero."""
        many = as_sparse(embeddings_2)
        return as_sparse(embeddings_1, many.shape[1]).intersection(many)

    def _sparse_embeddings(self, indptr: Any, indices: Any, values: Any) -> SparseEmbeddings:
        """The rows that the native encoder gives, with what they need to know of the model."""
        shape = (len(indptr) - 1, self._native.dimension)
        return SparseEmbeddings(
            indptr, indices, values, shape, vocabulary=self._vocabulary, similarity_fn_name=self._similarity
        )

    def _most_active(self, max_active_dims: int | None) -> int | None:
        """The argument, else the attribute, else all the dimensions there are."""
        chosen = self.max_active_dims if max_active_dims is None else max_active_dims
        return self._native.dimension if chosen is None else positive_integer("max_active_dims", chosen)

    def _sparse_result(
        self, rows: SparseEmbeddings, *, convert_to_tensor: bool, convert_to_sparse_tensor: bool, single: bool
    ) -> Any:
        """The rows of a call of `encode` in the form asked for: arrays and tensors of one text have one dimension."""
        if not convert_to_tensor and convert_to_sparse_tensor:
            return rows
        result: Any = rows.to_torch() if convert_to_sparse_tensor else rows.to_dense()
        if convert_to_tensor and isinstance(result, np.ndarray):
            from corten.tensor import to_tensor  # noqa: PLC0415  only where a tensor is asked for

            result = to_tensor(result)
        return result[0] if single else result
