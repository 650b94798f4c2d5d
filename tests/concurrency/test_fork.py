"""A forked child goes on with its parent's Encoder.

Its parent's threads do not exist in the child, so none of them may be waited for.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# The watchdog ends a child that hangs, which is the failure this is about, so that its parent does not hang too.
COMMON = """
import os, signal, sys, warnings
import corten
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and later warn of every fork with threads
TEXTS = ["the heart of a patient", "cells", "does insulin help"] * 50

def fork(work):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            work()
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    return child

def wait(child):
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the child ended with status {status}: 14 is the watchdog"

encoder = corten.Encoder(sys.argv[1], threads=2)
"""

AFTER_USE = """
expected = encoder.encode(TEXTS).tobytes()
def work():
    assert encoder.encode(TEXTS).tobytes() == expected
    assert encoder.encode(TEXTS[0]).shape == (16,)
    assert encoder.threads == 2
wait(fork(work))
assert encoder.encode(TEXTS).tobytes() == expected
"""

BEFORE_USE = """
def work():
    assert encoder.encode(TEXTS).shape == (150, 16)
wait(fork(work))
wait(fork(work))
"""

DURING_USE = """
import threading
expected = encoder.encode(TEXTS).tobytes()
stop = threading.Event()
def busy():
    while not stop.is_set():
        encoder.encode(TEXTS)
threads = [threading.Thread(target=busy) for _ in range(4)]
for thread in threads:
    thread.start()
def work():
    assert encoder.encode(TEXTS).tobytes() == expected
for _ in range(5):
    wait(fork(work))
stop.set()
for thread in threads:
    thread.join()
"""

GRANDCHILD = """
expected = encoder.encode(TEXTS).tobytes()
def grandchild():
    assert encoder.encode(TEXTS).tobytes() == expected
def work():
    wait(fork(grandchild))
    grandchild()
    wait(fork(grandchild))
wait(fork(work))
"""

MULTIPROCESSING = """
import multiprocessing
expected = encoder.encode(TEXTS).tobytes()
def work(number):
    return encoder.encode(TEXTS).tobytes() == expected
with multiprocessing.get_context("fork").Pool(3) as pool:
    assert all(pool.map_async(work, range(12)).get(timeout=20))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "program",
    [AFTER_USE, BEFORE_USE, DURING_USE, GRANDCHILD, MULTIPROCESSING],
    ids=["after use", "before use", "during use", "grandchild", "multiprocessing"],
)
def test_fork(tiny_folder: Path, program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMON + program, str(tiny_folder)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
