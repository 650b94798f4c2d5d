"""What a spoiled folder is refused with."""

from __future__ import annotations

from pathlib import Path

import pytest

import corten


def refused(folder: Path) -> str:
    """The words of the ModelFileError for a folder, after the folder's own path, which every message begins with."""
    with pytest.raises(corten.ModelFileError) as error:
        corten.Encoder(folder)
    message = str(error.value)
    assert message.startswith(str(folder)), message
    assert "panick" not in message
    return message.removeprefix(str(folder)).removeprefix("/").replace(f"{folder}/", "")


def not_found(folder: Path) -> tuple[str, str]:
    """The words of the FileNotFoundError for a folder, and the file it names, relative to the folder."""
    with pytest.raises(FileNotFoundError) as error:
        corten.Encoder(folder)
    return str(error.value.strerror), str(Path(error.value.filename).relative_to(folder))
