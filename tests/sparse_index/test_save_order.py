"""What a save asks of the system, in which order, seen with strace; and what it makes of a disk that fails."""

from __future__ import annotations

import errno
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import corten

SAVE = """
import sys
import corten

index = corten.SparseIndex.build([{term: 1.0 for term in range(1, 100)} for number in range(1000)])
try:
    index.save(sys.argv[1])
    print("saved")
except OSError as error:
    print(error.errno, error.filename)
"""

CALLS = "openat,write,pwrite64,writev,ftruncate,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat"


def traced(path: Path, *options: str) -> tuple[str, list[str]]:
    """What the child printed, and its calls that name something in the folder of `path`, in order."""
    log = path.parent.parent / "calls"
    command = ["strace", "-f", "-y", "-s", "0", "-e", f"trace={CALLS}", *options, "-o", str(log)]
    if shutil.which("strace") is None or subprocess.run(["strace", "-o", str(log), "true"], check=False).returncode:
        pytest.skip("NOT RUN: strace is not installed, or may not be used")
    done = subprocess.run(
        [*command, sys.executable, "-B", "-c", SAVE, str(path)], capture_output=True, text=True, timeout=25, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split(maxsplit=1)[1] for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    return done.stdout.strip(), [line for line in lines if str(path.parent) in line]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where an index of seven documents lies, alone in its folder."""
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "index"
    corten.SparseIndex.build([{1: 1.0}] * 7).save(path)
    return path


def documents(path: Path) -> int:
    """How many the index has, when nothing lies beside it."""
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    return len(corten.SparseIndex.open(path, verify=True))


def test_the_file_is_on_the_disk_before_it_has_its_name_and_the_name_before_the_call_returns(path: Path) -> None:
    printed, calls = traced(path)
    assert printed == "saved"
    assert documents(path) == 1000
    folder = re.escape(str(path.parent))
    temporary = rf"{folder}/\.index\.saving-\d+-\d+"

    def places(pattern: str) -> list[int]:
        return [place for place, call in enumerate(calls) if re.match(pattern, call)]

    created = places(rf'openat\(.*"{temporary}", O_WRONLY\|O_CREAT\|O_EXCL')
    written = places(rf"(write|pwrite64|writev|ftruncate)\(\d+<{temporary}>")
    synced = places(rf"fsync\(\d+<{temporary}>\) += 0")
    renamed = places(rf'rename(at2?)?\(.*"{temporary}",.*"{re.escape(str(path))}".*\) += 0')
    folder_synced = places(rf"fsync\(\d+<{folder}>\) += 0")
    assert len(created) == len(synced) == len(renamed) == len(folder_synced) == 1, calls
    assert len(written) >= 2
    assert created[0] < written[0]
    assert written[-1] < synced[0] < renamed[0] < folder_synced[0]
    # The old file is neither opened for writing nor taken away.
    assert places(rf'openat\(.*"{re.escape(str(path))}", O_(WRONLY|RDWR)') == []
    assert places(rf'unlink(at)?\(.*"{re.escape(str(path))}"') == []


@pytest.mark.parametrize(
    ("call", "number", "left"),
    [("fsync", 1, 7), ("/^rename", 1, 7), ("fsync", 2, 1000)],
    ids=["the file does not reach the disk", "renaming fails", "the folder does not reach the disk"],
)
def test_a_disk_that_fails(path: Path, call: str, number: int, left: int) -> None:
    """An error of the system, not success; the old file, or the new one once it has the name; nothing beside it."""
    printed, _ = traced(path, "-e", f"inject={call}:error=EIO:when={number}")
    code, name = printed.split(maxsplit=1)
    assert int(code) == errno.EIO
    assert name.startswith(str(path.parent))
    assert documents(path) == left
