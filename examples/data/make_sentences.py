"""Writes pubmedqa_sentences.txt: the first sentence of each answer of PubMedQA's expert-labelled part.

python make_sentences.py pubmedqa_labeled.jsonl.gz
"""

import gzip
import json
import re
import sys
from pathlib import Path

SENTENCES = 400
# A full stop, a space and a capital end a sentence, unless an initial or an abbreviation stands before the stop.
SENTENCE_END = re.compile(r"(?<!\s[A-Z])(?<!vs)(?<!e\.g)(?<!i\.e)(?<!spp)(?<!approx)\.\s+(?=[A-Z])")
SHORTEST, LONGEST = 60, 260  # characters


def main() -> None:
    """Reads the rows, keeps one sentence of each that is neither a stub nor a paragraph, writes one a line."""
    with gzip.open(sys.argv[1], "rt", encoding="utf-8") as rows:
        answers = [json.loads(row)["long_answer"] for row in rows]
    first = [SENTENCE_END.split(" ".join(answer.split()), maxsplit=1)[0].rstrip(".") + "." for answer in answers]
    chosen = list(dict.fromkeys(sentence for sentence in first if SHORTEST <= len(sentence) <= LONGEST))[:SENTENCES]
    Path(__file__).with_name("pubmedqa_sentences.txt").write_text("\n".join(chosen) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
