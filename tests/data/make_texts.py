"""Writes texts.jsonl: 200 real texts of very different lengths, for comparing vectors with the reference.

python make_texts.py pubmedqa_labeled.jsonl.gz
"""

import gzip
import json
import sys
from pathlib import Path


def main() -> None:
    """Questions, sections of abstracts, answers and whole abstracts of 200 rows, spread over the file."""
    with gzip.open(sys.argv[1], "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines][::5]
    texts = []
    for number, row in enumerate(rows):
        match number % 4:
            case 0:
                texts.append(" ".join(row["question"].split()[: 3 + number % 9]))
            case 1:
                texts.append(row["contexts"][0])
            case 2:
                texts.append(row["long_answer"])
            case _:
                texts.append("\n".join(row["contexts"]))
    out = Path(__file__).with_name("texts.jsonl")
    out.write_text("".join(json.dumps(text, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8")


if __name__ == "__main__":
    main()
