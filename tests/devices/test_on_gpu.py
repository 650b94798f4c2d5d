"""The GPU: the reference's numbers, memory that runs out, Ctrl-C, threads, processes.

Not run without one, and without corten-cuda: the summary of the run says what is missing. `CORTEN_TEST_DEVICE=cpu`
tries the tests themselves, as far as they are not about the GPU alone.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import corten
from corten.device import choose_device, device_named
from ctrl_c import seconds_until_interrupted
from parity import golden as g
from parity import test_fixtures, test_splade
from parity.test_minilm import cosines
from shared_files import SPLADE_MINILM, needs_fixtures, needs_splade_minilm

DEVICE = os.environ.get("CORTEN_TEST_DEVICE", "cuda")


try:
    choose_device(DEVICE, "float32")
except corten.DeviceError as missing:
    pytest.skip(f"NOT RUN: {missing}", allow_module_level=True)

pytestmark = pytest.mark.gpu
on_gpu_only = pytest.mark.skipif(DEVICE == "cpu", reason="NOT RUN: about the GPU alone")

# The bound of float32 on a GPU: products in another order than the reference's, without TF32.
WORST = 1e-4
# Operands of 11 and of 8 significant bits.
WORST_COSINE = {"float16": 0.9999, "bfloat16": 0.999}


def wider(tolerance: g.Tolerance) -> g.Tolerance:
    """The tolerance on a GPU of what has `tolerance` on a CPU."""
    if tolerance.kind in {"integers", "levels"}:
        return tolerance
    reason = f"{WORST} on a GPU; on a CPU: {tolerance.reason}"
    return g.Tolerance(max(tolerance.absolute, WORST), max(tolerance.relative, WORST), reason, tolerance.kind)


@pytest.fixture(scope="module")
def encoder(minilm_folder: Path) -> corten.Encoder:
    return corten.Encoder(minilm_folder, device=DEVICE)


def test_it_says_where_it_is(encoder: corten.Encoder) -> None:
    assert encoder.device == device_named(DEVICE)
    assert f'device="{encoder.device}"' in repr(encoder)
    assert encoder.dtype == "float32"


@needs_fixtures
@pytest.mark.parametrize("name", test_fixtures.ENCODED)
def test_dense_and_static_models(name: str) -> None:
    for array in g.golden(name).names():
        tolerance = wider(g.golden(name).tolerance(array))
        answer = test_fixtures.evaluate(name, array, DEVICE)
        test_fixtures.assert_array(name, array, tolerance, answer, test_fixtures.encoder(name, DEVICE))


@needs_fixtures
@pytest.mark.parametrize("name", test_splade.ENCODED)
def test_sparse_models(name: str) -> None:
    model = test_splade.encoder(name, DEVICE)
    for array in test_splade.ARRAYS:
        tolerance = wider(g.golden(name).tolerance(array))
        answer = test_splade.evaluate(name, array, model)
        found, expected = answer.to_dense(), test_splade.rows_of(name, array).to_dense()
        if "max" in array:  # of two weights that are nearly equal, either may be kept
            assert np.all((found > 0).sum(axis=1) == (expected > 0).sum(axis=1))
            found, expected = np.sort(found, axis=1), np.sort(expected, axis=1)
        g.assert_close(found, expected, tolerance, f"{name} {array}")


def test_real_texts(encoder: corten.Encoder, real_texts: list[str], minilm_reference: np.ndarray) -> None:
    vectors = encoder.encode(real_texts)
    assert vectors.dtype == np.float32
    assert np.abs(vectors.astype(np.float64) - minilm_reference).max() <= WORST
    assert cosines(vectors, minilm_reference).min() >= 0.999999


@on_gpu_only
@pytest.mark.parametrize("dtype", WORST_COSINE)
def test_narrow_dtypes(dtype: str, minilm_folder: Path, real_texts: list[str], minilm_reference: np.ndarray) -> None:
    narrow = corten.Encoder(minilm_folder, device=DEVICE, dtype=dtype)
    assert narrow.dtype == dtype
    vectors = narrow.encode(real_texts)
    assert vectors.dtype == np.float32
    assert WORST_COSINE[dtype] <= cosines(vectors, minilm_reference).min() < 1 - 1e-9, "not float32 by another name"


@on_gpu_only
@needs_splade_minilm
@pytest.mark.parametrize("dtype", WORST_COSINE)
def test_narrow_dtypes_of_sparse_rows(dtype: str) -> None:
    """Of a trained model: rows of random weights, as the fixtures have, are mostly rounding error in bfloat16."""
    texts = test_splade.trained_texts()
    found = corten.Encoder(SPLADE_MINILM, device=DEVICE, dtype=dtype).encode(texts).to_dense()
    assert cosines(found, test_splade.trained_rows().to_dense()).min() >= WORST_COSINE[dtype]


@on_gpu_only
@pytest.mark.parametrize("dtype", ["float32", *WORST_COSINE])
def test_products_by_cublaslt(
    dtype: str, minilm_folder: Path, real_texts: list[str], minilm_reference: np.ndarray
) -> None:
    """The other way to add the biases of products, which only benches choose."""
    _, native = choose_device(DEVICE, dtype)
    device = device_named(DEVICE)
    fused = native.Encoder(minilm_folder, device=device, dtype=dtype, products="cublaslt").encode(real_texts)
    assert cosines(fused, minilm_reference).min() >= WORST_COSINE.get(dtype, 0.999999)
    plain = native.Encoder(minilm_folder, device=device, dtype=dtype).encode(real_texts)
    assert np.array_equal(fused, plain) == (dtype == "float32"), "in 16 bits it is not what the other way gives"


@on_gpu_only
def test_float32_by_tf32(minilm_folder: Path, real_texts: list[str], minilm_reference: np.ndarray) -> None:
    """Products of 10 bits, as float16's: not the reference's float32, which stays the default."""
    _, native = choose_device(DEVICE, "float32")
    device = device_named(DEVICE)
    found = native.Encoder(minilm_folder, device=device, products="cublaslt-tf32").encode(real_texts)
    assert cosines(found, minilm_reference).min() >= WORST_COSINE["float16"]
    plain = native.Encoder(minilm_folder, device=device).encode(real_texts)
    assert not np.array_equal(found, plain), "TF32 was not used"


@on_gpu_only
def test_auto_is_a_dtype_of_the_gpu(minilm_folder: Path) -> None:
    assert corten.Encoder(minilm_folder, device=DEVICE, dtype="auto").dtype in {"float32", *WORST_COSINE}


@on_gpu_only
def test_int8_is_for_the_cpu(minilm_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"^dtype: expected .*int8"):
        corten.Encoder(minilm_folder, device=DEVICE, dtype="int8")
    assert corten.Encoder(minilm_folder, device="auto", dtype="int8").device == "cpu"


@pytest.mark.parametrize("batch_size", [1, 3, 32, 1000])
def test_batches(encoder: corten.Encoder, real_texts: list[str], batch_size: int) -> None:
    """Rows are near to each other whatever they are computed with: the library for products chooses by the shape."""
    texts = ["", *real_texts[:60]]
    together = encoder.encode(texts)
    apart = encoder.encode(texts[::-1], batch_size=batch_size)[::-1]
    assert np.abs(together - apart).max() <= WORST


@pytest.mark.parametrize("output_value", ["sentence_embedding", "token_embeddings"])
def test_a_long_call(encoder: corten.Encoder, minilm_folder: Path, real_texts: list[str], output_value: str) -> None:
    """Texts are tokenised while others are computed, batches are of many lengths, and each row comes to its place."""
    texts = [text[: 37 * number % 420] for number, text in enumerate(real_texts * 8)]
    found = encoder.encode(texts, output_value=output_value)
    on_cpu = corten.Encoder(minilm_folder, device="cpu").encode(texts, output_value=output_value)
    assert len(found) == len(on_cpu)
    assert max(np.abs(ours - theirs).max() for ours, theirs in zip(found, on_cpu, strict=True)) <= WORST
    again = encoder.encode(texts, output_value=output_value)
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(found, again, strict=True)), "the same batches"


def test_a_text_that_overflows_is_named(tmp_path: Path, minilm_folder: Path, real_texts: list[str]) -> None:
    """Of many batches in flight the lowest text with a vector that is not finite counts."""
    folder = tmp_path / "model"
    shutil.copytree(minilm_folder, folder)
    weights = load_file(folder / "model.safetensors")
    [[_, word, _]] = corten.Encoder(minilm_folder, device="cpu").token_ids("accordion")
    table = next(name for name in weights if name.endswith("word_embeddings.weight"))
    weights[table][word] = 3e38
    save_file(weights, folder / "model.safetensors")
    texts = [text[:200] for text in real_texts * 10]
    texts[1500] = texts[700] = texts[1900] = "an accordion"
    with pytest.raises(ValueError, match=r"^texts\[700\]: expected a finite vector"):
        corten.Encoder(folder, device=DEVICE).encode(texts)


def test_shapes(encoder: corten.Encoder) -> None:
    assert encoder.encode([]).shape == (0, 384)
    assert encoder.encode("").shape == (384,)
    assert encoder.encode(["a", "b"], truncate_dim=7).shape == (2, 7)
    [tokens] = encoder.encode(["a b"], output_value="token_embeddings")
    assert tokens.shape == (4, 384)


@on_gpu_only
def test_a_gpu_that_is_not_there(minilm_folder: Path) -> None:
    with pytest.raises(corten.DeviceError, match=r'^device: there is no "cuda:99": found [1-9]'):
        corten.Encoder(minilm_folder, device="cuda:99")


@contextmanager
def full_memory() -> Iterator[None]:
    """While it lasts, nearly nothing is left of the GPU's memory."""
    runtime = ctypes.CDLL("libcudart.so.13")
    blocks: list[ctypes.c_void_p] = []
    size = 1 << 36
    while size >= 1 << 20:
        block = ctypes.c_void_p()
        if runtime.cudaMalloc(ctypes.byref(block), ctypes.c_size_t(size)) == 0:
            blocks.append(block)
        else:
            size //= 2
    runtime.cudaGetLastError()  # the failure is not to be found by others
    try:
        yield
    finally:
        for block in blocks:
            assert runtime.cudaFree(block) == 0


@on_gpu_only
def test_memory_runs_out(encoder: corten.Encoder, minilm_folder: Path, real_texts: list[str]) -> None:
    """A MemoryError, of a call or of a load, and the next call works."""
    texts = [real_texts[0] * 20] * 512
    expected = encoder.encode(real_texts[:8])
    other = corten.Encoder(minilm_folder, device=DEVICE)  # whose memory for batches is not there yet
    with full_memory():
        with pytest.raises(MemoryError):
            other.encode(texts, batch_size=512)
        with pytest.raises(MemoryError):
            corten.Encoder(minilm_folder, device=DEVICE)
    for model in (encoder, other):
        assert np.abs(model.encode(real_texts[:8]) - expected).max() <= WORST


def test_threads_share_an_encoder(encoder: corten.Encoder, real_texts: list[str]) -> None:
    expected = encoder.encode(real_texts)
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(encoder.encode(real_texts))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert max(np.abs(vectors - expected).max() for vectors in found) <= WORST


FORK = """
import os, signal, sys
import corten
encoder = corten.Encoder(sys.argv[1], device=sys.argv[2])
encoder.encode("the heart")
if os.fork() == 0:
    signal.alarm(20)  # ends a child that hangs
    try:
        encoder.encode("the heart")
    except corten.DeviceError as error:
        print(error, flush=True)
    os._exit(0)
assert os.wait()[1] == 0
encoder.encode("the heart")
"""


@on_gpu_only
def test_a_forked_child_is_refused(minilm_folder: Path) -> None:
    arguments = [sys.executable, "-W", "ignore", "-c", FORK, str(minilm_folder), DEVICE]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=25)
    assert done.stdout.startswith('device: expected the process that loaded the model on "cuda:0", found one forked')


def encode_in_child(encoder: corten.Encoder) -> tuple[str, Any]:
    return encoder.device, encoder.encode("the heart")


def test_a_spawned_child_has_the_same_device(encoder: corten.Encoder) -> None:
    assert pickle.loads(pickle.dumps(encoder)).device == encoder.device
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        device, vector = pool.apply(encode_in_child, (encoder,))
    assert device == encoder.device
    assert np.abs(vector - encoder.encode("the heart")).max() <= WORST


INTERRUPT = """
import sys
import corten
encoder = corten.Encoder(sys.argv[1], device=sys.argv[2])
texts = ["the heart of a patient with insulin " * 30] * 200_000
print("working", flush=True)
try:
    encoder.encode(texts)
    print("finished: the call was too short for the test", flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    assert encoder.encode("the heart").shape == (384,)
    print("usable", flush=True)
"""


def test_ctrl_c(minilm_folder: Path) -> None:
    assert seconds_until_interrupted(INTERRUPT, [str(minilm_folder), DEVICE]) < 1
