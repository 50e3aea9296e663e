"""Batches of requests that arrive within a few milliseconds of each other."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ..detections import Detections
from ..model_input import Prepared
from .limits import Refused

Detect = Callable[[Sequence[Prepared], int], list[Detections]]


@dataclass(eq=False)
class Waiting:
    """An image that waits for a model, until a time of the event loop's clock."""

    item: Prepared
    until: float
    arrived: float
    answer: asyncio.Future = field(repr=False)


class Batcher:
    """Run images in batches of one padding bucket, in the order of their arrival.

    Args:
        detectors: each runs one batch at a time, in a thread.
        most: images in a batch. Batches are filled up to 1, 2, 4, ... or `most` images, so that
            the model sees few shapes.
        wait: seconds that an image waits for others of its bucket.
        queue: number of images that may wait; more are refused with 429.
        observe: called with the number of images and the seconds of each batch.
    """

    def __init__(
        self,
        detectors: Sequence[Detect],
        most: int = 8,
        wait: float = 0.005,
        queue: int = 64,
        observe: Callable[[int, float], None] = lambda images, seconds: None,
    ) -> None:
        self.most = most
        self.wait = wait
        self.queue = queue
        self.observe = observe
        self.seconds = 0.1  # of an image, as measured lately
        self.running = 0  # batches
        self.waiting: deque[Waiting] = deque()
        self.news = asyncio.Event()
        self.pool = ThreadPoolExecutor(len(detectors), thread_name_prefix="detect")
        self.runners = [asyncio.create_task(self.run(detect)) for detect in detectors]

    def check_room(self, count: int = 1) -> None:
        """Raise `Refused` (429) if `count` more images do not fit into the queue."""
        if len(self.waiting) + count > self.queue:
            seconds = max(1, math.ceil(self.seconds * len(self.waiting)))
            raise Refused(
                429, "Too many images are waiting; try again later.", {"Retry-After": str(seconds)}
            )

    async def detect(self, item: Prepared, until: float) -> Detections:
        """Return the detections in an image.

        Args:
            until: the time of the event loop's clock when the request gives up.

        Raises:
            Refused: the queue is full, or the time is over.
        """
        self.check_room()
        loop = asyncio.get_running_loop()
        entry = Waiting(item, until, loop.time(), loop.create_future())
        self.waiting.append(entry)
        self.news.set()
        try:
            async with asyncio.timeout_at(until):
                return await entry.answer
        except TimeoutError:
            raise Refused(408, "The model was busy for too long; try again later.") from None
        finally:
            with contextlib.suppress(ValueError):
                self.waiting.remove(entry)

    async def run(self, detect: Detect) -> None:
        """Run batches with one detector for ever."""
        loop = asyncio.get_running_loop()
        while True:
            batch = await self.next_batch()
            self.running += 1
            start = time.perf_counter()
            items, size = [entry.item for entry in batch], filled(len(batch), self.most)
            try:
                found = await loop.run_in_executor(self.pool, detect, items, size)
            except Exception as error:  # the answer to each request of the batch
                settle(batch, lambda answer, _, error=error: answer.set_exception(error), batch)
            else:
                seconds = time.perf_counter() - start
                self.seconds += 0.2 * (seconds / len(batch) - self.seconds)
                self.observe(len(batch), seconds)
                settle(batch, asyncio.Future.set_result, found)
            self.running -= 1

    async def next_batch(self) -> list[Waiting]:
        """Wait for images, and take those that share the bucket of the oldest one."""
        loop = asyncio.get_running_loop()
        while True:
            if not self.waiting:
                self.news.clear()
                await self.news.wait()
                continue
            bucket, ready = self.waiting[0].item.bucket, self.waiting[0].arrived + self.wait
            same = [entry for entry in self.waiting if entry.item.bucket == bucket][: self.most]
            if len(same) == self.most or loop.time() >= ready:
                for entry in same:
                    self.waiting.remove(entry)
                return same
            self.news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(ready):
                    await self.news.wait()

    async def close(self) -> None:
        """Answer the images that wait, then stop."""
        while self.waiting or self.running:
            await asyncio.sleep(0.01)
        for runner in self.runners:
            runner.cancel()
        await asyncio.to_thread(self.pool.shutdown)


def settle(batch: Sequence[Waiting], how: Callable, values: Sequence) -> None:
    """Give each request of a batch its answer, if the request still waits."""
    for entry, value in zip(batch, values, strict=True):
        if not entry.answer.done():
            how(entry.answer, value)


def filled(count: int, most: int) -> int:
    """Return the rows of a batch of `count` images: the next power of 2, at most `most`.

    >>> [filled(count, 6) for count in (1, 2, 3, 4, 5, 6)]
    [1, 2, 4, 4, 6, 6]
    """
    return min(most, 1 << (count - 1).bit_length())
