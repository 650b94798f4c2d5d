"""Ctrl-C during a long call: KeyboardInterrupt within a second, and the Encoder is as good as before."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctrl_c import seconds_until_interrupted

PROGRAM = """
import sys, time
import corten
encoder = corten.Encoder(sys.argv[1])
text = "the heart of a patient with insulin " * 30
expected = encoder.encode(text).tobytes()
print("working", flush=True)
try:
    texts, batch_size, output_value, bar = [text] * 200_000, int(sys.argv[2]), sys.argv[3], sys.argv[4] == "bar"
    encoder.encode(texts, batch_size=batch_size, output_value=output_value, show_progress_bar=bar)
    print("finished: the call was too short for the test", flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    assert encoder.encode(text).tobytes() == expected
    print("usable", flush=True)
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("batch_size", "output_value", "bar"),
    [
        (32, "sentence_embedding", "no bar"),
        (100_000, "sentence_embedding", "no bar"),
        (32, "sentence_embedding", "bar"),
        (32, "token_embeddings", "no bar"),
    ],
)
def test_ctrl_c(minilm_folder: Path, batch_size: int, output_value: str, bar: str) -> None:
    assert seconds_until_interrupted(PROGRAM, [str(minilm_folder), str(batch_size), output_value, bar]) < 1
