"""Choose the GPUs of this process, and train on several of them."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import warnings
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any

from keras_retinanet.errors import InputError


def setup_gpu(gpu_id: int | str) -> None:
    """Use only these GPUs: an int, a string like "0,1", or "cpu" (also -1) for none.

    Call it before the backend starts: it then sets `CUDA_VISIBLE_DEVICES`. If TensorFlow is the
    backend and already imported, its visible devices are set, and it takes memory as needed.

    Raises:
        InputError: if the ids cannot be read, or TensorFlow sees GPUs but not these.
    """
    text = str(gpu_id).strip().lower()
    try:
        wanted = [] if text in ("cpu", "-1") else [int(part) for part in text.split(",")]
    except ValueError:
        wanted = [-1]
    if any(index < 0 for index in wanted):
        raise InputError(f"gpu must be ids such as 0 or 0,1, or cpu, got {gpu_id!r}.")
    tensorflow, keras = sys.modules.get("tensorflow"), sys.modules.get("keras")
    if tensorflow is not None and (keras is None or keras.config.backend() == "tensorflow"):
        restrict_tensorflow(tensorflow, wanted)
    else:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, wanted)) or "-1"
        os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"


def restrict_tensorflow(tensorflow: ModuleType, wanted: list[int]) -> None:
    gpus = tensorflow.config.list_physical_devices("GPU")
    if wanted and not gpus:
        warnings.warn("TensorFlow sees no GPU, so the CPU is used.", stacklevel=3)
        return
    if any(index >= len(gpus) for index in wanted):
        raise InputError(f"GPU ids must be below {len(gpus)}, got {wanted}.")
    try:
        tensorflow.config.set_visible_devices([gpus[index] for index in wanted], "GPU")
        for index in wanted:
            tensorflow.config.experimental.set_memory_growth(gpus[index], True)
    except RuntimeError as error:  # TensorFlow has started its devices
        raise InputError(f"Choose GPUs before TensorFlow uses one. {error}") from error


def scope(num_gpus: int = 0) -> AbstractContextManager:
    """Return a context that places variables on `num_gpus` GPUs; it does nothing for 0 or 1."""
    return contextlib.nullcontext() if num_gpus < 2 else strategy(num_gpus).scope()


@functools.cache  # a model made in one scope is trained in another
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
