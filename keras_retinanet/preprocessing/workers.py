"""Worker processes that make batches and hand them over in shared memory."""

import contextlib
import multiprocessing
import os
import queue
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.shared_memory import SharedMemory

import numpy as np

from ..errors import InputError

_batches = None  # of this worker
_slots = {}  # name: SharedMemory, that this worker has opened


@contextlib.contextmanager
def worker_processes(batches, workers, ahead):
    """A function that makes the batch of a step, `batches.batch_at(step)`, in a worker process.

    It may be called from `ahead` threads at once. `batches` is a `Batches`, which is sent to each
    worker once. What a worker leaves out of its batches is left out of `batches` too.
    """
    size = largest(batches)
    slots = [SharedMemory(create=True, size=size) for _ in range(ahead)]
    free = queue.SimpleQueue()
    for slot in slots:
        free.put(slot)
    pool = ProcessPoolExecutor(
        workers,
        # a fork would copy the backend's locks in whatever state they are
        multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(batches,),
    )

    def make(step):
        slot = free.get()
        try:
            layout, unreadable = pool.submit(_make, step, slot.name).result()
            for index, reason in unreadable.items():
                batches.leave_out(index, InputError(reason))
            return _taken(slot, layout)
        except BrokenProcessPool:
            raise InputError(
                "Expected worker processes to last. Received: the end of one of them, perhaps for "
                "want of memory; fewer --workers need less"
            ) from None
        finally:
            free.put(slot)

    try:
        yield make
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for slot in slots:
            slot.close()
            slot.unlink()


def largest(batches):
    """The size in bytes of the largest batch."""
    sides = batches.multi_scale or (None,)
    canvases = [canvas for side in sides for canvas in batches.canvas_sizes(side)]
    wide, high = (max(lengths) for lengths in zip(*canvases, strict=True))  # groups may mix them
    pixels, anchors = wide * high, len(batches.generate_anchors((high, wide)))
    return batches.batch_size * (3 * pixels + 4 * anchors + 20 * batches.most_boxes() + 256)


def room():
    """The bytes of shared memory that are free, None where that is not known."""
    try:
        disk = os.statvfs("/dev/shm")
    except (AttributeError, OSError):
        return None
    return disk.f_bavail * disk.f_frsize


def _start(batches):
    global _batches
    import cv2

    cv2.setNumThreads(0)
    _batches = batches


def _make(step, name):
    """Writes the batch of a step into the shared memory of that name: its layout, and what was left
    out of it.
    """
    known = set(_batches.unreadable)
    images, targets = _batches.batch_at(step)
    if name not in _slots:
        _slots[name] = SharedMemory(name=name)
    layout, start = [], 0
    for key, array in {"images": images, **targets}.items():
        layout.append((key, array.dtype.str, array.shape, start))
        np.ndarray(array.shape, array.dtype, _slots[name].buf, start)[...] = array
        start += -(-array.nbytes // 64) * 64
    unreadable = {i: why for i, why in _batches.unreadable.items() if i not in known}
    return layout, unreadable


def _taken(slot, layout):
    """The batch (images, targets) in a slot, as arrays of its own."""
    arrays = {
        key: np.ndarray(shape, dtype, slot.buf, start).copy() for key, dtype, shape, start in layout
    }
    return arrays.pop("images"), arrays
