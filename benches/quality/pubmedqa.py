"""PubMedQA: does a question's own answer score higher than another question's?

1000 questions and 1000 answers; cosine similarity of each question with its own answer (label 1) and with one other
(label 0, fixed by negatives.json); Pearson correlation of the 2000 similarities with the labels, times 100.
"""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import corten

# sentence-transformers 6.2.0 on torch 2.15.0, maximum length 256, float32, the same negatives. Published: 90.40, with
# negatives that are not known; over random draws of them the figure has a standard deviation of 0.16.
REFERENCE = 90.3623
TOLERANCE = 0.005
# The same for static-minilm-256: figure and tolerance (shared/models/README.md gives three decimals).
STATIC = (85.070, 0.005)


def pearson(encoder: corten.Encoder, folder: Path) -> float:
    """The correlation in percent."""
    with gzip.open(folder / "pubmedqa_labeled.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    negatives = json.loads((folder / "negatives.json").read_text(encoding="utf-8"))
    questions = encoder.encode([row["question"] for row in rows], normalize_embeddings=True).astype(np.float64)
    answers = encoder.encode([row["long_answer"] for row in rows], normalize_embeddings=True).astype(np.float64)
    own = (questions * answers).sum(axis=1)
    other = (questions * answers[negatives]).sum(axis=1)
    labels = np.repeat([1.0, 0.0], len(rows))
    return float(np.corrcoef(np.concatenate([own, other]), labels)[0, 1]) * 100
