"""The Encoder: texts in, vectors out, in the shape of sentence-transformers' SentenceTransformer and SparseEncoder."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sized
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, overload

from corten._native import cpu_info
from corten.arguments import (
    DEFAULT_BATCH_SIZE,
    boolean,
    check_dense_arguments,
    check_encode_arguments,
    check_sparse_arguments,
    signature_of,
)
from corten.device import check_device_of_call, choose_device
from corten.encoder_settings import EncoderSettings
from corten.hub import model_folder
from corten.progress import progress_bar
from corten.prompts import merged_prompts, prompt_named, resolve_prompt
from corten.quantization import Precision, check_precision, quantize_embeddings
from corten.similarity import SimilarityName, similarity_name
from corten.sparse_methods import SparseMethods
from corten.tensor import to_tensor

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from corten._native import Encoder as NativeEncoder

logger = logging.getLogger(__name__)

Texts: TypeAlias = str | Iterable[str]


class Encoder(EncoderSettings, SparseMethods):
    """A sentence-transformers model that turns texts into vectors: dense arrays, or SparseEmbeddings of a SPLADE model.

    Any number of threads may share one Encoder; `encode` runs without the GIL and on all cores. On a CPU the result for
    a text does not depend, not even in its last bit, on the other texts, `batch_size` or `threads`.

    Attributes:
        prompts: Prompts by name. "query" and "document" are always there, empty where the model has none.
        default_prompt_name: The prompt `encode` uses where none is given.
        truncate_dim: Vectors are cut to this many dimensions; None keeps them whole.
        max_active_dims: Sparse vectors keep this many of their largest values; None keeps all.
    """

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str],
        *,
        device: str | None = None,
        prompts: dict[str, str] | None = None,
        default_prompt_name: str | None = None,
        similarity_fn_name: str | None = None,
        cache_folder: str | os.PathLike[str] | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        token: bool | str | None = None,
        trust_remote_code: bool = False,  # noqa: ARG002  see the docstring
        truncate_dim: int | None = None,
        max_active_dims: int | None = None,
        dtype: str = "float32",
        threads: int | None = None,
    ) -> None:
        """Loads a model.

        Args:
            model_name_or_path: A folder, or a hub id (`owner/name`; `name` stands for `sentence-transformers/name`).
            device: "cpu", "cuda", "cuda:1" and so on, or "auto", which None means too: the first GPU where the package
                corten-cuda is installed and finds one that it can use, else the CPU; the logger says why.
            prompts: Prompts by name; they overrule those of the model, but for a None.
            default_prompt_name: The prompt that `encode` uses where none is given; overrules the model's.
            similarity_fn_name: "cosine", "dot", "euclidean" or "manhattan"; overrules the model's.
            cache_folder: Where downloads are kept; by default `$SENTENCE_TRANSFORMERS_HOME`, else the hub's cache.
            revision: The branch, tag or commit of the hub's repository.
            local_files_only: Make no request; the model must be a folder or in the cache.
            token: A hub token, or True for the one saved on this machine.
            trust_remote_code: Taken for compatibility: code that comes with a model, as with BertHash, is never run.
            truncate_dim: Cut vectors to this many dimensions; overrules the model's.
            max_active_dims: Keep this many of the largest values of sparse vectors; overrules the model's.
            dtype: What the layers' products are computed in. "float32", the default, gives the reference's vectors to
                rounding error. "bfloat16" and "int8" are faster; their vectors have cosines of at least 0.9999 and
                0.999 with those. "auto" is "bfloat16" on processors that have instructions for it, else "float32".
                A GPU has "float16" instead of "int8", and "auto" is "float16" there. A static embedding has no
                layers: it takes every dtype of its device and is computed in float32.
            threads: How many threads to encode with; None for as many as this process may use.

        Raises:
            ModelFileError: A file of the model is malformed or of a kind that is not supported.
            DeviceError: The GPU asked for cannot be used: the message says what is missing, or what was found.
            MemoryError: The GPU has no room for the model.
            FileNotFoundError: No such folder, and no such model on the hub.
            ValueError: An argument out of range.
        """
        device, native = choose_device(device, dtype)
        self._threads = threads
        self._folder = model_folder(
            model_name_or_path,
            revision=revision,
            cache_folder=cache_folder,
            token=token,
            local_files_only=local_files_only,
        )
        self._native: NativeEncoder = native.Encoder(self._folder, threads=threads, dtype=dtype, device=device)
        runs_on = f"CPU level {cpu_info()['level']}" if device == "cpu" else f"device {device}"
        logger.info("%s: dtype %s, %s, threads %d", self._folder, self.dtype, runs_on, self.threads)
        self.prompts = merged_prompts(self._native.prompts, prompts)
        of_model = self._native.default_prompt_name
        self.default_prompt_name = of_model if default_prompt_name is None else default_prompt_name
        if self.default_prompt_name is not None:
            prompt_named(self.prompts, self.default_prompt_name, "default_prompt_name")
        self._similarity = similarity_name(
            self._native.similarity_fn_name if similarity_fn_name is None else similarity_fn_name
        )
        sparse = self._native.is_sparse
        self.truncate_dim = self._native.truncate_dim if truncate_dim is None and not sparse else truncate_dim
        self.max_active_dims = self._native.max_active_dims if max_active_dims is None else max_active_dims
        if sparse:
            check_sparse_arguments(truncate_dim=truncate_dim)
        else:
            check_dense_arguments(max_active_dims)
        self._most_active(None)
        self.get_embedding_dimension()  # refuses a truncate_dim out of range now rather than at the first text

    @overload
    def encode(
        self,
        sentences: Texts,
        prompt_name: str | None = ...,
        prompt: str | None = ...,
        batch_size: int = ...,
        show_progress_bar: bool | None = ...,
        output_value: Literal["sentence_embedding"] = ...,
        precision: Precision | None = ...,
        convert_to_numpy: Literal[True] = ...,
        convert_to_tensor: Literal[False] = ...,
        device: str | None = ...,
        normalize_embeddings: bool = ...,
        truncate_dim: int | None = ...,
    ) -> NDArray[Any]: ...
    @overload
    def encode(self, sentences: Texts = ..., *args: Any, **kwargs: Any) -> Any: ...

    def encode(
        self,
        sentences: Texts | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = DEFAULT_BATCH_SIZE,
        show_progress_bar: bool | None = None,
        output_value: str = "sentence_embedding",
        precision: Precision | None = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: str | None = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        pool: None = None,
        chunk_size: int | None = None,  # noqa: ARG002  it tunes the pool, which is not needed here
        *,
        convert_to_sparse_tensor: bool = True,
        save_to_cpu: bool = False,  # noqa: ARG002  vectors are nowhere else
        max_active_dims: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Turns texts into vectors.

        The parameters, their order and their defaults are those of sentence-transformers. After the model's own
        modules a vector is cut to `truncate_dim`, then normalized if asked, then quantized. A sparse vector is not:
        of it the `max_active_dims` largest values are kept.

        Args:
            sentences: One text, or any iterable of texts (`inputs=` is the same).
            prompt_name: A name in `prompts`: that prompt is put before each text.
            prompt: The prompt itself; overrules `prompt_name`. "" means none.
            batch_size: The most texts that are computed together. It changes speed and memory, on a CPU never a value.
                Where it is not given, a CPU takes 32, and a GPU as many as fill it (some 16,000 tokens).
            show_progress_bar: None shows a bar where this module's logger is at INFO or DEBUG.
            output_value: "sentence_embedding", or "token_embeddings" for one float32 array `[tokens, hidden]` a text.
            precision: "float32", "int8", "uint8", "binary" or "ubinary": see `corten.quantize_embeddings`.
            convert_to_numpy: False gives a list of vectors instead of one array.
            convert_to_tensor: True gives a torch tensor (torch must be installed).
            device: None, "auto" or the device that the Encoder was made for: weights do not move.
            normalize_embeddings: Scale each vector to length 1; a zero vector stays zero.
            truncate_dim: Cut vectors to this many dimensions; overrules the attribute.
            pool: None; a pool of processes is not needed and not taken.
            chunk_size: Without effect.
            convert_to_sparse_tensor: For a SPLADE model: False gives a dense array (or tensor).
            save_to_cpu: Without effect.
            max_active_dims: For a SPLADE model: keep this many of the largest values; overrules the attribute.
            **kwargs: `inputs`; anything else is an error.

        Returns:
            float32 `[texts, dim]` in the order of the texts; `[dim]` for one text. No texts at all give `(0, dim)`
            float32, where the reference gives `(0,)` float64, so that the result can always be multiplied, indexed and
            joined with others. A SPLADE model gives SparseEmbeddings `[texts, dim]`, of one row for one text.

        Raises:
            TypeError: A text that is not a str.
            ValueError: A text that is not valid Unicode; an argument out of range or unknown.
        """
        sentences = kwargs.pop("inputs", None) if sentences is None else sentences
        check_encode_arguments(output_value, pool, kwargs)
        check_device_of_call(device, self.device)
        check_precision(precision)
        normalize = boolean("normalize_embeddings", normalize_embeddings)
        texts: Iterable[str] = [sentences] if isinstance(sentences, str) else cast("Iterable[str]", sentences)
        prompt = resolve_prompt(self.prompts, self.default_prompt_name, prompt, prompt_name)
        if show_progress_bar is None:
            show_progress_bar = logger.getEffectiveLevel() in {logging.INFO, logging.DEBUG}
        if show_progress_bar and isinstance(texts, Iterator):
            texts = list(texts)  # a bar should know where it ends
        single = isinstance(sentences, str)
        with progress_bar(len(texts) if isinstance(texts, Sized) else None, show=show_progress_bar) as progress:
            common: dict[str, Any] = {"prompt": prompt, "progress": progress}
            if batch_size is not DEFAULT_BATCH_SIZE:
                common["batch_size"] = batch_size
            if self._native.is_sparse:
                cut = self.truncate_dim if truncate_dim is None else truncate_dim
                check_sparse_arguments(output_value, precision, normalize, cut)
                rows = self._native.encode_sparse(texts, max_active_dims=self._most_active(max_active_dims), **common)
                return self._sparse_result(
                    self._sparse_embeddings(*rows),
                    convert_to_tensor=convert_to_tensor,
                    convert_to_sparse_tensor=convert_to_sparse_tensor,
                    single=single,
                )
            check_dense_arguments(max_active_dims)
            result: Any
            if output_value == "token_embeddings":
                result = self._native.token_embeddings(texts, **common)
            else:
                cut = self._truncation(truncate_dim)
                result = self._native.encode(texts, normalize=normalize, truncate_dim=cut, **common)
        if precision not in {None, "float32"}:
            result = quantize_embeddings(result, precision)
        if output_value == "sentence_embedding" and (convert_to_tensor or not convert_to_numpy):
            result = to_tensor(result) if convert_to_tensor else list(result)
        return result[0] if single else result

    @signature_of(encode)
    def encode_query(
        self,
        sentences: Texts | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """`encode` with the prompt "query", unless another is given. `default_prompt_name` does not count."""
        if prompt_name is None and prompt is None and "query" in self.prompts:
            prompt_name = "query"
        return self.encode(sentences, prompt_name, prompt, *args, **kwargs)  # type: ignore[arg-type]

    @signature_of(encode)
    def encode_document(
        self,
        sentences: Texts | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """`encode` with the first prompt there is of "document", "passage" and "corpus", unless another is given.

        "document" is always there, if only as the empty prompt, unless it was taken out of `prompts`.
        """
        if prompt_name is None and prompt is None:
            prompt_name = next((name for name in ("document", "passage", "corpus") if name in self.prompts), None)
        return self.encode(sentences, prompt_name, prompt, *args, **kwargs)  # type: ignore[arg-type]

    def token_ids(self, sentences: Texts, prompt: str | None = None) -> list[list[int]]:
        """The token ids the model sees for each text, special tokens included, cut at `max_seq_length`."""
        return self._native.token_ids([sentences] if isinstance(sentences, str) else sentences, prompt=prompt)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the folder and the settings, not the weights: unpickling loads the model again.

        A model from the hub is pickled as its folder in the cache, so no token is stored and the revision is the same.
        """
        settings = {
            "prompts": self.prompts,
            "default_prompt_name": self.default_prompt_name,
            "truncate_dim": self.truncate_dim,
            "max_active_dims": self.max_active_dims,
        }
        return (
            _load,
            (type(self), str(self._folder), self.dtype, self._threads, self.device),
            (settings, self._similarity, self.max_seq_length),
        )

    def __setstate__(self, state: tuple[dict[str, Any], SimilarityName, int | None]) -> None:
        """Takes the settings that `__reduce__` stored."""
        settings, self._similarity, max_seq_length = state
        if max_seq_length is not None:
            self.max_seq_length = max_seq_length
        self.__dict__.update(settings)


def _load(kind: type[Encoder], folder: str, dtype: str, threads: int | None, device: str) -> Encoder:
    """What unpickling calls: keyword arguments, which `__reduce__` cannot name."""
    return kind(folder, dtype=dtype, threads=threads, device=device)
