"""The anchors of one pyramid level, inside the graph."""

from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from ..typing import Shape, Tensor
from ..utils.anchors import AnchorParameters, shift


@keras.saving.register_keras_serializable("keras_retinanet")
class Anchors(keras.layers.Layer):
    """Features (B, h, w, C) -> anchors (B, h·w·A, 4), xyxy px.

    `size` is the side of the square anchor of scale 1, `stride` the distance between places, both
    px; `offset`, `rounded` and `fitted_strides` as in `AnchorParameters`. With `fitted_strides` the
    layer takes [features, images (B, H, W, ...)].
    """

    def __init__(
        self,
        size: float,
        stride: int,
        ratios: Iterable[float] | None = None,
        scales: Iterable[float] | None = None,
        offset: float = 0.5,
        rounded: bool = False,
        fitted_strides: bool = False,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("dtype", "float32")  # bfloat16 turns 1001.3 into 1000
        super().__init__(**kwargs)
        default = AnchorParameters.default
        self.size = size
        self.stride = stride
        self.ratios = [float(r) for r in (default.ratios if ratios is None else ratios)]
        self.scales = [float(s) for s in (default.scales if scales is None else scales)]
        self.offset = offset
        self.rounded = rounded
        self.fitted_strides = fitted_strides

    def call(self, inputs: Tensor) -> Tensor:
        features, *images = inputs if self.fitted_strides else [inputs]
        batch, *shape = ops.shape(features)[:3]
        image_shape = ops.shape(images[0])[1:3] if images else None
        params = AnchorParameters([self.size], [self.stride], **self._options())
        strides = params.strides_of(self.stride, shape, image_shape)
        base = params.anchors_of(self.size)  # (A, 4)
        anchors = shift(shape, strides, base, ops, self.offset)  # (h·w·A, 4)
        return ops.tile(anchors[None], (batch, 1, 1))

    def compute_output_shape(self, input_shape: Any) -> Shape:
        features = input_shape[0] if self.fitted_strides else input_shape
        batch, rows, columns = features[:3]
        places = None if rows is None or columns is None else rows * columns
        count = None if places is None else places * len(self.ratios) * len(self.scales)
        return (batch, count, 4)

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        shapes = [each.shape for each in inputs] if self.fitted_strides else inputs.shape
        return keras.KerasTensor(self.compute_output_shape(shapes), dtype="float32")

    def _options(self) -> dict:
        names = ("ratios", "scales", "offset", "rounded", "fitted_strides")
        return {name: getattr(self, name) for name in names}

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "size": self.size,
            "stride": self.stride,
            **self._options(),
        }
