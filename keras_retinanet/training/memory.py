"""The memory that a training takes."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import keras

STATM = Path("/proc/self/statm")  # of Linux: pages of the process, and those in memory


def memory_in_use() -> int | None:
    """Return the most bytes used on the first accelerator, or without one those of the process.

    None if the system does not say.
    """
    used = _ON_DEVICE[keras.backend.backend()]()
    if used is not None:
        return used
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return None


def _tensorflow() -> int | None:
    import tensorflow as tf

    if not tf.config.list_logical_devices("GPU"):
        return None
    return tf.config.experimental.get_memory_info("GPU:0")["peak"]


def _jax() -> int | None:
    import jax

    return (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


def _torch() -> int | None:
    import torch

    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None


_ON_DEVICE = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
