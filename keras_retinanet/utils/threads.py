"""Calls in threads: all results at once, or as a stream made ahead of its use."""

import itertools
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: "microseconds period", or "max period"


def usable_threads() -> int:
    """Return the number of processors that this process may use, at least 1.

    It counts those that the scheduler gives the process, and a container's quota of time.
    """
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        count = os.cpu_count() or 1
    try:
        quota, period = map(int, QUOTA.read_text().split())
    except (OSError, ValueError):
        return count
    return max(1, min(count, math.ceil(quota / period)))


def in_threads(call: Callable, items: Iterable, bar: Callable[[Iterable], Iterable] = iter) -> list:
    """Return the results of a call that waits for files, in the order of the items.

    `bar` wraps the results to show the progress. An error or Ctrl-C drops what has not begun.
    """
    pool = ThreadPoolExecutor()
    try:
        return list(bar(pool.map(call, items)))
    finally:
        pool.shutdown(cancel_futures=True)


def prefetch(
    function: Callable, items: Iterable, workers: int = 1, ahead: int = 10
) -> Iterator[Any]:
    """Yield `function(item)` for each of `items`, in order; threads keep `ahead` results ready."""
    items = iter(items)
    with ThreadPoolExecutor(max(1, workers)) as pool:
        ready = deque(pool.submit(function, item) for item in itertools.islice(items, ahead))
        try:
            while ready:
                result = ready.popleft().result()
                ready.extend(pool.submit(function, item) for item in itertools.islice(items, 1))
                yield result
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
