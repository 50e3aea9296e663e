"""Training on more than one device."""

import contextlib
import functools

from .errors import InputError


def scope(num_gpus=0):
    """A context that places variables on `num_gpus` GPUs of this machine; none for 0 or 1."""
    return contextlib.nullcontext() if num_gpus < 2 else strategy(num_gpus).scope()


@functools.cache  # what is made in one scope is trained in another
def strategy(num_gpus):
    """The strategy that trains on so many GPUs; InputError where they are not there."""
    import keras

    if keras.backend.backend() != "tensorflow":
        raise InputError(
            "--multi-gpu: expected the TensorFlow backend. Received: "
            f"KERAS_BACKEND={keras.backend.backend()}"
        )
    import tensorflow as tf

    found = tf.config.list_logical_devices("GPU")
    if len(found) < num_gpus:
        raise InputError(f"--multi-gpu: expected {num_gpus} GPUs. Received: {len(found)}")
    return tf.distribute.MirroredStrategy([device.name for device in found[:num_gpus]])
