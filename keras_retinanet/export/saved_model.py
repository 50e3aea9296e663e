"""Export to a TensorFlow SavedModel: images of any size in, boxes in their pixels out."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import keras

from ..errors import InputError
from ..layers import Normalize
from ..layers.filter_detections import in_rows
from ..models import RetinaNet
from ..nms import leading
from ..preprocessing.buckets import STRIDE
from ..utils.outputs import filling
from ..utils.resizing import Fit, to_original, within_frame


def export_saved_model(model: RetinaNet, folder: str | os.PathLike) -> None:
    """Write the inference model as a SavedModel that runs without this package.

    Signatures `serving_default` (float32) and `serving_uint8` take `images` (B, H, W, 3), RGB
    0..255, and give `boxes` (B, D, 4) xyxy px of these images, `scores` (B, D) and `labels` (B, D),
    unused rows -1. The graph resizes to the sides that the model stores, by the model's own rule.

    Raises:
        InputError: on another backend than TensorFlow, or if the folder cannot be written.
    """
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"The backend {keras.backend.backend()} cannot write a SavedModel; set "
            "KERAS_BACKEND=tensorflow."
        )
    if os.path.isfile(folder):
        raise InputError(f"{folder} is a file; choose another folder.")
    import tensorflow as tf

    serve = serving_function(model)
    archive = keras.export.ExportArchive()
    archive.track(model)
    for name, dtype in (("serving_default", tf.float32), ("serving_uint8", tf.uint8)):
        images = tf.TensorSpec((None, None, None, 3), dtype, name="images")
        archive.add_endpoint(name, serve, input_signature=[images])
    try:
        with filling(folder) as part:
            archive.write_out(str(part), verbose=False)
    except (OSError, tf.errors.OpError) as error:
        raise InputError(f"{folder} cannot be written: {error}.") from None


def serving_function(model: RetinaNet) -> Callable[[Any], dict]:
    """Return the graph function images (B, H, W, 3) -> {"boxes", "scores", "labels"} of `model`."""
    import tensorflow as tf

    from .resizing import GRAPH, resize

    normalized = model.normalization is not None  # by the model's graph
    prepare = tf.identity if normalized else Normalize(model.preprocessing)
    sides = model.image_min_side, model.image_max_side
    step = STRIDE if model.canvases == "few" else 1

    def serve(images: Any) -> dict:
        height, width = tf.unstack(tf.shape(images)[1:3])
        images, fit = resize(tf.cast(images, tf.float32), model.resize, *sides)
        padded = [-(-side // step) * step for side in fit.frame]
        images = tf.image.pad_to_bounding_box(prepare(images), 0, 0, *padded[::-1])
        boxes, scores, labels = model(images, training=False)[:3]
        boxes, scores, labels = drop_padding(boxes, scores, labels, fit)
        boxes = to_original(boxes, fit, (width, height), GRAPH)  # (B, D, 4)
        boxes = tf.where(labels[..., None] < 0, -1.0, boxes)
        return {"boxes": boxes, "scores": scores, "labels": labels}

    return serve


def drop_padding(boxes: Any, scores: Any, labels: Any, fit: Fit) -> list:
    """Drop detections (B, D, ...) centred beyond the frame; unused rows are -1, at the end."""
    import tensorflow as tf

    from .resizing import GRAPH

    kept = (labels >= 0) & within_frame(boxes, fit, GRAPH)  # (B, D)
    count = kept.shape[1]
    rows = leading(tf.where(kept, tf.range(count), -1), count)  # (B, D)
    return [in_rows(values, rows) for values in (boxes, scores, labels)]
