"""Writes the fixture of a version of the index's file format: python tests/data/make_sparse_index.py FILE

Run once for each version of the format; a fixture that is in the repository is never written again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

import corten
from sparse_reference import random_rows


def main() -> None:
    """An index with names, several segments and deleted documents."""
    path = Path(sys.argv[1])
    if path.exists():
        sys.exit(f"{path}: exists; a new version of the format gets a new file")
    documents = random_rows(np.random.default_rng(1), 101, 40, "few values", mean=8)
    names = [f"document {number}" for number in range(100)]
    index = corten.SparseIndex.build(documents[:60], ids=names[:60])
    index.add(documents[60:100], ids=names[60:])
    index.delete(names[20:30])
    index.add(documents[100:], ids=["new"])
    index.save(path)
    print(f"{path}: {path.stat().st_size} bytes, format version {index.stats()['file_version']}")


if __name__ == "__main__":
    main()
