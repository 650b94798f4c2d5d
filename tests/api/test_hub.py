"""From a hub id to a folder, with huggingface_hub's real client and a hub on this machine.

The client reads its settings at import, so each use of it runs in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import corten
from corten.hub import model_folder
from fake_hub import COMMIT, GATED, FakeHub, fake_hub
from tiny_model import tiny_model

MODEL = "sentence-transformers/tiny"
PROGRAM = """
import sys
import corten
try:
    encoder = corten.Encoder(sys.argv[1], **eval(sys.argv[2]))
    print(encoder.encode("the heart").shape, encoder._folder)
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""


def load(name: str, arguments: str = "{}", **environment: str) -> str:
    """What a new process prints that loads `name`: the shape of a vector, or the error."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "SENTENCE_TRANSFORMERS"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, name, arguments],
        env={**kept, "HF_HUB_DISABLE_TELEMETRY": "1", **environment},
        check=True,
        capture_output=True,
        text=True,
        timeout=25,
    )
    return done.stdout.strip()


@pytest.fixture
def hub(tmp_path: Path) -> object:
    folder = tiny_model().write(tmp_path / "published")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "modeling_tiny.py").write_text("raise SystemExit('code from the hub was run')")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"another format")
    with fake_hub(MODEL, folder) as running:
        yield running


def test_download(hub: FakeHub, tmp_path: Path) -> None:
    """Downloaded once, into the cache folder; only settings, tokenizer and safetensors; then found without the hub."""
    cache = str(tmp_path / "cache")
    online = {"HF_ENDPOINT": hub.address}
    first = load("tiny", repr({"cache_folder": cache}), **online)
    assert first.startswith("(16,) ")
    assert f"models--sentence-transformers--tiny/snapshots/{COMMIT}" in first
    downloaded = set(hub.downloaded)
    assert "model.safetensors" in downloaded
    assert "1_Pooling/config.json" in downloaded
    assert {Path(name).suffix for name in downloaded} <= {".json", ".txt", ".safetensors"}

    hub.downloaded.clear()
    assert load(MODEL, SENTENCE_TRANSFORMERS_HOME=cache, **online) == first
    assert load(MODEL, repr({"cache_folder": cache, "revision": COMMIT}), **online) == first
    assert (
        load(MODEL, repr({"cache_folder": cache, "local_files_only": True}), HF_ENDPOINT="http://127.0.0.1:9") == first
    )
    assert hub.downloaded == []


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "no-such-model",
            {},
            'FileNotFoundError: "sentence-transformers/no-such-model": neither a folder nor a model on the hub '
            "(hint: check the name; a private model needs token=)",
        ),
        (
            "tiny",
            {"revision": "v9"},
            f'FileNotFoundError: "{MODEL}" at revision "v9": the hub\'s model has no such revision',
        ),
        (
            GATED,
            {},
            f'PermissionError: "{GATED}": the hub gives this model only to those who accepted its terms '
            "(hint: accept them, pass token=)",
        ),
        (
            "owner/-not-a-name-",
            {},
            'FileNotFoundError: "owner/-not-a-name-": neither a folder nor a hub id of the form owner/name',
        ),
        (
            "tiny",
            {"local_files_only": True},
            f'FileNotFoundError: "{MODEL}": neither a folder nor in the cache, and local_files_only is set',
        ),
    ],
)
def test_what_the_hub_does_not_have(
    hub: FakeHub, tmp_path: Path, name: str, arguments: dict[str, object], message: str
) -> None:
    said = load(name, repr({"cache_folder": str(tmp_path / "cache"), **arguments}), HF_ENDPOINT=hub.address)
    assert said == message


def test_without_the_hub(tmp_path: Path) -> None:
    said = load("tiny", repr({"cache_folder": str(tmp_path)}), HF_HUB_OFFLINE="1")
    assert said == f'FileNotFoundError: "{MODEL}": neither a folder nor in the cache, and the hub cannot be reached'


def test_a_model_with_nothing_but_a_pickle_is_refused(tmp_path: Path) -> None:
    files = tiny_model()
    folder = files.write(tmp_path / "published")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with fake_hub(MODEL, folder) as hub:
        said = load(MODEL, repr({"cache_folder": str(tmp_path / "cache")}), HF_ENDPOINT=hub.address)
        assert said.startswith("FileNotFoundError: [Errno 2] expected a file, found nothing")
        assert "model.safetensors" in said
        assert "pytorch_model.bin" not in hub.downloaded


@pytest.mark.parametrize("name", ["./nothing", "/no/such/folder", "~/nothing", "a/b/c", "", ".", "nothing/", "a\\b"])
def test_paths_are_not_looked_up_on_the_hub(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if name == ".":
        words = "expected a file, found nothing (hint: a model folder is what model.save_pretrained(path) writes)"
        expected = (words, str(tmp_path / "config.json"))
    else:
        expected = ("no such model folder", name)
    with pytest.raises(FileNotFoundError) as error:
        corten.Encoder(name)
    assert (error.value.strerror, str(error.value.filename)) == expected


def test_a_path_object_is_never_a_hub_id() -> None:
    with pytest.raises(FileNotFoundError, match="no such model folder"):
        corten.Encoder(Path("owner") / "name")


def test_a_file_is_not_a_model(tiny_folder: Path) -> None:
    with pytest.raises(NotADirectoryError, match=r"a model is a folder, found a file: .*model\.safetensors"):
        corten.Encoder(tiny_folder / "model.safetensors")


def test_a_folder_goes_before_the_hub(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_folder.parent)
    assert model_folder(tiny_folder.name) == tiny_folder
    assert corten.Encoder(tiny_folder.name).encode("a").shape == (16,)
