"""Files that are damaged, and saves that fail or are killed: a clear error and the old file, never a crash."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import corten
from shared_files import REPOSITORY
from sparse_reference import small_index

# What may be wrong with a file never ends the process; a child of its own makes a crash the failure of one test.
DAMAGE = """
import sys
from pathlib import Path
import corten

path, change, reads = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
good = path.read_bytes()
bad = path.with_name("bad")

def use(index):
    for exact in (True, False):
        for queries in ({1: 1.0, 2: 1.0, 30: 0.5}, [{term: 1.0} for term in range(40)]):
            ids, scores = index.search(queries, k=7, exact=exact)
            assert ids.shape == scores.shape
    index.search({1: 1.0}, filter=["document 3", "document 50"])
    for id in ("document 3", "document 50", "new", "none"):
        id in index
        index.get(id)
    index.ids(), index.stats(), len(index)

refused = 0
for position in range(len(good)):
    if change == "cut":
        data = good[:position]
    else:
        data = bytearray(good)
        data[position] ^= 1 << position % 8 if change == "flip" else 0xFF
    # A new file each time: one that is mapped is not changed in place.
    bad.unlink(missing_ok=True)
    bad.write_bytes(data)
    print(position, file=sys.stderr)
    try:
        index = corten.SparseIndex.open(bad, mmap=reads != "read", verify=reads == "verify")
    except corten.IndexFileError as error:
        message = str(error)
        assert message.startswith(f"{bad}: "), message
        assert ": expected " in message and ", found " in message, message
        refused += 1
        continue
    assert change != "cut", f"{position} of {len(good)} bytes are taken for a whole file"
    assert reads != "verify", f"the change of byte {position} is not noticed"
    try:
        use(index)
    except (corten.IndexFileError, KeyError):
        pass
print(refused, len(good))
"""


@pytest.fixture(scope="module")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "index"
    small_index().save(path)
    return path


@pytest.mark.timeout(200)
@pytest.mark.parametrize(
    ("change", "reads"),
    [
        ("cut", "mmap"),
        ("cut", "read"),
        ("cut", "verify"),
        ("flip", "mmap"),
        ("flip", "read"),
        ("flip", "verify"),
        ("invert", "mmap"),
    ],
)
def test_damage_of_every_byte(small_file: Path, tmp_path: Path, change: str, reads: str) -> None:
    path = tmp_path / "index"
    path.write_bytes(small_file.read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", DAMAGE, str(path), change, reads],
        capture_output=True,
        text=True,
        timeout=190,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    refused, size = map(int, done.stdout.split())
    assert size < 50_000
    if change == "cut" or reads == "verify":
        assert refused == size


def test_bytes_after_the_end_are_refused(small_file: Path, tmp_path: Path) -> None:
    (tmp_path / "index").write_bytes(small_file.read_bytes() + b"\0")
    for mmap in (True, False):
        with pytest.raises(corten.IndexFileError):
            corten.SparseIndex.open(tmp_path / "index", mmap=mmap)


NO_INDEX: list[tuple[str, bytes]] = [
    ("an empty file", b""),
    ("zeros", bytes(4096)),
    ("ones", b"\xff" * 4096),
    ("a text", b"the heart of a patient\n" * 300),
    ("a pickle", b"\x80\x04\x95" + bytes(100)),
    ("a zip", b"PK\x03\x04" + bytes(100)),
]


@pytest.mark.parametrize(("name", "data"), NO_INDEX, ids=[name for name, _ in NO_INDEX])
def test_other_files(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    for mmap in (True, False):
        with pytest.raises(corten.IndexFileError, match=f"^{re.escape(str(path))}: [a-z ]+: expected .+, found ."):
            corten.SparseIndex.open(path, mmap=mmap)


@contextmanager
def without_rights() -> Iterator[None]:
    """Root may write everywhere: for a while this process is somebody else."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that others may enter, with an index."""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    folder = tmp_path / "folder"
    folder.mkdir()
    corten.SparseIndex.build([{1: 1.0}] * 7).save(folder / "index")
    (folder / "index").chmod(0o644)
    yield folder
    folder.chmod(0o755)


def still_there(path: Path) -> None:
    """The old file is as it was, and nothing lies beside it."""
    assert len(corten.SparseIndex.open(path, verify=True)) == 7
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="this system has no users of this kind")
def test_a_read_only_folder(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    index = corten.SparseIndex.build([{1: 1.0}])
    with without_rights(), pytest.raises(PermissionError) as error:
        index.save(open_folder / "index")
    assert error.value.errno == errno.EACCES
    assert str(open_folder) in str(error.value.filename)
    open_folder.chmod(0o755)
    still_there(open_folder / "index")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="this system has no users of this kind")
def test_a_file_that_may_not_be_read(open_folder: Path) -> None:
    (open_folder / "index").chmod(0)
    with without_rights(), pytest.raises(PermissionError) as error:
        corten.SparseIndex.open(open_folder / "index")
    assert error.value.filename == str(open_folder / "index")


def test_paths_that_cannot_be_written(open_folder: Path) -> None:
    index = corten.SparseIndex.build([{1: 1.0}])
    with pytest.raises(FileNotFoundError):
        index.save(open_folder / "no" / "folder")
    with pytest.raises(NotADirectoryError):
        index.save(open_folder / "index" / "file")
    with pytest.raises(OSError, match=re.escape("File name too long")):
        index.save(open_folder / ("x" * 300))
    with pytest.raises(ValueError, match=re.escape("\0") + "|nul|NUL"):
        index.save("a\0b")
    still_there(open_folder / "index")
    with pytest.raises(OSError, match=re.escape(str(open_folder))):
        index.save(open_folder)
    still_there(open_folder / "index")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_only_a_file_is_replaced(tmp_path: Path) -> None:
    """Or saving to a device would replace the device."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=re.escape(str(tmp_path / "pipe"))):
        corten.SparseIndex.build([{1: 1.0}]).save(tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()
    assert [entry.name for entry in tmp_path.iterdir()] == ["pipe"]


TOO_SMALL = """
import errno, resource, sys
from pathlib import Path
import corten

path = Path(sys.argv[1])
index = corten.SparseIndex.build([{term: 1.0 for term in range(number % 50, 100)} for number in range(500)])
index.save(path.with_name("whole"))
size = path.with_name("whole").stat().st_size
path.with_name("whole").unlink()
# Python ignores the signal that comes with this limit, so that writing beyond it is an error as on a full disk.
for limit in [0, 1, 100, *range(4096, size, max(4096, size // 20)), size - 1]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        index.save(path)
        raise AssertionError(f"{size} bytes in a file of {limit}")
    except OSError as error:
        assert error.errno == errno.EFBIG, error
        assert str(path.parent) in str(error.filename), error
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert len(corten.SparseIndex.open(path, verify=True)) == 7
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
index.save(path)
assert len(corten.SparseIndex.open(path, verify=True)) == 500
"""


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no such limits")
def test_a_limit_of_the_file_size_at_many_places(open_folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TOO_SMALL, str(open_folder / "index")],
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )
    assert done.returncode == 0, done.stderr


FULL = """
import errno, sys
from pathlib import Path
import corten

path = Path(sys.argv[1]) / "index"
corten.SparseIndex.build([{1: 1.0}] * 7).save(path)
index = corten.SparseIndex.build([{term: 1.0 for term in range(100)} for number in range(5000)])
try:
    index.save(path)
    raise AssertionError("more than the disk holds")
except OSError as error:
    assert error.errno == errno.ENOSPC, error
assert len(corten.SparseIndex.open(path, verify=True)) == 7
assert [entry.name for entry in path.parent.iterdir()] == [path.name]
print("full")
"""


def test_a_full_disk(tmp_path: Path) -> None:
    """A disk of 256 KiB in memory, mounted where only the child sees it."""
    mounted = 'mount -t tmpfs -o size=256k tmpfs "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounted, "sh", str(tmp_path)]
    try:
        subprocess.run([*command, "true", ""], check=True, capture_output=True, timeout=25)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("NOT RUN: this system lets nobody mount a disk of their own")
    done = subprocess.run([*command, sys.executable, FULL], capture_output=True, text=True, timeout=25, check=False)
    assert (done.returncode, done.stdout) == (0, "full\n"), done.stderr


KILLED = """
import os, random, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import numpy as np
import corten
from sparse_reference import random_rows

path, rounds = Path(sys.argv[1]) / "index", int(sys.argv[3])
random.seed(1)
rng = np.random.default_rng(1)
indexes = [corten.SparseIndex.build(random_rows(rng, count, 500, "learned", mean=60)) for count in (3000, 4000)]
counts = [len(index) for index in indexes]
indexes[0].save(path)
started = time.perf_counter()
for index in indexes:
    index.save(path)
one_save = (time.perf_counter() - started) / 2

seen = [0, 0]
for number in range(rounds):
    child = os.fork()
    if child == 0:
        while True:
            for index in indexes:
                index.save(path)
    time.sleep(random.uniform(0, 3 * one_save))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    seen[counts.index(len(corten.SparseIndex.open(path, verify=True)))] += 1
indexes[0].save(path)
assert len(corten.SparseIndex.open(path, verify=True)) == counts[0]
print(*seen)
"""


@pytest.mark.timeout(200)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_killed_while_saving(tmp_path: Path) -> None:
    """A child saves two indexes in turn and is killed, 200 times: the file is one of them, and can be replaced."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path), str(REPOSITORY / "tests"), "200"],
        capture_output=True,
        text=True,
        timeout=190,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = map(int, done.stdout.split())
    assert first + second == 200
    assert min(first, second) > 20, "the kills came at too few different moments"
