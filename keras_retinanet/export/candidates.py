"""The graph in the file of every runtime: images in, candidates out, before NMS."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import keras

from ..errors import InputError
from ..model_info import ModelInfo
from ..models import RetinaNet
from ..models.inference import candidates_model
from ..parts import PostProcess
from .formats import Target

OUTPUTS = ("boxes", "scores", "labels")


def check_backend(what: str) -> None:
    """Raise an InputError unless Keras runs on TensorFlow: every export starts from its graphs."""
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"The backend {keras.backend.backend()} cannot write {what}; set "
            "KERAS_BACKEND=tensorflow."
        )


def check_installed(package: str, extra: str, what: str) -> None:
    """Raise an InputError that names the extra unless an optional package is installed."""
    if importlib.util.find_spec(package) is None:
        raise InputError(f"{what} needs {package}: pip install 'keras-retinanet[{extra}]'.")


def candidates_info(model: RetinaNet, target: Target = Target()) -> ModelInfo:
    """Return the facts of an export of an inference model."""
    batch = None if target.size is None and not target.nms else 1
    return replace(
        ModelInfo.of(model),
        outputs="detections" if target.nms else "candidates",
        precision=target.precision,
        size=target.size,
        batch=batch,
    )


def candidates_function(model: RetinaNet, size: tuple[int, int] | None = None) -> Any:
    """Return `candidates_model` as a `tf.function` -> {"boxes", "scores", "labels"}.

    Args:
        model: an inference model.
        size: (width, height) px of the images (1, H, W, 3); None for any size and batch.
    """
    import tensorflow as tf

    graph = candidates_model(model)
    shape = (None, None, None, 3) if size is None else (1, size[1], size[0], 3)

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="images")])
    def candidates(images: Any) -> dict:
        boxes, scores, labels = graph(images, training=False)
        return {"boxes": boxes, "scores": scores, "labels": tf.cast(labels, tf.int32)}

    candidates.graph = graph  # keeps its variables alive
    return candidates


def detections_function(model: RetinaNet, size: tuple[int, int] | None = None) -> Any:
    """Return `candidates_function` for one image, followed by the hard NMS of the runtime.

    The outputs are boxes (1, D, 4), scores (1, D) and labels (1, D); unused rows are -1.

    Raises:
        InputError: if the model clips its boxes after NMS.
    """
    import tensorflow as tf

    postprocess = PostProcess(**model.detection)
    if postprocess.clip == "after":
        raise InputError("A model that clips its boxes after NMS cannot have NMS in its graph.")
    candidates = candidates_function(model, size)
    (spec,) = candidates.input_signature
    image = tf.TensorSpec([1, *spec.shape[1:]], spec.dtype, name="images")

    @tf.function(input_signature=[image])
    def detections(images: Any) -> dict:
        found = candidates(images)
        boxes, scores, labels = (found[name][0] for name in OUTPUTS)  # (C, 4), (C,), (C,)
        apart = boxes
        if postprocess.class_specific_filter:  # boxes of two classes never overlap
            apart += tf.cast(labels, boxes.dtype)[:, None] * (tf.reduce_max(boxes) + 1)
        rows, count = tf.raw_ops.NonMaxSuppressionV4(
            boxes=apart,
            scores=scores,
            max_output_size=postprocess.max_detections,
            iou_threshold=postprocess.nms_threshold,
            score_threshold=postprocess.score_threshold,
            pad_to_max_output_size=True,
        )
        used = tf.range(postprocess.max_detections) < count  # (D,)
        return {
            "boxes": tf.where(used[:, None], tf.gather(boxes, rows), -1.0)[None],
            "scores": tf.where(used, tf.gather(scores, rows), -1.0)[None],
            "labels": tf.where(used, tf.gather(labels, rows), -1)[None],
        }

    return detections


def function_of(model: RetinaNet, target: Target) -> Any:
    """Return the `tf.function` to export."""
    return (detections_function if target.nms else candidates_function)(model, target.size)


def frozen(function: Any) -> Any:
    """Return a `tf.function` of `images` with its variables turned into constants.

    Runtimes fold constants: a convolution, its batch norm and its activation become one operation.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    concrete = function.get_concrete_function()
    constant = convert_variables_to_constants_v2(concrete, lower_control_flow=False)

    @tf.function(input_signature=function.input_signature)
    def run(images: Any) -> Any:
        return tf.nest.pack_sequence_as(concrete.structured_outputs, constant(images))

    return run


@contextlib.contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """Show only the errors of these loggers."""
    held = [(logging.getLogger(name), logging.getLogger(name).level) for name in loggers]
    for logger, _ in held:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in held:
            logger.setLevel(level)
