"""Compute results ahead of their use."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any


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
