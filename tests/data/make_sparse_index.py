"""Writes the fixture of a version of the index's file format: python tests/data/make_sparse_index.py FILE

Run once for each version of the format; a fixture that is in the repository is never written again.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from sparse_reference import small_index


def main() -> None:
    """The small index with everything that a file can hold."""
    path = Path(sys.argv[1])
    if path.exists():
        sys.exit(f"{path}: exists; a new version of the format gets a new file")
    index = small_index()
    index.save(path)
    print(f"{path}: {path.stat().st_size} bytes, format version {index.stats()['file_version']}")


if __name__ == "__main__":
    main()
