"""What can be said as `device`, to Encoder and to encode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import corten
from corten import _native
from corten.device import device_named

TEXTS = ["the heart", "of a patient"]


class TorchDevice:
    """What a torch.device is to str()."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name


@pytest.mark.parametrize(
    ("device", "name"),
    [
        (None, "auto"),
        ("auto", "auto"),
        ("cpu", "cpu"),
        ("cuda", "cuda:0"),
        ("cuda:0", "cuda:0"),
        ("cuda:12", "cuda:12"),
        (TorchDevice("cuda:1"), "cuda:1"),
        (TorchDevice("cpu"), "cpu"),
    ],
)
def test_names(device: Any, name: str) -> None:
    assert device_named(device) == name


@pytest.mark.parametrize(
    "device",
    [
        *("mps", "", "CPU", "cpu:0", "cuda:", "cuda:-1", "cuda:+1", "cuda:01", "cuda:1 ", "cuda:x", "cuda:\u0661"),
        *(0, True, ["cpu", "cpu"]),
    ],
)
def test_what_is_no_device(tiny: corten.Encoder, tiny_folder: Path, device: Any) -> None:
    message = f'device: expected "cpu", "cuda", "cuda:N" or "auto", found "{device}"'
    for use in (lambda: tiny.encode(TEXTS, device=device), lambda: corten.Encoder(tiny_folder, device=device)):
        with pytest.raises(corten.DeviceError) as error:
            use()
        assert str(error.value) == message


def test_a_device_is_looked_at_before_a_model(tmp_path: Path) -> None:
    """It must not first download one."""
    with pytest.raises(corten.DeviceError):
        corten.Encoder(tmp_path / "nothing", device="cuda:x")


@pytest.mark.parametrize("device", [None, "auto", "cpu"])
def test_encode_on_the_encoders_own_device(tiny_folder: Path, device: str | None) -> None:
    encoder = corten.Encoder(tiny_folder, device="cpu")
    assert encoder.encode(TEXTS, device=device).shape == (2, 16)


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_encode_elsewhere(tiny_folder: Path, device: str) -> None:
    encoder = corten.Encoder(tiny_folder, device="cpu")
    for method in (encoder.encode, encoder.encode_query, encoder.encode_document):
        with pytest.raises(corten.DeviceError) as error:
            method(TEXTS, device=device)
        assert str(error.value) == (
            f'device: this Encoder computes on "cpu", found "{device}" (hint: give the device to Encoder instead)'
        )


def test_the_module_for_the_cpu_has_no_gpu(tiny_folder: Path) -> None:
    """Nothing in Python asks it for one; should anything, it must not compute on the CPU instead."""
    with pytest.raises(corten.DeviceError, match=r"corten-cuda"):
        _native.Encoder(tiny_folder, device="cuda:0")


@pytest.mark.parametrize("device", ["auto", "gpu", 0])
def test_the_native_module_is_given_a_choice_that_was_made(tiny_folder: Path, device: Any) -> None:
    with pytest.raises(corten.DeviceError) as error:
        _native.Encoder(tiny_folder, device=device)
    assert str(error.value) == f'device: expected "cpu", "cuda" or "cuda:N", found {device!r}'
