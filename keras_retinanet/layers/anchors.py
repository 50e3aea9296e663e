"""The anchors of one pyramid level, inside the graph."""

import keras
from keras import ops

from ..utils.anchors import AnchorParameters, generate_anchors, shift


@keras.saving.register_keras_serializable("keras_retinanet")
class Anchors(keras.layers.Layer):
    """Features (B, h, w, C) -> anchors (B, h·w·A, 4), xyxy px.

    `size` is the side of the square anchor of scale 1, `stride` the distance of places, both px.
    """

    def __init__(self, size, stride, ratios=None, scales=None, **kwargs):
        kwargs.setdefault("dtype", "float32")  # bfloat16 turns 1001.3 into 1000
        super().__init__(**kwargs)
        default = AnchorParameters.default
        self.size = size
        self.stride = stride
        self.ratios = [float(r) for r in (default.ratios if ratios is None else ratios)]
        self.scales = [float(s) for s in (default.scales if scales is None else scales)]

    def call(self, inputs):
        shape = ops.shape(inputs)
        base = generate_anchors(self.size, self.ratios, self.scales)  # (A, 4)
        anchors = shift(shape[1:3], self.stride, base, ops)  # (h·w·A, 4)
        return ops.tile(anchors[None], (shape[0], 1, 1))

    def compute_output_shape(self, input_shape):
        batch, rows, columns = input_shape[:3]
        places = None if rows is None or columns is None else rows * columns
        count = None if places is None else places * len(self.ratios) * len(self.scales)
        return (batch, count, 4)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype="float32")

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "stride": self.stride,
            "ratios": self.ratios,
            "scales": self.scales,
        }
