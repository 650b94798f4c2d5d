"""SparseIndex beside its peers through Python, in turn on the same queries; times, recall, goals met and missed.

make bench-sparse, with ARGS="1m --queries 300" for instance for other collections. Without arguments: 100,000 synthetic
documents and both real collections. The process exits with 1 where an exact answer was wrong; a goal that was missed is
reported, and is no failure of the run.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

COLLECTIONS = {
    "10k": ["10000"],
    "100k": ["100000"],
    "1m": ["1000000"],
    "real": ["scifact_documents", "texts_10k"],
}


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collections", nargs="*", default=["100k", "real"], choices=list(COLLECTIONS))
    parser.add_argument("--queries", type=int, default=1000, help="of synthetic collections; the real ones have 300")
    parser.add_argument("--judged", type=int, default=300, help="queries whose recall is measured")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="for building")
    parser.add_argument("--systems", default="corten,seismic,scipy,qdrant,txtai")
    parser.add_argument("--seismic-defaults", action="store_true", help="its default build too: minutes at 100k")
    parser.add_argument("--no-record", action="store_true", help="write nothing to benches/records")
    return parser.parse_args()


def main() -> int:
    """All collections; 1 where an exact answer was wrong."""
    chosen = arguments()
    # Read by seismic's thread pool when it starts, which is at its import.
    os.environ["RAYON_NUM_THREADS"] = str(chosen.threads)
    sys.path.insert(1, str(Path(__file__).parent.parent))
    from sparse_run import run_collection  # noqa: PLC0415  after that

    right = True
    for name in chosen.collections:
        for one in COLLECTIONS[name]:
            with tempfile.TemporaryDirectory(prefix="bench-sparse-") as folder:
                right &= run_collection(one, chosen, Path(folder))
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
