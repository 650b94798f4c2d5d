"""The engines: texts in, one vector a text out, tokenising and pooling included.

Each constructor imports its library, so that a process holds one engine only. All take the same arguments: the folder
that prepare.py filled for the model, the dtype, the number of threads and the greatest number of tokens.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from workloads import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


class Engine(Protocol):
    """What is timed."""

    def encode(self, texts: list[str], batch: int) -> Floats:
        """`[texts, dim]`."""


class Corten:
    """Corten, through its public class."""

    def __init__(self, folder: Path, dtype: str, threads: int, length: int) -> None:
        """Loads the model."""
        import corten

        try:
            self.encoder = corten.Encoder(folder / "source", device="cpu", dtype=dtype, threads=threads)
        except ValueError as error:
            raise Unavailable(str(error)) from error
        self.encoder.max_seq_length = length

    def encode(self, texts: list[str], batch: int) -> Floats:
        """`[texts, dim]`."""
        return self.encoder.encode(texts, batch_size=batch)


class Torch:
    """sentence-transformers on torch."""

    def __init__(self, folder: Path, dtype: str, threads: int, length: int) -> None:
        """Loads the model."""
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(threads)
        arguments = {"dtype": getattr(torch, dtype)}
        self.model = SentenceTransformer(str(folder / "source"), device="cpu", model_kwargs=arguments)
        self.model.max_seq_length = length

    def encode(self, texts: list[str], batch: int) -> Floats:
        """`[texts, dim]`."""
        rows: Floats = self.model.encode(texts, batch_size=batch, show_progress_bar=False)
        return rows


class TokenEngine:
    """What the runtimes without a tokenizer need around them: batches of similar length, masked mean pooling."""

    def __init__(self, folder: Path, length: int) -> None:
        """Reads the tokenizer."""
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(str(folder / "source" / "tokenizer.json"))
        self.tokenizer.enable_truncation(length)
        self.tokenizer.no_padding()
        config = json.loads((folder / "source" / "config.json").read_text(encoding="utf-8"))
        self.hidden = config["hidden_size"]

    def encode(self, texts: list[str], batch: int) -> Floats:
        """`[texts, dim]`."""
        out: Floats = np.empty((len(texts), self.hidden), np.float32)
        order = np.argsort([-len(text) for text in texts], kind="stable")
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            ids = [encoding.ids for encoding in self.tokenizer.encode_batch_fast([texts[i] for i in rows])]
            lengths = np.array([len(row) for row in ids])
            mask = np.arange(lengths.max()) < lengths[:, None]
            hidden = self.forward(ids, mask)
            weights = (mask / lengths[:, None]).astype(np.float32)
            out[rows] = (weights[:, None, :] @ hidden)[:, 0]
        return out

    def forward(self, ids: list[list[int]], mask: NDArray[np.bool_]) -> Floats:
        """The token vectors `[texts, tokens, hidden]` of rows of ids and their mask `[texts, tokens]`."""
        raise NotImplementedError

    @staticmethod
    def inputs(ids: list[list[int]], mask: NDArray[np.bool_]) -> dict[str, NDArray[np.int64]]:
        """The padded inputs of the exported graph."""
        padded = np.zeros(mask.shape, np.int64)
        padded[mask] = np.concatenate([np.asarray(row, np.int64) for row in ids])
        return {
            "input_ids": padded,
            "attention_mask": mask.astype(np.int64),
            "token_type_ids": np.zeros(mask.shape, np.int64),
        }


class OnnxRuntime(TokenEngine):
    """ONNX Runtime on the fused graph."""

    def __init__(self, folder: Path, dtype: str, threads: int, length: int) -> None:
        """Loads the model."""
        import onnxruntime

        super().__init__(folder, length)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        path = str(folder / "onnx" / f"{dtype}.onnx")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        integers = {"tensor(int32)": np.int32, "tensor(int64)": np.int64}
        self.types = {put.name: integers[put.type] for put in self.session.get_inputs()}

    def forward(self, ids: list[list[int]], mask: NDArray[np.bool_]) -> Floats:
        """The token vectors."""
        feed = {name: value.astype(self.types[name]) for name, value in self.inputs(ids, mask).items()}
        hidden: Floats = self.session.run(None, feed)[0]
        return hidden


class OpenVino(TokenEngine):
    """OpenVINO, tuned for latency: all threads work on one batch."""

    def __init__(self, folder: Path, dtype: str, threads: int, length: int) -> None:
        """Loads the model."""
        import openvino

        super().__init__(folder, length)
        core = openvino.Core()
        if dtype == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise Unavailable("OpenVINO has no bfloat16 on this processor")
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # another process may have a core for itself at any time
        }
        if dtype != "int8":  # there the products are int8, and the rest what OpenVINO finds best
            settings["INFERENCE_PRECISION_HINT"] = {"float32": "f32", "bfloat16": "bf16"}[dtype]
        path = folder / "openvino" / ("int8.xml" if dtype == "int8" else "float32.xml")
        self.request = core.compile_model(path, "CPU", settings).create_infer_request()

    def forward(self, ids: list[list[int]], mask: NDArray[np.bool_]) -> Floats:
        """The token vectors, valid until the next call."""
        self.request.infer(self.inputs(ids, mask), share_inputs=True)
        hidden: Floats = self.request.get_output_tensor().data
        return hidden


class CTranslate2(TokenEngine):
    """CTranslate2, which takes ragged rows and pads them itself."""

    def __init__(self, folder: Path, dtype: str, threads: int, length: int) -> None:
        """Loads the model."""
        import ctranslate2

        super().__init__(folder, length)
        if dtype not in ctranslate2.get_supported_compute_types("cpu"):
            raise Unavailable(f"CTranslate2 has no {dtype} on this processor")
        path = folder / "ctranslate2" / ("int8" if dtype == "int8" else "float32")
        self.encoder = ctranslate2.Encoder(
            str(path), device="cpu", compute_type=dtype, inter_threads=1, intra_threads=threads
        )
        self.storage = ctranslate2.DataType.float32

    def forward(self, ids: list[list[int]], mask: NDArray[np.bool_]) -> Floats:  # noqa: ARG002  it makes its own
        """The token vectors."""
        hidden: Any = self.encoder.forward_batch(ids).last_hidden_state
        if hidden.dtype != self.storage:
            hidden = hidden.to(self.storage)
        return np.asarray(hidden)


ENGINES: dict[str, type[Corten | Torch | OnnxRuntime | OpenVino | CTranslate2]] = {
    "corten": Corten,
    "torch": Torch,
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVino,
    "ctranslate2": CTranslate2,
}
