"""What is encoded: texts, models, and the engines that take part. Nothing but the standard library is imported here."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MODELS = {"minilm": 256, "base": 512}  # each with its greatest number of tokens
DTYPES = ("float32", "bfloat16", "int8")
ENGINES = (
    *(f"corten-{dtype}" for dtype in DTYPES),
    "torch-float32",
    "torch-bfloat16",
    "onnxruntime-float32",
    "onnxruntime-int8",
    *(f"openvino-{dtype}" for dtype in DTYPES),
    *(f"ctranslate2-{dtype}" for dtype in DTYPES),
)


@dataclass(frozen=True)
class Workload:
    """Some texts through one model.

    Attributes:
        name: What it is called on the command line and in the records.
        model: A key of `MODELS`.
        texts: "abstracts" or "questions".
        count: How many of the texts, from the first on.
        alone: Each text by itself, timed one by one; otherwise all in one call.
    """

    name: str
    model: str
    texts: str
    count: int
    alone: bool = False


WORKLOADS = (
    Workload("minilm-abstracts", "minilm", "abstracts", 96),
    Workload("minilm-questions", "minilm", "questions", 512),
    Workload("minilm-question-alone", "minilm", "questions", 100, alone=True),
    Workload("base-abstracts", "base", "abstracts", 48),
    Workload("base-question-alone", "base", "questions", 40, alone=True),
)


class Unavailable(Exception):  # noqa: N818  it is no error: the table leaves the engine out
    """This engine does not offer this dtype here."""


def library(engine: str) -> str:
    """The first half of an engine's name."""
    return engine.split("-", maxsplit=1)[0]


def dtype(engine: str) -> str:
    """The second half of an engine's name: engines are compared with those of the same dtype."""
    return engine.split("-", maxsplit=1)[1]


def chosen(kind: str, patterns: list[str] | None, names: tuple[str, ...]) -> list[str]:
    """The names that any of the patterns fits, in the names' order; a pattern is a whole name or has `*` in it.

    Raises:
        ValueError: A pattern that fits no name.
    """
    if patterns is None:
        return list(names)
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in names):
            raise ValueError(f"{kind}: expected some of {', '.join(names)}, found {pattern}")
    return [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]


def read_texts(data: Path, kind: str, count: int) -> list[str]:
    """The first texts of PubMedQA (`pubmedqa/` in `data`): abstracts are the sections of a row's context, joined."""
    with gzip.open(data / "pubmedqa" / "pubmedqa_labeled.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for _, line in zip(range(count), lines, strict=False)]
    return [" ".join(row["contexts"]) if kind == "abstracts" else row["question"] for row in rows]
