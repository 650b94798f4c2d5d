"""Whether other threads get their turn while a call works, which they do not where it holds the GIL."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import pairwise


def longest_pause(work: Callable[[], object]) -> tuple[float, float]:
    """How long `work` takes, and the longest time in which a thread that only counts did not get its turn."""
    stamps: list[float] = []
    done = threading.Event()

    def count() -> None:
        while not done.is_set():
            stamps.append(time.perf_counter())
            time.sleep(0.001)

    counting = threading.Thread(target=count)
    counting.start()
    started = time.perf_counter()
    work()
    ended = time.perf_counter()
    done.set()
    counting.join()
    turns = [started, *(stamp for stamp in stamps if started < stamp < ended), ended]
    return ended - started, max(later - earlier for earlier, later in pairwise(turns))
