"""Batches made ahead of the one who asks for them."""

import contextlib
import functools
import itertools
import warnings
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from ..errors import InputError
from .workers import largest, room, worker_processes


def prefetch(function, items, workers=1, ahead=10):
    """`function(item)` for each of `items`, in order; threads keep up to `ahead` results ready."""
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


def feed(generator, start=0, workers=1, ahead=10, processes=False):
    """The generator's batches from step `start` on, without end, as `fit` takes them.

    On TensorFlow Keras fixes the shapes of a PyDataset from its first two batches, so there it is
    a `tf.data.Dataset` that leaves height, width and the number of anchors open. An InputError is
    kept in `generator.failure`.

    Args:
        workers: threads, or with `processes` worker processes, that make batches.
        ahead: how many batches are kept ready.
    """
    import keras  # here, for whoever wants `prefetch` alone

    source = _in_processes(generator, workers, ahead) if processes else None

    def batches():
        try:
            with source() if source else contextlib.nullcontext(generator.batch_at) as make:
                threads = ahead if source else workers
                yield from prefetch(make, itertools.count(start), threads, ahead)
        except InputError as error:
            generator.failure = error
            raise

    if keras.backend.backend() != "tensorflow":
        return batches()
    import tensorflow as tf

    size, most = generator.batch_size, generator.most_boxes()
    raw = generator.preprocess_image is None
    signature = (
        tf.TensorSpec((size, None, None, 3), tf.uint8 if raw else tf.float32),
        {
            "boxes": tf.TensorSpec((size, most, 4), tf.float32),
            "labels": tf.TensorSpec((size, most), tf.int32),
            "matches": tf.TensorSpec((size, None), tf.int32),
        },
    )
    return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(2)


def _in_processes(generator, workers, ahead):
    """What starts the `worker_processes` of a generator; None, with a warning, where threads have
    to do.
    """
    batches = generator.without_keras()
    if batches is None:
        reason = "a generator with methods or functions of its own"
    elif room() is not None and largest(batches) * ahead > room():
        reason = f"{room() >> 20} MB of shared memory for {ahead} batches ahead"
    else:
        return functools.partial(worker_processes, batches, max(1, workers), ahead)
    warnings.warn(
        f"Loading in threads, for processes cannot do with {reason}.", UserWarning, stacklevel=3
    )
    return None
