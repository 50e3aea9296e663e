"""Compiled programs of JAX, kept from one start of a training to the next."""

from __future__ import annotations

import contextlib
import os

import keras


def keep_compiled() -> None:
    """Let JAX keep compiled programs in the user's cache folder, and find them there again.

    `JAX_COMPILATION_CACHE_DIR` names another folder, and `JAX_ENABLE_COMPILATION_CACHE=false`
    keeps nothing. Other backends have no such cache.
    """
    if keras.config.backend() != "jax":
        return
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    values = jax.config.values
    if values["jax_compilation_cache_dir"] or not values["jax_enable_compilation_cache"]:
        return
    with contextlib.suppress(OSError):  # without a folder, JAX compiles at each start
        os.makedirs(folder := cache_folder(), exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", folder)
        compilation_cache.reset_cache()  # JAX decides at its first compilation if it has a cache


def cache_folder() -> str:
    """Return the folder of this package's compiled programs, in `XDG_CACHE_HOME` or ~/.cache."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(root, "keras_retinanet", "jax")
