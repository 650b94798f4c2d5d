"""Paths that lead elsewhere (M13), code that comes with a model (M14), and files that are no files (M18)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import corten
from faults.refusal import refused
from tiny_model import tiny_model


@pytest.mark.parametrize(
    "path", ["../1_Pooling", "/etc", "C:\\models", "1_Pooling/../../x", "a\\b", "nul\0byte", "..", "x/../1_Pooling"]
)
def test_modules_outside_the_folder(tmp_path: Path, path: str) -> None:
    files = tiny_model()
    files.modules[1]["path"] = path
    shown = path.replace("\\", "\\\\").replace("\0", "\\0")
    assert refused(files.write(tmp_path / "model")) == (
        f'modules.json: [1].path: expected a relative path inside the model folder, found "{shown}"'
    )


def test_a_folder_behind_a_link_keeps_the_name_it_was_given(tmp_path: Path) -> None:
    files = tiny_model()
    files.modules[1]["path"] = ".."
    files.write(tmp_path / "model")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "model", target_is_directory=True)
    assert refused(link).startswith("modules.json: [1].path: expected a relative path inside the model folder")


@pytest.mark.parametrize("path", ["1_Pooling/", "./1_Pooling", "1_Pooling/."])
def test_other_ways_to_write_a_path(tmp_path: Path, path: str) -> None:
    files = tiny_model()
    files.modules[1]["path"] = path
    assert corten.Encoder(files.write(tmp_path)).encode("a").shape == (16,)


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ({}, "modules.json: not valid JSON: expected a list of modules, found an object"),
        (["x"], 'modules.json: [0]: expected an object, found "x"'),
        ([{"path": ""}], "modules.json: [0].type: expected a string, found nothing"),
        (
            [{"type": "sentence_transformers.models.Transformer"}],
            "modules.json: [0].path: expected a string, found nothing",
        ),
        (
            [{"path": "", "type": "sentence_transformers.models.Transformer"}] * 65,
            "modules.json: []: expected at most 64 modules, found 65",
        ),
        (
            [{"path": "", "type": "custom.Pooling"}],
            "modules.json: [0].type: a model with code of its own, which is never run, is not supported: "
            '"custom.Pooling"',
        ),
        (
            [{"path": "", "type": "sentence_transformers.models.CNN"}],
            'modules.json: [0].type: this module is not supported: "sentence_transformers.models.CNN"',
        ),
    ],
)
def test_modules(tmp_path: Path, modules: Any, message: str) -> None:
    files = tiny_model()
    files.modules = modules
    assert refused(files.write(tmp_path)) == message


@pytest.mark.parametrize("indexes", [[], [0], [1], [1, 0], [0, 0, 1], [0, 1, 1]])
def test_order_of_modules(tmp_path: Path, indexes: list[int]) -> None:
    """A transformer, then pooling, each once."""
    files = tiny_model()
    files.modules = [files.modules[i] for i in indexes]
    assert refused(files.write(tmp_path)).startswith("modules.json: ")


def test_code_in_the_folder_is_never_run(tmp_path: Path) -> None:
    files = tiny_model()
    mark = tmp_path / "code was run"
    code = f"open({str(mark)!r}, 'w')"
    files.config["auto_map"] = {"AutoModel": "modeling_tiny.TinyModel"}
    files.config["architectures"] = ["TinyModel"]
    folder = files.write(tmp_path / "model")
    for name in ("modeling_tiny.py", "__init__.py", "setup.py", "conftest.py"):
        (folder / name).write_text(code)
    message = (
        'config.json: architectures[0]: a model with code of its own, which is never run, is not supported: "TinyModel"'
    )
    assert refused(folder) == message
    with pytest.raises(corten.ModelFileError):
        corten.Encoder(folder, trust_remote_code=True)
    assert not mark.exists()


def test_a_link_out_of_the_folder(tmp_path: Path) -> None:
    folder = tiny_model().write(tmp_path / "model")
    outside = tmp_path / "outside.safetensors"
    (folder / "model.safetensors").rename(outside)
    (folder / "model.safetensors").symlink_to(outside)
    assert refused(folder) == (
        f"model.safetensors: expected a path inside the model folder, found a link to {outside} "
        "(hint: copy the file into the folder)"
    )


def test_a_linked_folder_of_a_module(tmp_path: Path) -> None:
    folder = tiny_model().write(tmp_path / "model")
    shutil.move(folder / "1_Pooling", tmp_path / "pooling")
    (folder / "1_Pooling").symlink_to(tmp_path / "pooling")
    assert refused(folder).startswith(
        "1_Pooling/config.json: expected a path inside the model folder, found a link to "
    )


def test_links_inside_the_folder_and_to_the_folder(tmp_path: Path, tiny: corten.Encoder) -> None:
    folder = tiny_model().write(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "weights")
    (folder / "model.safetensors").symlink_to("weights")
    (tmp_path / "link").symlink_to(folder)
    assert np.array_equal(corten.Encoder(tmp_path / "link").encode("a"), tiny.encode("a"))


def test_the_layout_of_the_hubs_cache(tmp_path: Path, tiny: corten.Encoder) -> None:
    """Files of a snapshot are links to ../../blobs, and nowhere else."""
    repository = tmp_path / "models--owner--tiny"
    snapshot = tiny_model().write(repository / "snapshots" / "0123")
    blobs = repository / "blobs"
    blobs.mkdir()
    for number, file in enumerate(path for path in snapshot.rglob("*") if path.is_file()):
        file.rename(blobs / f"blob{number}")
        file.symlink_to(os.path.relpath(blobs / f"blob{number}", file.parent))
    assert np.array_equal(corten.Encoder(snapshot).encode("a"), tiny.encode("a"))

    secret = repository / "refs"
    secret.write_text("{}")
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to("../../refs")
    assert refused(snapshot).startswith("config.json: expected a path inside the model folder, found a link to ")


def test_a_link_to_itself(tmp_path: Path) -> None:
    folder = tiny_model().write(tmp_path)
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("config.json")
    with pytest.raises(OSError, match="Too many levels of symbolic links") as error:
        corten.Encoder(folder)
    assert Path(error.value.filename) == folder / "config.json"


FILES = ["config.json", "modules.json", "1_Pooling/config.json", "tokenizer.json", "model.safetensors"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["a folder", "a FIFO", "a socket", "a device"])
def test_files_that_are_no_files(tmp_path: Path, name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_model().write(tmp_path)
    path = folder / name
    path.unlink()
    if kind == "a folder":
        path.mkdir()
    elif kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a socket":
        monkeypatch.chdir(path.parent)  # the name of a socket is at most 107 bytes long
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    else:
        try:
            os.mknod(path, 0o666 | 0o020000, os.makedev(1, 5))  # /dev/zero, which never ends
        except PermissionError:
            pytest.skip("only root may make a device")
    assert refused(folder) == f"{name}: expected a regular file, found {kind}"


@contextmanager
def somebody_else() -> Iterator[None]:
    """Not root for a while, who may read every file."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("name", FILES)
def test_files_that_may_not_be_read(name: str) -> None:
    with tempfile.TemporaryDirectory() as parent:  # not tmp_path, into which nobody else can go
        Path(parent).chmod(0o755)
        folder = tiny_model().write(Path(parent) / "model")
        (folder / name).chmod(0)
        with somebody_else(), pytest.raises(PermissionError) as error:
            corten.Encoder(folder)
        assert Path(error.value.filename) == folder / name


@pytest.mark.parametrize("name", FILES)
def test_empty_files(tmp_path: Path, name: str) -> None:
    folder = tiny_model().write(tmp_path)
    (folder / name).write_bytes(b"")
    assert refused(folder).startswith(f"{name}: ")


LITTLE_MEMORY = """
import resource, sys
import corten
in_use = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (in_use + (64 << 20), resource.RLIM_INFINITY))
try:
    corten.Encoder(sys.argv[1], threads=1)
except MemoryError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_too_little_memory_for_the_weights(tmp_path: Path) -> None:
    """256 MB of weights with room for 64: an error that names the tensor, not the end of the process."""
    files = tiny_model()
    files.config["vocab_size"] = 4_000_000
    files.tensors["embeddings.word_embeddings.weight"] = np.zeros((4_000_000, 16), dtype=np.float32)
    folder = files.write(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", LITTLE_MEMORY, str(folder)], capture_output=True, text=True, timeout=25, check=False
    )
    words = 'model.safetensors: not enough memory for tensor "embeddings.word_embeddings.weight": 256000000 bytes'
    assert (done.returncode, done.stdout.strip()) == (0, f"{folder}/{words}"), done.stderr
