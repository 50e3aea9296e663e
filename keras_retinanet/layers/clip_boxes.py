"""Clipping of boxes and detections to the image."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from .. import boxes as box_math
from ..nms import leading
from ..typing import Shape, Tensor
from .filter_detections import in_rows


@keras.saving.register_keras_serializable("keras_retinanet")
class ClipBoxes(keras.layers.Layer):
    """[image (B, H, W, C), boxes (B, N, 4)] -> boxes (B, N, 4) within 0..W and 0..H px.

    `margin=1` clips to W - 1 and H - 1, as keras-retinanet's snapshots expect.
    """

    def __init__(self, margin: int = 0, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.margin = margin

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        image, boxes = inputs
        return clipped(image, boxes, self.margin)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return input_shape[1]

    def get_config(self) -> dict:
        return {**super().get_config(), "margin": self.margin}


@keras.saving.register_keras_serializable("keras_retinanet")
class ClipDetections(keras.layers.Layer):
    """[image (B, H, W, C), boxes (B, D, 4), scores (B, D), labels (B, D), *others] -> the same
    without the image: boxes within 0..W and 0..H px, and those without area dropped.

    The other rows move up in order; unused rows are -1. Detectron2 clips after NMS.
    """

    def __init__(self, margin: int = 0, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.margin = margin

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        image, boxes, scores, labels, *others = inputs
        boxes = clipped(image, boxes, self.margin)
        sides = boxes[..., 2:] - boxes[..., :2]  # (B, D, 2)
        kept = ops.logical_and(labels >= 0, ops.all(sides > 0, axis=-1))  # (B, D)
        rows = ops.where(kept, ops.arange(kept.shape[1], dtype="int32"), -1)  # (B, D)
        rows = leading(rows, kept.shape[1])
        return [in_rows(values, rows) for values in (boxes, scores, labels, *others)]

    def compute_output_spec(self, inputs: Sequence[Tensor]) -> list[keras.KerasTensor]:
        return [keras.KerasTensor(value.shape, dtype=value.dtype) for value in inputs[1:]]

    def get_config(self) -> dict:
        return {**super().get_config(), "margin": self.margin}


def clipped(image: Tensor, boxes: Tensor, margin: int) -> Tensor:
    """Clip boxes (B, N, 4) to 0..W - margin and 0..H - margin px of an image (B, H, W, C)."""
    height, width = (ops.cast(side - margin, "float32") for side in ops.shape(image)[1:3])
    return box_math.clip(boxes, width, height, ops)
