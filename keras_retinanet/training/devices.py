"""The devices that a training divides its batches over."""

from __future__ import annotations

import contextlib
import functools
from contextlib import AbstractContextManager
from typing import Any

import keras

from ..errors import InputError


def scope(devices: int) -> AbstractContextManager:
    """Return a context that places variables on the first `devices` devices and divides the batches
    of `fit` over them; it does nothing for 0 or 1 on a single host.

    On several hosts these are the first devices of each, all of them for 0.
    """
    alone = devices < 2 and hosts_count() == 1
    return contextlib.nullcontext() if alone else distribution(devices).scope()


def hosts_count() -> int:
    """Return the number of hosts that JAX's distributed runtime has joined, else 1."""
    if keras.config.backend() != "jax":
        return 1
    import jax

    return jax.process_count() if jax.distributed.is_initialized() else 1


@functools.cache  # a model made in one scope is trained in another
def distribution(devices: int) -> Any:
    """Return the data parallel distribution of the backend over the first devices.

    Raises:
        InputError: for another backend than JAX or TensorFlow, or fewer devices.
    """
    backend = keras.config.backend()
    if backend == "jax":
        import jax

        found = []
        for host in range(hosts_count()):
            local = [device for device in jax.devices() if device.process_index == host]
            found += first_devices(devices or len(local), local, "JAX")
        return keras.distribution.DataParallel(devices=found, auto_shard_dataset=False)
    if backend != "tensorflow":
        raise InputError(
            f"Training on {devices} devices needs KERAS_BACKEND=jax or tensorflow, not {backend}."
        )
    import tensorflow as tf

    logical = tf.config.list_logical_devices
    names = [device.name for device in logical("GPU") or logical("CPU")]
    return tf.distribute.MirroredStrategy(first_devices(devices, names, "TensorFlow"))


def first_devices(count: int, found: list, backend: str) -> list:
    """Return the first devices of those found; InputError if they are fewer."""
    if len(found) < count:
        raise InputError(f"Cannot train on {count} devices: {backend} finds {len(found)}.")
    return found[:count]


def total(devices: int) -> int:
    """Return the number of devices that share a batch, on all hosts."""
    return max(1, devices) if hosts_count() == 1 else distribution(devices).num_model_replicas


def check_batch(batch_size: int | None, devices: int) -> None:
    """Raise an InputError unless a batch can be divided over the devices."""
    count = total(devices)
    if batch_size and batch_size % count:
        raise InputError(
            f"batch_size ({batch_size}) must be a multiple of the {count} devices that share a "
            "batch."
        )
