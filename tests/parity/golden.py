"""The reference's answers, and how near to them an answer must be.

`goldens/NAME.json` names for each array of `goldens/NAME.safetensors` the call of sentence-transformers that made it.
The tests evaluate that very call with corten's names in the reference's place.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from shared_files import FIXTURES

# The families that Encoder does not run yet, by the beginning of their folders' names. Each must be refused.
NOT_YET = ("colbert",)
# Those whose vectors are sparse: test_splade.py.
SPARSE = ("splade",)
MINILM = "all-MiniLM-L6-v2"

# Arrays that are no answer of the reference, with the reason why each is left out.
NOT_THE_REFERENCE = {
    "model2vec_encode": "model2vec's own answer, which leaves [UNK] out; the fixtures give it for information"
}


@dataclass(frozen=True)
class Tolerance:
    """abs(answer - golden) must be at most absolute + relative * abs(golden)."""

    absolute: float
    relative: float
    reason: str
    kind: str = "values"  # or "integers", "levels", "bits"


EXACT = Tolerance(0, 0, "token ids and shapes are integers", "integers")
DENSE = Tolerance(1e-5, 1e-5, "the fixtures' bound: sums of some hundred float32 products in another order")
MINILM_ROWS = Tolerance(5e-6, 0, "the fixtures' bound for this model, whose vectors have length 1")
TOKENS = Tolerance(5e-6, 0, "the fixtures' bound for token vectors: no sum over tokens adds up their noise")
LEVELS = Tolerance(1, 0, "one of 256 levels: a value near the edge between two may fall on either side", "levels")
FLOAT16 = Tolerance(5e-3, 0, "the reference computed these in float16; ours are float32 from the same weights")
BFLOAT16 = Tolerance(5e-2, 0, "the reference computed these in bfloat16; ours are float32 from the same weights")
SPARSE_VALUES = Tolerance(2e-5, 2e-5, "the fixtures' bound: the noise of 32 logits' products, and of sums over tokens")
DOT_PRODUCTS = Tolerance(0, 1e-4, "the fixtures' bound for dot products of sparse rows")
BITS = Tolerance(1e-5, 0, "a sign may differ only where the value is nearer to zero than the dense bound", "bits")

_BY_NAME: list[tuple[str, Tolerance]] = [
    (r"ids|ids_prompt", EXACT),
    (r"token_embeddings", TOKENS),
    (r"sparse(_query|_document|_max_\d+)?", SPARSE_VALUES),
    (r"dot", DOT_PRODUCTS),
    (r"precision_u?int8", LEVELS),
    (r"precision_u?binary", BITS),
    (r"similarity(_pairwise|_cosine|_dot|_euclidean|_manhattan)?", DENSE),
    (r"embeddings(_(normalized|query|document|prompt|prompt_name|no_prompt|batch8|float32))?", DENSE),
    (r"truncate_\d+(_normalized)?|truncate_at_load", DENSE),
]
_NATIVE_16_BIT = {"bert-fp16": FLOAT16, "bert-bf16": BFLOAT16}


@dataclass(frozen=True)
class Golden:
    name: str
    json: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def folder(self) -> Path:
        return FIXTURES / "models" / self.name

    def names(self) -> list[str]:
        """The arrays' names; a ragged pair NAME.data and NAME.offsets counts once, as NAME."""
        names = dict.fromkeys(name.removesuffix(".data").removesuffix(".offsets") for name in self.json["arrays"])
        return [name for name in names if name not in NOT_THE_REFERENCE]

    def made_by(self, name: str) -> dict[str, Any]:
        """What the .json says of an array: its call, and for some the positions of the texts chosen."""
        entry: dict[str, Any] = self.json["arrays"].get(name) or self.json["arrays"][f"{name}.data"]
        return entry

    def rows(self, name: str) -> list[np.ndarray] | np.ndarray:
        """The array; a ragged one as a list of rows."""
        if name in self.arrays:
            return self.arrays[name]
        data, offsets = self.arrays[f"{name}.data"], self.arrays[f"{name}.offsets"]
        return [data[start:end] for start, end in pairwise(offsets)]

    def tolerance(self, name: str) -> Tolerance:
        """The bound for an array. Raises KeyError for a name no rule knows: nothing is left out in silence."""
        if self.name == MINILM and name == "embeddings":
            return MINILM_ROWS
        if self.name in _NATIVE_16_BIT and name in {"embeddings", "embeddings_normalized"}:
            return _NATIVE_16_BIT[self.name]
        for pattern, tolerance in _BY_NAME:
            if re.fullmatch(pattern, name):
                return tolerance
        raise KeyError(f"{self.name}: no tolerance is known for the array {name!r}")


@cache
def golden(name: str) -> Golden:
    file = FIXTURES / "goldens" / f"{name}.json"
    arrays = file.with_suffix(".safetensors")
    return Golden(name, json.loads(file.read_text(encoding="utf-8")), load_file(arrays) if arrays.exists() else {})


@cache
def texts() -> list[str]:
    return [text for _, text in json.loads((FIXTURES / "texts.json").read_text(encoding="utf-8"))]


def names(expect: str) -> list[str]:
    """The goldens of models that Encoder should "encode" or "refuse": not those of SPARSE and NOT_YET."""
    files = sorted((FIXTURES / "goldens").glob("*.json"))
    chosen = [file.stem for file in files if not file.stem.startswith((*NOT_YET, *SPARSE))]
    return [name for name in chosen if golden(name).json["expect"] == expect]


def names_sparse() -> list[str]:
    return sorted(file.stem for file in (FIXTURES / "goldens").glob("*.json") if file.stem.startswith(SPARSE))


def names_not_yet() -> list[str]:
    return sorted(file.stem for file in (FIXTURES / "goldens").glob("*.json") if file.stem.startswith(NOT_YET))


def assert_close(answer: Any, expected: np.ndarray, tolerance: Tolerance, label: str) -> None:
    answer = np.asarray(answer)
    assert answer.shape == expected.shape, f"{label}: shape {answer.shape}, the reference has {expected.shape}"
    wide = np.float64 if np.issubdtype(expected.dtype, np.floating) else np.int64
    difference = np.abs(answer.astype(wide) - expected.astype(wide))
    excess = difference - (tolerance.absolute + tolerance.relative * np.abs(expected.astype(np.float64)))
    if excess.size and not excess.max() <= 0:  # NaN is not <= 0
        worst = np.unravel_index(np.argmax(np.nan_to_num(excess, nan=np.inf)), excess.shape)
        place = tuple(int(i) for i in worst)
        raise AssertionError(
            f"{label}: at {place} {answer[worst]!r}, the reference has {expected[worst]!r}, "
            f"differing by {difference[worst]:.3g} ({tolerance.reason})"
        )
