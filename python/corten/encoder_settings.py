"""What can be asked of a loaded model and set on it, named as in sentence-transformers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from corten import sparse_similarity
from corten.arguments import positive_integer
from corten.similarity import SimilarityName, similarity, similarity_name, similarity_pairwise
from corten.sparse_embeddings import SparseEmbeddings, as_sparse, is_sparse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from corten._native import Encoder as NativeEncoder

# SparseEmbeddings or rows of them, sparse matrices of scipy and tensors of torch, or whatever numpy makes an array of.
Embeddings: TypeAlias = Any


class EncoderSettings:
    """The settings of Encoder, and the similarity function that is one of them."""

    _native: NativeEncoder
    _folder: Path
    _similarity: SimilarityName
    truncate_dim: int | None

    def similarity(self, embeddings1: Embeddings, embeddings2: Embeddings) -> NDArray[Any]:
        """The similarity of every row of `[n, dim]` with every row of `[m, dim]`: `[n, m]`, by `similarity_fn_name`."""
        if is_sparse(embeddings1) or is_sparse(embeddings2):
            return sparse_similarity.similarity(self._similarity, *self._sparse(embeddings1, embeddings2))
        return similarity(self._similarity, embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Embeddings, embeddings2: Embeddings) -> NDArray[Any]:
        """The similarity of row i with row i of two arrays `[n, dim]`: `[n]`, by `similarity_fn_name`."""
        if is_sparse(embeddings1) or is_sparse(embeddings2):
            return sparse_similarity.similarity_pairwise(self._similarity, *self._sparse(embeddings1, embeddings2))
        return similarity_pairwise(self._similarity, embeddings1, embeddings2)

    def _sparse(self, *embeddings: Embeddings) -> list[SparseEmbeddings]:
        return [as_sparse(rows, self._native.dimension) for rows in embeddings]

    @property
    def similarity_fn_name(self) -> SimilarityName:
        """The name of the similarity function: "cosine", "dot", "euclidean" or "manhattan". Can be set."""
        return self._similarity

    @similarity_fn_name.setter
    def similarity_fn_name(self, value: Any) -> None:
        self._similarity = similarity_name(value)

    @property
    def max_seq_length(self) -> int | None:
        """Texts are cut to this many tokens, special tokens included. Can be set, up to what the model has room for.

        None for a static embedding, whose texts count whole (unless its tokenizer.json cuts them); it cannot be set.
        """
        return self._native.max_seq_length

    @max_seq_length.setter
    def max_seq_length(self, value: int) -> None:
        self._native.max_seq_length = value

    @property
    def device(self) -> str:
        """Where vectors are computed: "cpu", or the number of a GPU as in "cuda:0"."""
        return self._native.device

    @property
    def dtype(self) -> str:
        """What the layers' products are computed in: "float32", "bfloat16", "int8" or, on a GPU, "float16"."""
        return self._native.dtype

    @property
    def threads(self) -> int:
        """How many threads `encode` runs on."""
        return self._native.threads

    def get_embedding_dimension(self) -> int:
        """The width of the vectors that `encode` gives, after `truncate_dim`."""
        return min(self._native.dimension, self._truncation(None))

    def get_sentence_embedding_dimension(self) -> int:
        """The older name of `get_embedding_dimension`."""
        return self.get_embedding_dimension()

    @contextmanager
    def truncate_embeddings(self, truncate_dim: int | None) -> Iterator[None]:
        """Inside this context `encode` cuts vectors to `truncate_dim`. Not for use from several threads at once."""
        before = self.truncate_dim
        try:
            self.truncate_dim = truncate_dim
            yield
        finally:
            self.truncate_dim = before

    truncate_sentence_embeddings = truncate_embeddings  # its older name

    def _truncation(self, truncate_dim: int | None) -> int:
        """The argument, else the attribute, else the model's whole width, which cuts nothing."""
        chosen = self.truncate_dim if truncate_dim is None else truncate_dim
        if chosen is None:
            return self._native.dimension
        return positive_integer("truncate_dim", chosen)

    def __repr__(self) -> str:
        """The model and what decides about its vectors."""
        return (
            f'Encoder("{self._folder}", dimension={self.get_embedding_dimension()}, '
            f'max_seq_length={self.max_seq_length}, device="{self.device}", dtype="{self.dtype}", '
            f"threads={self.threads})"
        )
