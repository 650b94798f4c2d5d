"""Everything that is made once, before any clock runs: the models in each engine's own format, texts and references.

prepare.py FOLDER MINILM_FOLDER DATA_FOLDER      (run by compare.py, with the Python of the peers' environment)

For each model, in FOLDER/MODEL: `source` (a sentence-transformers folder), `onnx/float32.onnx` (its graph fused by ONNX
Runtime's optimizer for BERT), `onnx/int8.onnx` (dynamically quantized), `openvino/float32.xml`,
`openvino/int8.xml` (quantized by NNCF after looking at some texts), `ctranslate2/float32` and `ctranslate2/int8`. For
each workload, in FOLDER: `NAME.json` (texts, number of tokens) and `NAME.npy`, the vectors of torch in float32.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ctranslate2.converters
import nncf
import numpy as np
import openvino
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from transformers import AutoModel, BertConfig, BertModel

from workloads import MODELS, WORKLOADS, Workload, read_texts

SEED = 20261121
POOLING = {"word_embedding_dimension": 768, "pooling_mode_mean_tokens": True}
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]


def write_json(path: Path, value: Any) -> None:
    """Writes JSON, making the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def random_bert_base(folder: Path, minilm: Path) -> None:
    """BERT-base of random weights (normal, deviation 0.02, a fixed seed), mean pooling, the tokenizer of MiniLM."""
    torch.manual_seed(SEED)
    BertModel(BertConfig(), add_pooling_layer=False).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(minilm / name, folder / name)
    write_json(folder / "modules.json", MODULES)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": MODELS["base"], "do_lower_case": False})
    write_json(folder / "1_Pooling" / "config.json", POOLING)


class Hidden(torch.nn.Module):  # type: ignore[misc]
    """The token vectors alone, which is what the graphs are made to return."""

    def __init__(self, model: Any) -> None:
        """Keeps the model."""
        super().__init__()
        self.model = model

    def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any) -> Any:
        """`[texts, tokens, hidden]`."""
        return self.model(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state


def export_onnx(source: Path, path: Path) -> None:
    """The plain graph of the operators that torch exports."""
    model = AutoModel.from_pretrained(source, attn_implementation="eager").eval()
    names = ["input_ids", "attention_mask", "token_type_ids"]
    ids = torch.ones(2, 7, dtype=torch.long)
    torch.onnx.export(
        Hidden(model),
        (ids, ids, ids * 0),
        str(path),
        input_names=names,
        output_names=["hidden"],
        opset_version=17,
        dynamic_axes={name: {0: "texts", 1: "tokens"} for name in [*names, "hidden"]},
        dynamo=False,
    )


def for_onnxruntime(source: Path, plain: Path, folder: Path) -> None:
    """Fused, and quantized."""
    folder.mkdir()
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    heads, hidden = config["num_attention_heads"], config["hidden_size"]
    fused = optimizer.optimize_model(str(plain), model_type="bert", num_heads=heads, hidden_size=hidden, opt_level=1)
    fused.save_model_to_file(str(folder / "float32.onnx"))
    # Not of the fused graph: that is a sixth slower.
    quantize_dynamic(plain, folder / "int8.onnx", weight_type=QuantType.QInt8)


def for_openvino(source: Path, plain: Path, folder: Path, texts: list[str]) -> None:
    """The graph in OpenVINO's format, and quantized for transformers with the ranges of some texts."""
    folder.mkdir()
    core = openvino.Core()
    openvino.save_model(core.read_model(plain), folder / "float32.xml", compress_to_fp16=False)
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.enable_truncation(128)
    tokenizer.no_padding()

    def example(text: str) -> dict[str, Any]:
        ids = np.array([tokenizer.encode(text).ids])
        return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}

    quantized = nncf.quantize(
        core.read_model(plain),
        nncf.Dataset(texts, example),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(texts),
    )
    openvino.save_model(quantized, folder / "int8.xml", compress_to_fp16=False)


def for_ctranslate2(source: Path, folder: Path) -> None:
    """One folder whose weights are float32 (bfloat16 is made of it at load) and one whose weights are int8."""
    with tempfile.TemporaryDirectory() as work:
        copy = Path(shutil.copytree(source, Path(work) / "source"))
        config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
        write_json(copy / "config.json", config | {"position_embedding_type": "absolute"})
        for quantization in ("float32", "int8"):
            converter = ctranslate2.converters.TransformersConverter(str(copy))
            converter.convert(str(folder / quantization), quantization=quantization)


def prepare_model(folder: Path, model: str, minilm: Path, data: Path) -> None:
    """One model for all engines."""
    source = folder / "source"
    if model == "minilm":
        shutil.copytree(minilm, source)
    else:
        random_bert_base(source, minilm)
    plain = folder / "plain.onnx"
    export_onnx(source, plain)
    for_onnxruntime(source, plain, folder / "onnx")
    for_openvino(source, plain, folder / "openvino", read_texts(data, "abstracts", 400)[300:])
    for_ctranslate2(source, folder / "ctranslate2")
    plain.unlink()


def prepare_workload(folder: Path, workload: Workload, data: Path) -> None:
    """Texts, the number of their tokens and the vectors of torch in float32, one text at a time: without padding."""
    texts = read_texts(data, workload.texts, workload.count)
    model = SentenceTransformer(str(folder / workload.model / "source"), device="cpu")
    model.max_seq_length = MODELS[workload.model]
    np.save(folder / f"{workload.name}.npy", model.encode(texts, batch_size=1, show_progress_bar=False))
    tokenizer = Tokenizer.from_file(str(folder / workload.model / "source" / "tokenizer.json"))
    tokenizer.enable_truncation(MODELS[workload.model])
    tokenizer.no_padding()
    tokens = sum(len(encoding.ids) for encoding in tokenizer.encode_batch(texts))
    value = {"workload": asdict(workload), "texts": texts, "tokens": tokens}
    write_json(folder / f"{workload.name}.json", value)


def main() -> None:
    """Makes what is not there yet."""
    folder, minilm, data = map(Path, sys.argv[1:])
    for model in MODELS:
        if not (folder / model).is_dir():
            print(f"preparing {model} for all engines", flush=True)
            shutil.rmtree(folder / "unfinished", ignore_errors=True)
            (folder / "unfinished").mkdir(parents=True)
            prepare_model(folder / "unfinished", model, minilm, data)
            (folder / "unfinished").rename(folder / model)
    for workload in WORKLOADS:
        path = folder / f"{workload.name}.json"
        if not path.is_file() or json.loads(path.read_text(encoding="utf-8"))["workload"] != asdict(workload):
            print(f"preparing {workload.name}", flush=True)
            prepare_workload(folder, workload, data)


if __name__ == "__main__":
    main()
