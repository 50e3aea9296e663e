"""The heads, which all levels share: 3x3 convolutions and an output.

Lin et al. 2017, arXiv 1708.02002, section 4: weights Gaussian with σ = 0.01, and on the last
convolution of the classification head the bias of the prior probability.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
from keras import ops

from .. import coders
from ..initializers import PriorBackground, PriorProbability
from ..parts import Heads, Pyramid
from ..typing import Shape, Tensor
from .norms import normalized


@keras.saving.register_keras_serializable("keras_retinanet")
class Probabilities(keras.layers.Layer):
    """Logits in training, probabilities otherwise, so that losses work on logits.

    With `activation="softmax"` the last of K + 1 inputs is the background: the outputs are the K
    logits relative to it while training, and the probabilities of the K classes otherwise.
    """

    def __init__(self, activation: str = "sigmoid", **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ValueError(f"Unknown activation {activation!r}; known: {known}.")
        self.activation = activation

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if self.activation == "softmax":
            inputs = inputs[..., :-1] - inputs[..., -1:]
        return inputs if training else ACTIVATIONS[self.activation](inputs)

    def compute_output_shape(self, input_shape: tuple[int, ...]) -> Shape:
        return (*input_shape[:-1], input_shape[-1] - (self.activation == "softmax"))

    def get_config(self) -> dict:
        return {**super().get_config(), "activation": self.activation}


def softmax_of_classes(logits: Tensor) -> Tensor:
    """Return softmax probabilities of K classes from logits (..., K) relative to the background."""
    return ops.softmax(ops.pad(logits, [[0, 0]] * (logits.ndim - 1) + [[0, 1]]))[..., :-1]


ACTIVATIONS = {"sigmoid": ops.sigmoid, "softmax": softmax_of_classes}


def _head(
    prefix: str,
    num_anchors: int,
    num_values: int,
    input_width: int,
    heads: Heads,
    bias: Any = "zeros",
) -> tuple[Tensor, Tensor]:
    """Return the inputs (B, h, w, F) and raw outputs (B, h·w·A, V) of one head."""
    width = input_width if heads.width is None else heads.width
    plain = heads.norm == "none"
    gaussian = partial(keras.initializers.RandomNormal, stddev=0.01)
    inputs = x = keras.Input((None, None, input_width))
    for i in range(heads.depth):
        name = f"{prefix}_{i}"
        x = keras.layers.Conv2D(
            width,
            3,
            padding="same",
            use_bias=plain,  # a norm has its own bias
            # a norm undoes the small scale of the paper's σ, which makes gradients too large
            kernel_initializer=gaussian() if plain else "he_normal",
            name=name,
        )(x)
        x = keras.layers.ReLU(name=f"{name}_relu")(normalized(x, heads.norm, f"{name}_norm"))
    x = keras.layers.Conv2D(
        num_anchors * num_values,
        3,
        padding="same",
        kernel_initializer=gaussian(),
        bias_initializer=bias,
        name=prefix,
    )(x)
    return inputs, keras.layers.Reshape((-1, num_values), name=f"{prefix}_rows", dtype="float32")(x)


def classification_head(
    num_classes: int,
    num_anchors: int,
    input_width: int,
    heads: Heads = Heads(),
    name: str = "classification_submodel",
) -> keras.Model:
    """Return features (B, h, w, F) -> scores (B, h·w·A, K): logits in training, else probabilities.

    K is `num_classes`, A is `num_anchors` at each location and F is `input_width`.
    """
    softmax = heads.activation == "softmax"
    bias = "zeros"
    if heads.prior_probability is not None:
        prior = heads.prior_probability
        bias = PriorBackground(prior, num_classes) if softmax else PriorProbability(prior)
    prefix = "pyramid_classification"
    inputs, logits = _head(prefix, num_anchors, num_classes + softmax, input_width, heads, bias)
    scores = Probabilities(heads.activation, name=f"{prefix}_{heads.activation}")(logits)
    return keras.Model(inputs, scores, name=name)


def regression_head(
    num_values: int,
    num_anchors: int,
    input_width: int,
    heads: Heads = Heads(),
    start: float = 0.0,
    name: str = "regression_submodel",
) -> keras.Model:
    """Return features (B, h, w, F) -> box values (B, h·w·A, V), the same for every class.

    V is `num_values`, the size of the box coder. Before training, all values are near `start`.
    """
    bias = keras.initializers.Constant(start)
    inputs, values = _head("pyramid_regression", num_anchors, num_values, input_width, heads, bias)
    return keras.Model(inputs, values, name=name)


def iou_head(num_anchors: int, input_width: int, heads: Heads = Heads()) -> keras.Model:
    """Return features (B, h, w, F) -> the IoU of each box (B, h·w·A, 1), logits in training."""
    inputs, logits = _head("pyramid_iou", num_anchors, 1, input_width, heads)
    return keras.Model(inputs, Probabilities(name="pyramid_iou_sigmoid")(logits), name="iou_model")


def detector_heads(
    num_classes: int,
    num_anchors: int,
    input_width: int = Pyramid.width,
    heads: Heads = Heads(),
    coder: str | dict = "center_size",
) -> list[tuple[str, keras.Model]]:
    """Return the heads by the names of their outputs: regression, classification, perhaps iou."""
    chosen = coders.get(coder)
    made = [
        ("regression", regression_head(chosen.size, num_anchors, input_width, heads, chosen.start)),
        ("classification", classification_head(num_classes, num_anchors, input_width, heads)),
    ]
    if heads.iou_branch:
        made.append(("iou", iou_head(num_anchors, input_width, heads)))
    return made


# keras-retinanet's names


def default_classification_model(
    num_classes: int,
    num_anchors: int,
    pyramid_feature_size: int = Pyramid.width,
    prior_probability: float | None = Heads.prior_probability,
    classification_feature_size: int = Pyramid.width,
    name: str = "classification_submodel",
) -> keras.Model:
    """Return `classification_head` with these widths."""
    heads = Heads(width=classification_feature_size, prior_probability=prior_probability)
    return classification_head(num_classes, num_anchors, pyramid_feature_size, heads, name)


def default_regression_model(
    num_values: int,
    num_anchors: int,
    pyramid_feature_size: int = Pyramid.width,
    regression_feature_size: int = Pyramid.width,
    name: str = "regression_submodel",
) -> keras.Model:
    """Return `regression_head` with these widths."""
    heads = Heads(width=regression_feature_size)
    return regression_head(num_values, num_anchors, pyramid_feature_size, heads, name=name)


def default_submodels(num_classes: int, num_anchors: int) -> list[tuple[str, keras.Model]]:
    """Return `detector_heads` with all defaults."""
    return detector_heads(num_classes, num_anchors)
