"""Training on more than one device."""

import contextlib

from .errors import InputError


def scope(num_gpus=0):
    """A context that places variables on `num_gpus` GPUs of this machine; none for 0 or 1."""
    if num_gpus < 2:
        return contextlib.nullcontext()
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
    return tf.distribute.MirroredStrategy([device.name for device in found[:num_gpus]]).scope()
