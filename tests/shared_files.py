"""Where the fixtures and the data that do not belong to this repository lie: in `shared/` beside the checkout.

Tests that need them are skipped where that folder is absent, and the summary of the run says so.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
SHARED = Path(os.environ.get("CORTEN_SHARED", REPOSITORY.parent / "shared"))
FIXTURES = SHARED / "fixtures"
SPLADE_MINILM = SHARED / "models" / "splade-minilm"

needs_fixtures = pytest.mark.skipif(
    not FIXTURES.is_dir(), reason=f"NOT RUN: there is no folder {FIXTURES} with the reference's answers"
)
needs_splade_minilm = pytest.mark.skipif(
    not SPLADE_MINILM.is_dir(), reason=f"NOT RUN: there is no folder {SPLADE_MINILM} with a trained model"
)
