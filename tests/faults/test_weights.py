"""Weights that do not fit the model (M5 to M7, M9), files of the wrong kind (M15), and files that change (M17)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import corten
from faults.refusal import not_found, refused
from tiny_model import VOCABULARY, random_tensors, safetensors_bytes, safetensors_header, tiny_model

QUERY = "encoder.layer.1.attention.self.query.weight"
WORDS = "embeddings.word_embeddings.weight"


def test_missing_tensors_are_all_listed(tmp_path: Path) -> None:
    files = tiny_model()
    for name in (QUERY, "embeddings.LayerNorm.bias"):
        del files.tensors[name]
    assert refused(files.write(tmp_path)) == (
        f'model.safetensors: missing 2 tensors: "embeddings.LayerNorm.bias", "{QUERY}" (prefixes tried: "", "bert.")'
    )


def test_missing_tensors_are_named_with_the_prefix_of_the_others(tmp_path: Path) -> None:
    files = tiny_model()
    files.tensors = {f"bert.{name}": tensor for name, tensor in files.tensors.items() if name != QUERY}
    assert refused(files.write(tmp_path)).startswith(f'model.safetensors: missing 1 tensor: "bert.{QUERY}"')


def test_wrong_shapes_are_all_listed(tmp_path: Path) -> None:
    files = tiny_model()
    files.tensors[QUERY] = np.zeros((16, 8), dtype=np.float32)
    files.tensors["embeddings.LayerNorm.bias"] = np.zeros((1, 16), dtype=np.float32)
    words = 'model.safetensors: tensor "{}": expected shape {} (from config.json), found {}'
    assert refused(files.write(tmp_path)) == "; ".join(
        [words.format("embeddings.LayerNorm.bias", [16], [1, 16]), words.format(QUERY, [16, 16], [16, 8])]
    )


@pytest.mark.parametrize(
    ("field", "value", "tensor", "expected", "found"),
    [
        ("vocab_size", 900, WORDS, [900, 16], [len(VOCABULARY), 16]),
        ("vocab_size", 2**31 - 1, WORDS, [2**31 - 1, 16], [len(VOCABULARY), 16]),
        ("max_position_embeddings", 65, "embeddings.position_embeddings.weight", [65, 16], [64, 16]),
        ("type_vocab_size", 1, "embeddings.token_type_embeddings.weight", [1, 16], [2, 16]),
        ("intermediate_size", 31, "encoder.layer.0.intermediate.dense.weight", [31, 16], [32, 16]),
    ],
)
def test_config_and_weights_disagree(
    tmp_path: Path, field: str, value: int, tensor: str, expected: list[int], found: list[int]
) -> None:
    files = tiny_model()
    files.config[field] = value
    words = f'model.safetensors: tensor "{tensor}": expected shape {expected} (from config.json), found {found}'
    assert refused(files.write(tmp_path)).startswith(words)


def test_more_layers_than_weights(tmp_path: Path) -> None:
    files = tiny_model()
    files.config["num_hidden_layers"] = 3
    message = refused(files.write(tmp_path))
    assert message.startswith('model.safetensors: missing 16 tensors: "encoder.layer.2.attention.self.query.weight", ')


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_dtypes_that_are_not_read(tmp_path: Path, dtype: type) -> None:
    files = tiny_model()
    files.tensors[QUERY] = files.tensors[QUERY].astype(dtype)
    found = {"float64": "F64", "int64": "I64"}[np.dtype(dtype).name]
    expected = f'model.safetensors: tensor "{QUERY}": expected dtype F32, F16 or BF16, found {found}'
    assert refused(files.write(tmp_path)) == expected


def test_sixteen_bits_are_read(tmp_path: Path) -> None:
    """F16 and BF16 give what the same values give in F32."""
    files = tiny_model()
    half = {name: tensor.astype(np.float16) for name, tensor in files.tensors.items()}
    brain = {name: (tensor.view(np.uint32) >> 16).astype(np.uint16) for name, tensor in files.tensors.items()}
    for number, tensors in enumerate((half, brain)):
        files.tensors = tensors
        short = corten.Encoder(files.write(tmp_path / f"{number}-short")).encode("the heart of a patient")
        files.tensors = {
            name: tensor.astype(np.float32) if tensors is half else (tensor.astype(np.uint32) << 16).view(np.float32)
            for name, tensor in tensors.items()
        }
        assert np.array_equal(
            corten.Encoder(files.write(tmp_path / f"{number}-long")).encode("the heart of a patient"), short
        )


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_weights_that_are_not_finite(tmp_path: Path, value: float, shown: str) -> None:
    files = tiny_model()
    files.tensors[QUERY][3, 5] = value
    expected = f'model.safetensors: tensor "{QUERY}": expected finite values, found at index 53: {shown}'
    assert refused(files.write(tmp_path)) == expected


def test_weights_that_overflow_give_an_error_not_a_row(tmp_path: Path) -> None:
    """The values are finite, the sum of the texts' vectors is not: the text is named."""
    files = tiny_model()
    files.tensors["encoder.layer.1.output.LayerNorm.weight"][:] = 3e38
    encoder = corten.Encoder(files.write(tmp_path))
    words = r"^texts\[0\]: expected a finite vector, found NaN or infinity \(hint: "
    for output_value in ("sentence_embedding", "token_embeddings"):
        with pytest.raises(ValueError, match=words):
            encoder.encode(["the heart of a patient"], output_value=output_value)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl", "model.ckpt", "tf_model.h5"])
def test_weights_in_other_formats(tmp_path: Path, name: str) -> None:
    folder = tiny_model().write(tmp_path)
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(corten.ModelFileError) as error:
        corten.Encoder(folder)
    assert str(error.value) == (
        f"{folder}: expected weights in safetensors format, found only {name} (hint: load the model where it was made "
        "and save it again with model.save_pretrained(path, safe_serialization=True))"
    )


def test_a_pickle_beside_the_weights_is_not_opened(tmp_path: Path) -> None:
    folder = tiny_model().write(tmp_path)
    os.mkfifo(folder / "pytorch_model.bin")  # opening it would wait for ever
    assert corten.Encoder(folder).encode("a").shape == (16,)


def test_no_weights_at_all(tmp_path: Path) -> None:
    folder = tiny_model().write(tmp_path)
    (folder / "model.safetensors").unlink()
    assert not_found(folder) == ("expected a file, found nothing", "model.safetensors")


def shards(folder: Path) -> dict[str, str]:
    """Splits the weights over two files; returns the weight_map written beside them."""
    tensors = list(random_tensors(1).items())
    weight_map = {}
    for number, part in enumerate((tensors[:20], tensors[20:]), start=1):
        name = f"model-{number:05}-of-00002.safetensors"
        content = safetensors_bytes(safetensors_header(dict(part)), b"".join(tensor.tobytes() for _, tensor in part))
        (folder / name).write_bytes(content)
        weight_map |= dict.fromkeys(dict(part), name)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return weight_map


def test_shards(tmp_path: Path, tiny: corten.Encoder) -> None:
    folder = tiny_model().write(tmp_path)
    weight_map = shards(folder)
    assert np.array_equal(corten.Encoder(folder).encode("the heart"), tiny.encode("the heart"))

    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map | {QUERY: "model-00001-of-00002.safetensors"}}))
    assert refused(folder) == (
        f'model.safetensors.index.json: tensor "{QUERY}": '
        "expected it in model-00001-of-00002.safetensors, found nothing"
    )
    index.write_text(json.dumps({"weight_map": weight_map | {QUERY: "pytorch_model.bin"}}))
    assert refused(folder) == (
        f"model.safetensors.index.json: weight_map.{QUERY}: expected the name of a safetensors file, "
        'found "pytorch_model.bin"'
    )
    index.write_text(json.dumps({"weight_map": weight_map | {QUERY: "../other.safetensors"}}))
    assert refused(folder) == (
        f"model.safetensors.index.json: weight_map.{QUERY}: expected a relative path inside the model folder, "
        'found "../other.safetensors"'
    )
    index.write_text(json.dumps({"weight_map": weight_map}))
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert not_found(folder) == ("expected a file, found nothing", "model-00002-of-00002.safetensors")


CHANGES_AFTER_LOADING = """
import os, sys
import corten
folder = sys.argv[1]
encoder = corten.Encoder(folder)
before = encoder.encode("the heart").tobytes()
os.truncate(os.path.join(folder, "model.safetensors"), 0)
os.truncate(os.path.join(folder, "tokenizer.json"), 0)
assert encoder.encode("the heart").tobytes() == before
print("same")
"""


def test_files_cut_off_after_loading_do_not_matter(tmp_path: Path) -> None:
    """Weights are read, not mapped: with a mapping this would end the process with SIGBUS."""
    folder = tiny_model().write(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", CHANGES_AFTER_LOADING, str(folder)],
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "same\n"), done.stderr
