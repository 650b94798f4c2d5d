"""The engines that are compared on a GPU: each takes texts and a batch size, and gives one vector a text."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from transformers import AutoModel

import corten
from corten.device import choose_device
from gpu_models import HEADS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gpu_models import Model

    Floats = NDArray[np.float32]

NARROW = ("float16", "bfloat16")


# Texts of a batch that are tried for the engines that pad.
BATCH_SIZES: tuple[int, ...] = (64, 256, 1024)


class Engine(Protocol):
    """What is timed."""

    batch_sizes: tuple[int, ...]

    def encode(self, texts: list[str], batch: int) -> Floats:
        """`[texts, dim]`."""


class Corten:
    """Corten, through its public class, which fills its batches by tokens."""

    batch_sizes: tuple[int, ...] = (0,)

    def __init__(self, model: Model, device: str, dtype: str) -> None:
        """Loads the model."""
        self.encoder = corten.Encoder(model.folder, device=device, dtype=dtype)

    def encode(self, texts: list[str], batch: int) -> Floats:  # noqa: ARG002  see the class
        """`[texts, dim]`."""
        rows: Floats = self.encoder.encode(texts, show_progress_bar=False)
        return rows


class CortenLt:
    """Corten with the biases of its products by cuBLASLt, which only the native class can be asked for."""

    batch_sizes: tuple[int, ...] = (0,)

    def __init__(self, model: Model, device: str, dtype: str) -> None:
        """Loads the model; float32 with its products in TF32."""
        device, native = choose_device(device, dtype)
        products = "cublaslt-tf32" if dtype == "float32" else "cublaslt"
        self.encoder = native.Encoder(model.folder, device=device, dtype=dtype, products=products)

    def encode(self, texts: list[str], batch: int) -> Floats:  # noqa: ARG002  see `Corten`
        """`[texts, dim]`."""
        rows: Floats = self.encoder.encode(texts)
        return rows


class Torch:
    """sentence-transformers on torch. float32 is without TF32, and with attention in single steps."""

    batch_sizes: tuple[int, ...] = BATCH_SIZES

    def __init__(self, model: Model, device: str, dtype: str, attention: str) -> None:
        """Loads the model."""
        torch.backends.cuda.matmul.allow_tf32 = False
        arguments = {} if model.is_static else {"dtype": getattr(torch, dtype), "attn_implementation": attention}
        self.model = SentenceTransformer(str(model.folder), device=device, model_kwargs=arguments)

    def encode(self, texts: list[str], batch: int) -> Floats:
        """`[texts, dim]`."""
        rows: Floats = self.model.encode(texts, batch_size=batch, show_progress_bar=False)
        return rows


class MeanPooled(torch.nn.Module):  # type: ignore[misc]
    """BERT with mean pooling, so that nothing but one vector a text is copied from the GPU."""

    def __init__(self, folder: Path) -> None:
        """Loads the model."""
        super().__init__()
        self.model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
        """`[texts, dim]`."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        mask = attention_mask.unsqueeze(2)
        hidden = self.model(**inputs).last_hidden_state * mask
        return hidden.sum(1) / mask.sum(1)


class OnnxRuntime:
    """ONNX Runtime on the graph that its own optimizer fuses: float16 on a GPU, float32 on a CPU."""

    batch_sizes: tuple[int, ...] = BATCH_SIZES

    def __init__(self, model: Model, device: str, work: Path) -> None:
        """Writes the graph and loads it. Raises ImportError where ONNX Runtime or what it needs is not there."""
        import onnxruntime  # noqa: PLC0415  may be absent
        from onnxruntime.transformers import optimizer  # noqa: PLC0415  likewise

        provider = "CPUExecutionProvider" if device == "cpu" else "CUDAExecutionProvider"
        if provider not in onnxruntime.get_available_providers():
            raise ImportError(f"onnxruntime {onnxruntime.__version__} has no {provider}")
        plain, fused = (str(work / f"{model.name}-{kind}.onnx") for kind in ("plain", "fused"))
        names = ["input_ids", "attention_mask", "token_type_ids"]
        ids = torch.ones(2, 7, dtype=torch.long)
        axes = {name: {0: "texts", 1: "tokens"} for name in names} | {"rows": {0: "texts"}}
        torch.onnx.export(
            MeanPooled(model.folder),
            (ids, ids, ids * 0),
            plain,
            input_names=names,
            output_names=["rows"],
            opset_version=17,
            dynamic_axes=axes,
            dynamo=False,
        )
        graph = optimizer.optimize_model(
            plain, model_type="bert", num_heads=HEADS, hidden_size=model.hidden, use_gpu=device != "cpu"
        )
        if device != "cpu":
            graph.convert_float_to_float16(keep_io_types=True)
        graph.save_model_to_file(fused)
        self.session = onnxruntime.InferenceSession(fused, providers=[provider])
        if self.session.get_providers()[0] != provider:  # it goes on with another if this one does not load
            raise ImportError(f"onnxruntime {onnxruntime.__version__}: {provider} does not load")
        integers = {"tensor(int32)": np.int32, "tensor(int64)": np.int64}
        self.types = {put.name: integers[put.type] for put in self.session.get_inputs()}
        self.tokenizer = Tokenizer.from_file(str(model.folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(model.length)
        self.tokenizer.no_padding()
        self.hidden = model.hidden

    def encode(self, texts: list[str], batch: int) -> Floats:
        """`[texts, dim]`, in batches of texts of similar length."""
        out: Floats = np.empty((len(texts), self.hidden), np.float32)
        encodings = self.tokenizer.encode_batch_fast(texts)
        order = np.argsort([-len(encoding.ids) for encoding in encodings], kind="stable")
        for start in range(0, len(order), batch):
            places = order[start : start + batch]
            rows = [encodings[place].ids for place in places]
            mask = np.arange(len(rows[0])) < np.array([len(row) for row in rows])[:, None]
            ids = np.zeros(mask.shape, np.int64)
            ids[mask] = np.concatenate(rows)
            feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            typed = {name: feed[name].astype(kind) for name, kind in self.types.items()}
            out[places] = self.session.run(None, typed)[0]
        return out


def engines(model: Model, device: str, work: Path) -> dict[str, Engine]:
    """All that this machine can run, by "library ... dtype"; of what it cannot, a line says why."""
    found: dict[str, Engine] = {}
    for dtype in ("float32",) if model.is_static else ("float32", *NARROW):
        try:
            found[f"corten {dtype}"] = Corten(model, device, dtype)
        except ValueError as error:  # noqa: PERF203  three times, of some seconds each
            print(f"  left out: corten {dtype}: {error}")
    if device != "cpu" and not model.is_static:
        for dtype in NARROW:
            found[f"corten cublaslt {dtype}"] = CortenLt(model, device, dtype)
        found["corten cublaslt tf32"] = CortenLt(model, device, "float32")
    if model.is_static:
        return {**found, "sentence-transformers float32": Torch(model, device, "float32", "")}
    for attention in ["sdpa"] + ["flash_attention_2"] * (importlib.util.find_spec("flash_attn") is not None):
        for dtype in NARROW:
            found[f"sentence-transformers {attention} {dtype}"] = Torch(model, device, dtype, attention)
    try:
        found["onnxruntime " + ("float32" if device == "cpu" else "float16")] = OnnxRuntime(model, device, work)
    except ImportError as error:
        print(f"  left out: onnxruntime: {error}")
    return found
