"""A small model with random weights, written as a folder that tests may then spoil.

Every file is held as data until `write`, so that a test changes one value and leaves the rest as it should be.
"""

from __future__ import annotations

import json
import string
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

HIDDEN, INTERMEDIATE, LAYERS, HEADS, POSITIONS = 16, 32, 2, 2, 64
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["the", "cell", "cells", "heart", "of", "a", "patient", "does", "insulin", "help", "query", ":", ",", ".", "?"]
VOCABULARY = [
    *SPECIAL,
    *dict.fromkeys([*WORDS, *string.ascii_lowercase, *string.digits]),
    *(f"##{letter}" for letter in string.ascii_lowercase + string.digits),
]


def tensor_shapes(layers: int = LAYERS) -> dict[str, tuple[int, ...]]:
    """The tensors of a BertModel without pooler, by name."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(VOCABULARY), HIDDEN),
        "embeddings.position_embeddings.weight": (POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
        "embeddings.LayerNorm.weight": (HIDDEN,),
        "embeddings.LayerNorm.bias": (HIDDEN,),
    }
    for i in range(layers):
        layer = f"encoder.layer.{i}"
        linear = {
            "attention.self.query": (HIDDEN, HIDDEN),
            "attention.self.key": (HIDDEN, HIDDEN),
            "attention.self.value": (HIDDEN, HIDDEN),
            "attention.output.dense": (HIDDEN, HIDDEN),
            "intermediate.dense": (INTERMEDIATE, HIDDEN),
            "output.dense": (HIDDEN, INTERMEDIATE),
        }
        for name, shape in linear.items():
            shapes[f"{layer}.{name}.weight"] = shape
            shapes[f"{layer}.{name}.bias"] = shape[:1]
        for norm in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"{layer}.{norm}.weight"] = (HIDDEN,)
            shapes[f"{layer}.{norm}.bias"] = (HIDDEN,)
    return shapes


def random_tensors(seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    tensors = {}
    for name, shape in tensor_shapes().items():
        values = random.normal(0, 0.3, shape)
        if name.endswith("LayerNorm.weight"):
            values += 1
        tensors[name] = values.astype(np.float32)
    return tensors


DTYPES = {"float32": "F32", "float16": "F16", "float64": "F64", "int64": "I64", "uint16": "BF16"}


def safetensors_header(tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    header, offset = {}, 0
    for name, tensor in tensors.items():
        end = offset + tensor.nbytes
        header[name] = {
            "dtype": DTYPES[tensor.dtype.name],
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    return header


def safetensors_bytes(header: dict[str, Any] | bytes, data: bytes) -> bytes:
    """A safetensors file of a header, as it is, and the bytes after it."""
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + data


def tokenizer_json(vocabulary: dict[str, int]) -> dict[str, Any]:
    special = [
        {"id": vocabulary[token], "content": token, "special": True}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        for token in SPECIAL
        if token in vocabulary
    ]
    pieces = {name: {"id": name, "ids": [vocabulary.get(name, 0)], "tokens": [name]} for name in ("[CLS]", "[SEP]")}

    def piece(name: str, type_id: int = 0) -> dict[str, Any]:
        return {"SpecialToken": {"id": name, "type_id": type_id}}

    text_a, text_b = ({"Sequence": {"id": name, "type_id": i}} for i, name in enumerate("AB"))
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [piece("[CLS]"), text_a, piece("[SEP]")],
            "pair": [piece("[CLS]"), text_a, piece("[SEP]"), text_b, piece("[SEP]", 1)],
            "special_tokens": pieces,
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    }


def bert_config() -> dict[str, Any]:
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "vocab_size": len(VOCABULARY),
        "max_position_embeddings": POSITIONS,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",
        "pad_token_id": 0,
    }


@dataclass
class ModelFiles:
    """The files of a model folder, one by one. A file set to None is not written."""

    tensors: dict[str, np.ndarray]
    config: Any = field(default_factory=bert_config)
    modules: Any = field(
        default_factory=lambda: [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        ]
    )
    pooling: Any = field(
        default_factory=lambda: {
            "word_embedding_dimension": HIDDEN,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        }
    )
    splade_pooling: Any = None
    sentence_bert_config: Any = field(default_factory=lambda: {"max_seq_length": 32, "do_lower_case": False})
    config_sentence_transformers: Any = field(
        default_factory=lambda: {"prompts": {"query": "query: "}, "default_prompt_name": None}
    )
    tokenizer: Any = field(default_factory=lambda: tokenizer_json({token: i for i, token in enumerate(VOCABULARY)}))
    tokenizer_config: Any = field(
        default_factory=lambda: {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 64}
    )

    def write(self, folder: Path) -> Path:
        """Writes the files: str and bytes as they are, everything else as JSON."""
        files = {
            "config.json": self.config,
            "modules.json": self.modules,
            "1_Pooling/config.json": self.pooling,
            "1_SpladePooling/config.json": self.splade_pooling,
            "sentence_bert_config.json": self.sentence_bert_config,
            "config_sentence_transformers.json": self.config_sentence_transformers,
            "tokenizer.json": self.tokenizer,
            "tokenizer_config.json": self.tokenizer_config,
            "model.safetensors": safetensors_bytes(
                safetensors_header(self.tensors), b"".join(tensor.tobytes() for tensor in self.tensors.values())
            ),
        }
        for name, content in files.items():
            if content is None:
                continue
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return folder


def tiny_model(seed: int = 1) -> ModelFiles:
    """A model that encodes. The same seed gives the same weights."""
    return ModelFiles(random_tensors(seed))


def tiny_splade(seed: int = 1) -> ModelFiles:
    """The same as a SPLADE model with a tied decoder, as sentence-transformers 6 saves one."""
    random = np.random.default_rng(seed)
    head = {
        "cls.predictions.transform.dense.weight": random.normal(0, 0.3, (HIDDEN, HIDDEN)),
        "cls.predictions.transform.dense.bias": random.normal(0, 0.3, HIDDEN),
        "cls.predictions.transform.LayerNorm.weight": random.normal(1, 0.3, HIDDEN),
        "cls.predictions.transform.LayerNorm.bias": random.normal(0, 0.3, HIDDEN),
        "cls.predictions.bias": random.normal(-1, 0.3, len(VOCABULARY)),
    }
    files = tiny_model(seed)
    files.tensors = {f"bert.{name}": tensor for name, tensor in files.tensors.items()}
    files.tensors |= {name: tensor.astype(np.float32) for name, tensor in head.items()}
    files.config["architectures"] = ["BertForMaskedLM"]
    files.modules = [
        {"path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"},
        {
            "path": "1_SpladePooling",
            "type": "sentence_transformers.sparse_encoder.modules.splade_pooling.SpladePooling",
        },
    ]
    files.pooling = None
    files.splade_pooling = {"pooling_strategy": "max", "activation_function": "relu", "embedding_dimension": None}
    files.sentence_bert_config = {"transformer_task": "fill-mask", "max_seq_length": 32}
    files.config_sentence_transformers = {"model_type": "SparseEncoder", "prompts": {"query": "query: "}}
    return files
