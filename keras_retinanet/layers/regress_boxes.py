"""Decoding of the regression output into boxes."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from .. import coders
from ..coders import BoxCoder
from ..typing import Shape, Tensor


@keras.saving.register_keras_serializable("keras_retinanet")
class RegressBoxes(keras.layers.Layer):
    """[anchors (B, N, 4), regression (B, N, 4)] -> boxes (B, N, 4), xyxy px.

    `coder` names a box coder (see `keras_retinanet.coders`); the default is the corners coder with
    this `mean` and `std`.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        coder: BoxCoder | str | dict | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        for name, value in (("mean", mean), ("std", std)):
            if value is not None and np.shape(value) != (4,):
                raise ValueError(f"{name} must be four numbers, got {value!r}.")
        arguments = {"mean": mean, "std": std}
        given = {name: value for name, value in arguments.items() if value is not None}
        self.coder = coders.get(coder or {"name": "corners", **given})

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        anchors, regression = (ops.convert_to_tensor(value) for value in inputs)
        return self.coder.decode(anchors, regression, ops)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return (*input_shape[0][:2], 4)

    def get_config(self) -> dict:
        return {**super().get_config(), "coder": self.coder.config}
