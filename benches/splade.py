"""SPLADE in float32: corten beside sentence-transformers' SparseEncoder, in turn, in one process and on the same texts.

PYTHONPATH=python PYTHON benches/splade.py [MODEL] [--random-base] [--texts 32] [--repeat 3] [--memory]

PYTHON is that of an environment with sentence-transformers and torch; corten is taken from this checkout, after
`make build`. MODEL is a folder, by default ../shared/models/splade-minilm. `--random-base` writes a BERT-base of random
weights into a temporary folder and uses that. Both encode the same texts with the same threads, one after the other.
They are the longest there are, whole abstracts of similar length, so that the peer computes little padding:
its share is printed. Tokens are those the models see. The best of the repeats counts, and the vectors are compared each
time.

With `--memory` the peak of the memory above the loaded model is measured instead, for one batch of 32 texts of 512
tokens (or as many as the model takes), each library in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import corten

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).parent.parent
TEXTS = REPOSITORY / "tests" / "data" / "texts.jsonl"
DEFAULT = REPOSITORY.parent / "shared" / "models" / "splade-minilm"
LIBRARIES = ("corten", "sentence-transformers")


def random_base(folder: Path, tokenizer: Path, max_seq_length: int) -> Path:
    """A BERT-base of random weights, saved as a SPLADE model, with the tokenizer of another folder."""
    import torch  # noqa: PLC0415  only the peer needs it
    from transformers import BertConfig, BertForMaskedLM  # noqa: PLC0415

    torch.manual_seed(7)
    model = BertForMaskedLM(BertConfig())
    # As in a trained model, most logits are below zero.
    torch.nn.init.constant_(model.cls.predictions.bias, -1.5)
    model.save_pretrained(folder, safe_serialization=True)
    for name in ("tokenizer.json", "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"):
        shutil.copyfile(tokenizer / name, folder / name)
    shutil.copytree(tokenizer / "1_SpladePooling", folder / "1_SpladePooling")
    settings = json.loads((tokenizer / "tokenizer_config.json").read_text(encoding="utf-8"))
    # 512 tokens for the memory; for the speed as many as the abstracts have, so that there is no padding.
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "model_max_length": max_seq_length}))
    return folder


def encoder_of(library: str, model: Path) -> Any:
    """The loaded model."""
    if library == "corten":
        return corten.Encoder(model)
    import torch  # noqa: PLC0415
    from sentence_transformers import SparseEncoder  # noqa: PLC0415

    torch.set_num_threads(corten.cpu_info()["threads"])
    return SparseEncoder(str(model), device="cpu", model_kwargs={"dtype": torch.float32})


def dense(result: Any) -> np.ndarray:
    """The vectors as an array."""
    return np.asarray(result.to_dense())


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """How long it takes, and its result."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def batches(encoder: corten.Encoder, texts: list[str]) -> list[list[int]]:
    """The numbers of tokens of each batch as the peer forms them: by falling number of characters, 32 texts each."""
    counts = [len(ids) for ids in encoder.token_ids(sorted(texts, key=len, reverse=True))]
    return [counts[start : start + 32] for start in range(0, len(counts), 32)]


def compare(model: Path, texts: list[str], repeat: int) -> None:
    """Encodes in turn and prints both speeds and their ratio."""
    encoders = {library: encoder_of(library, model) for library in LIBRARIES}
    tokens = sum(len(ids) for ids in encoders["corten"].token_ids(texts))
    padded = sum(max(batch) * len(batch) for batch in batches(encoders["corten"], texts))
    print(
        f"{model.name}: {len(texts)} texts, {tokens} tokens, float32, {corten.cpu_info()['threads']} threads; ", end=""
    )
    print(f"with padding {padded} tokens")
    for encoder in encoders.values():
        encoder.encode(texts[:4])
    times: dict[str, list[float]] = {library: [] for library in LIBRARIES}
    for run in range(repeat):
        vectors = {}
        for library in LIBRARIES:
            taken, vectors[library] = seconds(lambda: encoders[library].encode(texts))  # noqa: B023  called at once
            times[library].append(taken)
        difference = np.abs(dense(vectors["corten"]) - dense(vectors["sentence-transformers"])).max()
        assert difference <= 1e-4, f"a value differs by {difference:.2g}"
        print(f"  run {run + 1}: " + ", ".join(f"{library} {times[library][-1]:.2f} s" for library in LIBRARIES))
    best = {library: min(times[library]) for library in LIBRARIES}
    for library in LIBRARIES:
        print(f"{library:22} {best[library]:8.2f} s {tokens / best[library]:9,.0f} tokens/s")
    print(f"{'ratio':22} {best['sentence-transformers'] / best['corten']:8.2f}")


def memory(library: str, model: Path) -> None:
    """Prints the peak above the loaded model for one batch of 32 long texts. To be run in a process of its own."""
    encoder = encoder_of(library, model)
    long = "insulin resistance in mice and men " * 100
    encoder.encode(["warm up"])
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak begins here
    before = status("VmHWM")
    started = time.perf_counter()
    encoder.encode([long] * 32, batch_size=32)
    print(
        f"{library:22} {status('VmHWM') - before:8.0f} MB above {before:.0f} MB, {time.perf_counter() - started:.1f} s"
    )


def status(field: str) -> float:
    """A line of /proc/self/status in MB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


def main() -> None:
    """Runs what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--random-base", action="store_true")
    parser.add_argument("--texts", type=int, default=32)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--memory-of", choices=LIBRARIES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    if arguments.memory_of:
        memory(arguments.memory_of, arguments.model)
        return
    info = corten.cpu_info()
    print(
        f"corten {corten.__version__}, level {info['level']}, {platform.machine()}, Python {platform.python_version()}"
    )
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model
        if arguments.random_base:
            model = random_base(Path(folder), arguments.model, 512 if arguments.memory else 256)
        if arguments.memory:
            for library in LIBRARIES:
                command = [sys.executable, __file__, str(model), "--memory-of", library]
                subprocess.run(command, check=True)  # noqa: S603  this very program
            return
        texts = [json.loads(line) for line in TEXTS.read_text(encoding="utf-8").splitlines()]
        compare(model, sorted(texts, key=len, reverse=True)[: arguments.texts], arguments.repeat)


if __name__ == "__main__":
    main()
