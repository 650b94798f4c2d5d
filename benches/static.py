"""Static embeddings against sentence-transformers and model2vec, in one process and in turns, the vectors compared.

python benches/static.py [--repeat 5] [--threads N] [folder of a static model ...]

It needs sentence-transformers and model2vec beside corten:

    python -m venv peers && peers/bin/pip install sentence-transformers model2vec dist/corten-*.whl   # after make wheel
    peers/bin/python benches/static.py

Texts are from shared/data beside the checkout ($CORTEN_SHARED/data where that is set). Without a folder the models are
shared/models/static-minilm-256, and a table of 30522 x 1024 random float32 values with its tokenizer, in the layout and
of the size of static-retrieval-mrl-en-v1. Each engine is given all texts at once, every peer at each of its batch
sizes, and the best of the repeats counts. sentence-transformers computes in float32; model2vec has its own defaults.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from model2vec import StaticModel
from safetensors.numpy import save_file
from sentence_transformers import SentenceTransformer

import corten

if TYPE_CHECKING:
    from collections.abc import Callable

SHARED = Path(os.environ.get("CORTEN_SHARED", Path(__file__).parents[2] / "shared"))
SMALL = SHARED / "models" / "static-minilm-256"
BATCH_SIZES = (32, 128, 1024)
QUESTIONS, ABSTRACTS = 10_000, 4_000


def random_model(folder: Path) -> Path:
    """A model as wide as static-retrieval-mrl-en-v1: what is in the table makes no difference to the time."""
    inside = folder / "0_StaticEmbedding"
    inside.mkdir(parents=True)
    for file in ("modules.json", "config_sentence_transformers.json", "0_StaticEmbedding/tokenizer.json"):
        shutil.copyfile(SMALL / file, folder / file)
    table = np.random.default_rng(0).standard_normal((30522, 1024), dtype=np.float32)
    save_file({"embedding.weight": table}, inside / "model.safetensors")
    return folder


def lines(file: str, field: str) -> list[str]:
    """One field of a gzipped file of JSON lines."""
    with gzip.open(SHARED / "data" / file, "rt", encoding="utf-8") as rows:
        return [json.loads(row)[field] for row in rows]


def workloads() -> dict[str, list[str]]:
    """Questions and titles, and whole abstracts."""
    texts = lines("texts/texts_10k.jsonl.gz", "text")
    questions = lines("pubmedqa/pubmedqa_labeled.jsonl.gz", "question")
    # Beside the thousand questions there are, the first sentences of abstracts: their titles.
    titles = [text.split(". ")[0] for text in texts]
    short = [title for title in titles if 60 <= len(title) <= 160]
    return {"questions": (questions + short)[:QUESTIONS], "abstracts": texts[:ABSTRACTS]}


def engines(folder: Path, threads: int | None) -> dict[str, Callable[[list[str]], Any]]:
    """What turns texts into vectors, by name."""
    ours = corten.Encoder(folder, threads=threads)
    reference = SentenceTransformer(str(folder), device="cpu").float()
    small = StaticModel.from_pretrained(str(folder))
    named: dict[str, Callable[[list[str]], Any]] = {"corten": ours.encode}
    for size in BATCH_SIZES:
        named[f"sentence-transformers, batch {size}"] = partial(reference.encode, batch_size=size)
    for size in BATCH_SIZES:
        named[f"model2vec, batch {size}"] = partial(small.encode, batch_size=size, use_multiprocessing=False)
    return named


def compare(name: str, folder: Path, repeat: int, threads: int | None) -> None:
    """Runs one model on both workloads and prints its lines."""
    named = engines(folder, threads)
    counter = corten.Encoder(folder)
    for workload, texts in workloads().items():
        tokens = sum(len(ids) for ids in counter.token_ids(texts))
        print(f"\n{name}, {workload}: {len(texts)} texts of {tokens / len(texts):.1f} tokens on average")
        answers = {engine: encode(texts) for engine, encode in named.items()}
        best = dict.fromkeys(named, float("inf"))
        for _ in range(repeat):
            for engine, encode in named.items():
                started = time.perf_counter()
                encode(texts)
                best[engine] = min(best[engine], time.perf_counter() - started)
        ours = np.asarray(answers["corten"], dtype=np.float64)
        for engine, seconds in best.items():
            theirs = np.asarray(answers[engine], dtype=np.float64)
            norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
            cosines = (ours * theirs).sum(axis=1) / np.maximum(norms, 1e-12)
            print(f"  {engine:34} {len(texts) / seconds:11,.0f} texts/s", end="")
            print(f"  corten is {seconds / best['corten']:6.2f} x  cosine with it: worst {cosines.min():.7f}")
            if engine.startswith("sentence-transformers") and cosines.min() < 0.99999:
                sys.exit(f"{engine}: the vectors differ: worst cosine {cosines.min()}")


def main() -> None:
    """Runs all models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    print(f"corten {corten.__version__}, level {corten.cpu_info()['level']}, torch {torch.__version__}, ", end="")
    print(f"{torch.get_num_threads()} threads in torch, {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as made:
        folders = {str(folder): folder for folder in arguments.folders}
        if not folders:
            folders = {"1024 wide, float32": random_model(Path(made) / "random"), "256 wide, float16": SMALL}
        for name, folder in folders.items():
            compare(name, folder, arguments.repeat, arguments.threads)


if __name__ == "__main__":
    main()
