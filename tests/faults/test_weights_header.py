"""Safetensors files that are no safetensors files (M1 to M4): the header, and where it says the data lies."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faults.refusal import refused
from tiny_model import random_tensors, safetensors_bytes, safetensors_header, tiny_model

TENSORS = random_tensors(1)
HEADER = safetensors_header(TENSORS)
DATA = b"".join(tensor.tobytes() for tensor in TENSORS.values())
FIRST, SECOND, LAST = next(iter(HEADER)), list(HEADER)[1], list(HEADER)[-1]
SIZE = len(safetensors_bytes(HEADER, DATA))


def refused_weights(folder: Path, content: bytes) -> str:
    tiny_model().write(folder)
    (folder / "model.safetensors").write_bytes(content)
    message = refused(folder)
    assert message.startswith("model.safetensors: ")
    return message.removeprefix("model.safetensors: ")


@pytest.mark.parametrize("size", range(8))
def test_shorter_than_the_length_of_the_header(tmp_path: Path, size: int) -> None:
    assert refused_weights(tmp_path, b"\1" * size) == f"header: expected at least 8 bytes, found {size}"


@pytest.mark.parametrize(
    ("length", "rest", "limit"),
    [
        (2**64 - 1, 4, 4),
        (2**63, 4, 4),
        (5, 4, 4),
        (100 << 20, 1000, 1000),
        ((16 << 20) + 1, (16 << 20) + 1, 16 << 20),
    ],
)
def test_length_of_the_header(tmp_path: Path, length: int, rest: int, limit: int) -> None:
    content = struct.pack("<Q", length) + b" " * rest
    assert refused_weights(tmp_path, content) == f"header length: expected at most {limit} bytes, found {length}"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"", "header: expected a JSON object that starts at its first byte"),
        (b" {}", "header: expected a JSON object that starts at its first byte"),
        (b"[]", "header: expected a JSON object that starts at its first byte"),
        (b"{" * 200, "header: key must be a string at line 1 column 2"),
        (b'{"__metadata__":' + b"[" * 200, "header: recursion limit exceeded at line 1 column "),
        (b'{"\xff": 1}', "header: invalid unicode code point at line 1 column "),
        (b'{"a": 1}', "header: invalid type: integer `1`, expected struct TensorInfo at line 1 column 7"),
        (b'{"a": {"dtype": "F99", "shape": [], "data_offsets": [0, 0]}}', "header: unknown variant `F99`"),
        (b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 0]}}', "header: invalid value: integer `-1`"),
        (b'{"a": {"dtype": "F32", "shape": [1.5], "data_offsets": [0, 0]}}', "header: invalid type: floating point"),
        (b'{"a": {"dtype": "F32", "shape": []}}', "header: missing field `data_offsets`"),
        (b"{} x", "header: trailing characters at line 1 column 4"),
    ],
)
def test_header_is_no_map_of_tensors(tmp_path: Path, header: bytes, message: str) -> None:
    assert refused_weights(tmp_path, safetensors_bytes(header, b"")).startswith(message)


def test_a_tensor_twice(tmp_path: Path) -> None:
    entry = json.dumps(HEADER[FIRST])
    header = f'{{"{FIRST}": {entry}, "{FIRST}": {entry}}}'.encode()
    assert (
        refused_weights(tmp_path, safetensors_bytes(header, DATA)) == f'expected each key once, found twice: "{FIRST}"'
    )


def moved(name: str, start: int, end: int) -> Callable[[dict[str, Any]], None]:
    def change(header: dict[str, Any]) -> None:
        header[name]["data_offsets"] = [header[name]["data_offsets"][0] + start, header[name]["data_offsets"][1] + end]

    return change


def reshaped(name: str, shape: list[int]) -> Callable[[dict[str, Any]], None]:
    return lambda header: header[name].update(shape=shape)


ROWS = HEADER[FIRST]["shape"][0]
E1 = HEADER[FIRST]["data_offsets"][1]
E2 = HEADER[SECOND]["data_offsets"][1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (moved(SECOND, -4, -4), f'tensor "{SECOND}": expected data that starts at byte {E1}, found {E1 - 4}'),
        (moved(SECOND, 4, 4), f'tensor "{SECOND}": expected data that starts at byte {E1}, found {E1 + 4}'),
        (moved(FIRST, 0, -E1), f'tensor "{FIRST}": expected {E1} bytes for F32 [{ROWS}, 16], found 0'),
        (moved(SECOND, 0, -E2), f'tensor "{SECOND}": expected data_offsets that ascend, found [{E1}, 0]'),
        (reshaped(FIRST, [85, 16]), f'tensor "{FIRST}": expected 5440 bytes for F32 [85, 16], found {E1}'),
        (
            reshaped(FIRST, [2**40, 2**40]),
            f'tensor "{FIRST}": expected a shape whose size in bits fits 64 bits, found [{2**40}, {2**40}]',
        ),
        (
            reshaped(FIRST, [2**62]),
            f'tensor "{FIRST}": expected a shape whose size in bits fits 64 bits, found [{2**62}]',
        ),
        (
            lambda header: header[FIRST].update(dtype="F64"),
            f'tensor "{FIRST}": expected {2 * E1} bytes for F64 [{ROWS}, 16], found {E1}',
        ),
    ],
)
def test_where_the_data_lies(tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str) -> None:
    header = json.loads(json.dumps(HEADER))
    change(header)
    assert refused_weights(tmp_path, safetensors_bytes(header, DATA)) == message


def test_bytes_that_belong_to_no_tensor(tmp_path: Path) -> None:
    content = safetensors_bytes(HEADER, DATA + b"PK\3\4")
    assert refused_weights(tmp_path, content) == f"expected {SIZE} bytes, found {SIZE + 4}"


@pytest.mark.parametrize("missing", [1, 4, 1000])
def test_a_file_cut_off(tmp_path: Path, missing: int) -> None:
    content = safetensors_bytes(HEADER, DATA[:-missing])
    assert refused_weights(tmp_path, content) == f"expected {SIZE} bytes, found {SIZE - missing}"


def test_every_cut_and_every_flipped_byte_of_the_header_is_refused_or_harmless(tmp_path: Path) -> None:
    """No byte of the header can crash the process, hang it, or make vectors that are not finite."""
    import corten

    folder = tiny_model().write(tmp_path)
    whole = safetensors_bytes(HEADER, DATA)
    header_end = len(whole) - len(DATA)
    random = np.random.default_rng(5)
    outcomes = {"refused": 0, "loaded": 0}
    for place in random.choice(header_end, size=150, replace=False):
        spoiled = bytearray(whole)
        spoiled[place] ^= 1 << int(random.integers(8))
        for content in (bytes(spoiled), whole[:place]):
            (folder / "model.safetensors").write_bytes(content)
            try:
                vector = corten.Encoder(folder, threads=1).encode("the heart")
            except corten.ModelFileError:
                outcomes["refused"] += 1
            else:
                outcomes["loaded"] += 1
                assert np.isfinite(vector).all()
    assert outcomes["refused"] >= 280, outcomes
