"""SciFact: 300 claims, 5183 abstracts; which abstracts bear on a claim?

Exact search by the model's similarity function, nDCG@10 as trec_eval computes it: gain = judgement, discount
1 / log2(rank + 1), the ideal order from the judgements, the mean over the claims.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import corten

# (what stands between title and text, maximum length in tokens, nDCG@10 measured with the reference, published as)
SETTINGS = (
    (". ", 512, 0.65273, "0.6527, txtai's benchmarks"),
    (" ", 256, 0.64508, "0.6451, MTEB"),
)
TOLERANCE = 0.0005
# The same for splade-minilm. Its figure was made in bfloat16 (shared/models/README.md), which moves some ranks.
SPLADE_SETTING = (". ", 256, 0.6395, "bfloat16")
SPLADE_TOLERANCE = 0.001
# static-minilm-256 at each of its sizes: (dimensions, nDCG@10 measured with the reference).
STATIC_SETTINGS = ((256, 0.5646), (128, 0.5252), (64, 0.4248), (32, 0.2846))
STATIC_SEPARATOR, STATIC_TOLERANCE = ". ", 0.001
CUT = 10


def ndcg(encoder: corten.Encoder, folder: Path, separator: str, max_seq_length: int | None) -> float:
    """The mean nDCG@10 over the claims. A static embedding has no length limit: None."""
    with gzip.open(folder / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        documents = [json.loads(line) for line in lines]
    queries = [json.loads(line) for line in (folder / "queries_test.jsonl").read_text(encoding="utf-8").splitlines()]
    judgements: dict[str, dict[str, int]] = defaultdict(dict)
    with (folder / "qrels" / "test.tsv").open(encoding="utf-8") as file:
        for query, document, score in list(csv.reader(file, delimiter="\t"))[1:]:
            judgements[query][document] = int(score)

    if max_seq_length is not None:
        encoder.max_seq_length = max_seq_length
    texts = [f"{document['title']}{separator}{document['text']}" for document in documents]
    vectors = encoder.encode_document(texts, show_progress_bar=True)
    asked = encoder.encode_query([query["text"] for query in queries])
    ids = np.array([document["_id"] for document in documents])
    values = []
    for query, scores in zip(queries, encoder.similarity(asked, vectors), strict=True):
        order = np.argsort(-scores, kind="stable")[: CUT + 1]
        ranked = [str(ids[i]) for i in order if ids[i] != query["_id"]][:CUT]
        values.append(ndcg_of(ranked, judgements[query["_id"]]))
    return float(np.mean(values))


def ndcg_of(ranked: list[str], judged: dict[str, int]) -> float:
    """The discounted gain of a ranking, as a share of the best possible one."""
    discounts = 1 / np.log2(np.arange(2, CUT + 2))
    gains = np.array([judged.get(document, 0) for document in ranked], dtype=np.float64)
    ideal = np.array(sorted(judged.values(), reverse=True)[:CUT], dtype=np.float64)
    return float((gains * discounts[: len(gains)]).sum() / (ideal * discounts[: len(ideal)]).sum())
