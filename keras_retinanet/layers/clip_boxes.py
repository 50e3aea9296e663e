"""Clipping of boxes to the image."""

import keras
from keras import ops

from .. import boxes as box_math


@keras.saving.register_keras_serializable("keras_retinanet")
class ClipBoxes(keras.layers.Layer):
    """[image (B, H, W, C), boxes (B, N, 4)] -> boxes (B, N, 4) within 0..W and 0..H px.

    `margin=1` clips to W - 1 and H - 1, as keras-retinanet's snapshots expect.
    """

    def __init__(self, margin=0, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.margin = margin

    def call(self, inputs):
        image, boxes = inputs
        height, width = ops.shape(image)[1:3]
        limits = [ops.cast(side - self.margin, "float32") for side in (width, height)]
        return box_math.clip(boxes, *limits, ops)

    def compute_output_shape(self, input_shape):
        return input_shape[1]

    def get_config(self):
        return {**super().get_config(), "margin": self.margin}
