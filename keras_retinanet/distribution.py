"""Training on more than one device."""

import contextlib
import functools
from contextlib import AbstractContextManager
from typing import Any

from .errors import InputError


def scope(num_gpus: int = 0) -> AbstractContextManager:
    """Return a context that places variables on `num_gpus` GPUs; it does nothing for 0 or 1."""
    return contextlib.nullcontext() if num_gpus < 2 else strategy(num_gpus).scope()


@functools.cache  # what is made in one scope is trained in another
def strategy(num_gpus: int) -> Any:
    """Return the strategy that trains on `num_gpus` GPUs of this machine.

    Raises:
        InputError: for another backend than TensorFlow, or fewer GPUs.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"Training on {num_gpus} GPUs needs KERAS_BACKEND=tensorflow, "
            f"not {keras.backend.backend()}."
        )
    import tensorflow as tf

    found = tf.config.list_logical_devices("GPU")
    if len(found) < num_gpus:
        raise InputError(f"Cannot train on {num_gpus} GPUs: TensorFlow finds {len(found)}.")
    return tf.distribute.MirroredStrategy([device.name for device in found[:num_gpus]])
