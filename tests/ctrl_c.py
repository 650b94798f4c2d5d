"""Ctrl-C during a long call, in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Mapping

# A process that a shell started in the background ignores Ctrl-C, and so do its children, unless they say otherwise.
LISTEN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
"""


def seconds_until_interrupted(
    program: str, arguments: list[str], environment: Mapping[str, str] | None = None
) -> float:
    """How long a program goes on after Ctrl-C: the best of three, since on a busy machine it may have to wait.

    The program prints "working" when its long call begins, "interrupted" for the KeyboardInterrupt, and "usable" when
    it has then seen that what was called still works.
    """
    seconds: list[float] = []
    while len(seconds) < 3 and min(seconds, default=1) >= 1:
        seconds.append(interrupt([sys.executable, "-c", LISTEN + program, *arguments], environment))
    return min(seconds)


def interrupt(command: list[str], environment: Mapping[str, str] | None) -> float:
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment and dict(environment)
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        time.sleep(1)  # well into the call
        pressed = time.perf_counter()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        seconds = time.perf_counter() - pressed
        # By the same reader: what it has read ahead, communicate() would not see.
        assert process.stdout.readline() == "usable\n"
        _, errors = process.communicate(timeout=25)
        assert process.returncode == 0, errors
    finally:
        process.kill()
        process.communicate()
    return seconds
