"""The SparseIndex: exact search over learned-sparse vectors, such as SPLADE's, in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from corten._native import SparseIndex as NativeSparseIndex

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray


class TermMatch(NamedTuple):
    """A term that a query and a document have in common, and what it adds to the score."""

    term: int
    query_weight: float
    document_weight: float
    product: float


class SparseIndex:
    """Documents as sparse vectors, searched by inner product.

    Vectors, of documents and of queries, are given as one of

    * `SparseEmbeddings`, as an `Encoder` with a SPLADE model makes them;
    * a scipy sparse matrix or array of any format, `[rows, dim]`, or a sparse array `[dim]`;
    * a tuple `(indptr, indices, values)` of the three arrays of a CSR matrix;
    * a torch sparse tensor, COO or CSR;
    * a dict `{term id: weight}`, or a list of such dicts.

    Term ids need not be sorted. float32 arrays are read in place. Weights of documents must not be negative, those of
    queries may be.

    Any number of threads may use one index. A search sees the documents of a call of `add`, `delete` or `compact` all
    or not at all, and never waits for one.

    Example:
        >>> from corten import SparseIndex
        >>> index = SparseIndex.build([{7: 1.0, 3: 0.5}, {3: 2.0}, {9: 1.0}], ids=["a", "b", "c"])
        >>> ids, scores = index.search({3: 1.0, 7: 1.0}, k=2)
        >>> ids.tolist(), scores.tolist()
        (['b', 'a'], [2.0, 1.5])
    """

    __slots__ = ("_native", "_path")

    def __init__(self, dim: int = 30522) -> None:
        """Makes an empty index for vectors of `dim` dimensions.

        Raises:
            ValueError: `dim` is not an integer of at least 1 that fits in 32 bits.
        """
        self._native: NativeSparseIndex | None = NativeSparseIndex(dim)
        self._path: str | None = None

    @classmethod
    def build(
        cls,
        vectors: Any,
        ids: Iterable[int] | Iterable[str] | None = None,
        dim: int | None = None,
        *,
        threads: int | None = None,
    ) -> SparseIndex:
        """Makes an index of `vectors`. Ctrl-C ends it.

        Args:
            vectors: Documents, in one of the forms the class names.
            ids: One int or str for each document, all of one kind and each once; None numbers them from 0.
            dim: Number of dimensions. None takes the width of the matrix, or else the largest term id plus 1.
            threads: How many threads to build with; None for as many as this process may use.

        Raises:
            TypeError: Vectors or ids of a kind that is not known.
            ValueError: A weight that is negative or not finite, a term id that is out of range or twice in a row, ids
                of another number than vectors or twice. The message names the row.
        """
        index = cls.__new__(cls)
        index._native = NativeSparseIndex.build(vectors, ids, dim, threads=threads)
        index._path = None
        return index

    def add(self, vectors: Any, ids: Iterable[int] | Iterable[str] | None = None, upsert: bool = False) -> None:
        """Adds documents, all or, where anything is wrong, none; searches find them from then on.

        Args:
            vectors: Documents, in one of the forms the class names.
            ids: As for `build`, of the same kind as those in the index. None goes on counting from the number of
                documents ever added.
            upsert: Replace documents whose id is in the index already; otherwise that is an error.

        Raises:
            TypeError: Vectors or ids of a kind that is not known.
            ValueError: As for `build`; an id that is in the index already.
        """
        self._open_native().add(vectors, ids, upsert=upsert)

    def delete(self, ids: int | str | Iterable[int] | Iterable[str]) -> int:
        """Takes documents out, one or many, and returns how many. Their memory is freed by `compact`.

        Raises:
            KeyError: An id that is not in the index; nothing is deleted then.
        """
        return self._open_native().delete(ids)

    def compact(self) -> None:
        """Rewrites the index without what was deleted, and as one piece, which is the fastest to search.

        Searches go on meanwhile; other changes wait.
        """
        self._open_native().compact()

    def search(
        self,
        queries: Any,
        k: int = 10,
        exact: bool = True,
        recall: float = 0.99,
        filter: Iterable[int] | Iterable[str] | Iterable[bool] | None = None,  # noqa: A002  its usual name
        threads: int | None = None,
    ) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Finds the `k` documents with the largest inner products with each query.

        A document that has no term in common with the query is never found. Equal scores are in the order of ids:
        by value for int, by code points for str.

        Args:
            queries: In one of the forms the class names. A dict, a vector, or a matrix of one row is one query.
            k: How many documents to find, at most.
            exact: True finds what comparing with every document would find. False looks only at the parts of the index
                that are likely to matter.
            recall: For `exact=False`: which share of the exact result should be found on average.
            filter: Find only these: ids of documents (those that are not in the index are ignored), or a mask, one bool
                for each document in the order of `ids()`.
            threads: How many threads share several queries; None for as many as this process may use.

        Returns:
            Ids and float32 scores, best first. Ids are int64, or objects of str. For one query both are `[hits]`, with
            fewer than `k` hits where there are no more. For several both are `[queries, min(k, len(index))]`; rows with
            fewer hits are filled up with the id -1 (None for str) and the score -inf.

        Raises:
            TypeError: Queries or a filter of a kind that is not known.
            ValueError: An argument out of range; a query with a weight that is not finite or a term id that is out of
                range or there twice; a mask of another length than the index.
        """
        return self._open_native().search(queries, k, exact=exact, recall=recall, filter=filter, threads=threads)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the index to a file: after this it survives a power cut, and until then an older file stays as it is.

        Raises:
            OSError: The file cannot be written, for lack of space or of permission for instance.
        """
        self._open_native().save(path)

    @classmethod
    def open(cls, path: str | os.PathLike[str], mmap: bool = True, verify: bool = False) -> SparseIndex:
        """Opens a file that `save` wrote.

        Args:
            path: The file.
            mmap: Map the file, so that opening takes no time and processes share its memory. Nobody may then write into
                the file or cut it short, which would end the process; `save` never does, it puts a new file in the old
                one's place. False reads it all.
            verify: Read all of it and compare the checksums. Without this, damage within the postings is not noticed
                and gives wrong results, though never a crash.

        Raises:
            IndexFileError: The file is no index, or is damaged; the message names the section.
            OSError: The file cannot be read.
        """
        index = cls.__new__(cls)
        index._native = NativeSparseIndex.open(path, mmap=mmap, verify=verify)
        index._path = str(path)
        return index

    def get(self, id: int | str) -> dict[int, float] | None:  # noqa: A002  its usual name
        """A document's vector as a dict `{term id: weight}`, or None if it is not in the index."""
        return self._open_native().get(id)

    def ids(self) -> NDArray[Any]:
        """The ids of all documents in the order in which they were added: int64, or objects of str."""
        return self._open_native().ids()

    def stats(self) -> dict[str, Any]:
        """What the index consists of: documents, dimensions, non-zeros, segments, bytes and so on."""
        return self._open_native().stats()

    def explain(self, query: Any, id: int | str) -> list[TermMatch]:  # noqa: A002  its usual name
        """The terms that make up a document's score for a query, the largest part first.

        Raises:
            KeyError: The id is not in the index.
            ValueError: As for `search`; more than one query.
        """
        return [TermMatch(*match) for match in self._open_native().explain(query, id)]

    @property
    def dim(self) -> int:
        """The number of dimensions: term ids are below it."""
        return self._open_native().dimension

    def close(self) -> None:
        """Lets go of the index, and with it of the mapped file once running searches have ended.

        Anything but `close` raises ValueError from then on. `with SparseIndex.open(path) as index:` does it at the end.
        """
        self._native = None

    def __enter__(self) -> SparseIndex:  # noqa: PYI034  typing has Self from Python 3.11 on
        """The index itself."""
        self._open_native()
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes the index."""
        self.close()

    def __len__(self) -> int:
        """The number of documents."""
        return len(self._open_native())

    def __contains__(self, id: object) -> bool:  # noqa: A002  its usual name
        """Whether a document with this id is in the index."""
        return id in self._open_native()

    def __reduce__(self) -> NoReturn:
        """Refuses to pickle and to copy: an index is shared by its file."""
        raise TypeError(
            "SparseIndex: cannot be pickled or copied (hint: save it, and open the file where it is needed)"
        )

    def __repr__(self) -> str:
        """What is in the index, and the file it was opened from."""
        if self._native is None:
            return "SparseIndex(closed)"
        path = "" if self._path is None else f', path="{self._path}"'
        return f"SparseIndex(documents={len(self)}, dim={self.dim}{path})"

    def _open_native(self) -> NativeSparseIndex:
        """The compiled half, unless the index is closed."""
        if self._native is None:
            raise ValueError("the index is closed")
        return self._native
