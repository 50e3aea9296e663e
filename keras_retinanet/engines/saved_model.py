"""Run the folder of a SavedModel with TensorFlow, without Keras."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import InputError
from ..typing import StrPath
from ..utils.text import read_text
from .engine import NAMES, Engine, Outputs, Settings, check_precision, damaged, read_info

INFO = os.path.join("assets.extra", "keras_retinanet.json")


class SavedModelEngine(Engine):
    """The signature `serving_default`, which resizes, pads and suppresses in its graph."""

    name = "saved_model"
    resizes = True

    def __init__(self, path: StrPath, loaded: Any) -> None:
        place = os.path.join(path, INFO)
        info = read_info(path, read_text(place) if os.path.isfile(place) else None)
        # an image that has its size already stays as it is, but not if it is padded
        self.info = replace(info, inputs=replace(info.inputs, canvases="own"))
        if "serving_default" not in loaded.signatures:
            raise InputError(f"{path} has no signature serving_default; export the model again.")
        self.loaded = loaded  # the signature does not keep it alive
        self.run = loaded.signatures["serving_default"]

    def __call__(self, images: np.ndarray) -> Outputs:
        found = self.run(images=tf.constant(images, tf.float32))
        return tuple(found[name].numpy() for name in NAMES)


def load(path: StrPath, settings: Settings) -> SavedModelEngine:
    """Load the folder of a SavedModel.

    Raises:
        InputError: if it is damaged, is not an export of this package, or a precision is requested.
    """
    check_precision(path, "saved_model", settings.precision)
    set_threads(settings.threads)
    try:
        loaded = tf.saved_model.load(os.fspath(path))
    except Exception as error:  # several kinds of OpError, OSError and ValueError
        raise damaged(path, "a SavedModel", error) from None
    return SavedModelEngine(path, loaded)


def set_threads(threads: int | None) -> None:
    """Let TensorFlow use some threads, all by default.

    Raises:
        InputError: if TensorFlow is running already with another number of threads.
    """
    if threads is None:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    except RuntimeError:
        raise InputError(
            "TensorFlow runs already; set threads before the first model is loaded."
        ) from None
