"""The two shared heads: four 3x3 convolutions and an output, applied to every level.

Lin et al. 2017, arXiv 1708.02002, section 4: weights Gaussian with σ = 0.01, and on the last
convolution of the classification head the bias of the prior probability.
"""

import keras
from keras import ops

from ..initializers import PriorProbability
from .norms import normalized


@keras.saving.register_keras_serializable("keras_retinanet")
class Probabilities(keras.layers.Layer):
    """Logits while training, their sigmoid otherwise, so that losses work on logits."""

    def __init__(self, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def call(self, inputs, training=False):
        return inputs if training else ops.sigmoid(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


def _head(prefix, num_anchors, num_values, input_size, feature_size, depth, norm, bias="zeros"):
    """Inputs (B, h, w, F) and raw outputs (B, h·w·A, V) of one head."""
    gaussian = keras.initializers.RandomNormal
    inputs = x = keras.Input((None, None, input_size))
    for i in range(depth):
        name = f"{prefix}_{i}"
        # a norm undoes the small scale of the paper's σ, and its gradient then is too large
        start = gaussian(stddev=0.01) if norm == "none" else "he_normal"
        x = keras.layers.Conv2D(
            feature_size, 3, padding="same", kernel_initializer=start, name=name
        )(x)
        x = keras.layers.ReLU(name=f"{name}_relu")(normalized(x, norm, f"{name}_norm"))
    x = keras.layers.Conv2D(
        num_anchors * num_values,
        3,
        padding="same",
        kernel_initializer=gaussian(stddev=0.01),
        bias_initializer=bias,
        name=prefix,
        dtype="float32",
    )(x)
    return inputs, keras.layers.Reshape((-1, num_values), name=f"{prefix}_rows", dtype="float32")(x)


def default_classification_model(
    num_classes,
    num_anchors,
    pyramid_feature_size=256,
    prior_probability=0.01,
    classification_feature_size=256,
    name="classification_submodel",
    depth=4,
    norm="none",
):
    """Features (B, h, w, F) -> scores (B, h·w·A, K): logits in training, else probabilities."""
    inputs, logits = _head(
        "pyramid_classification",
        num_anchors,
        num_classes,
        pyramid_feature_size,
        classification_feature_size,
        depth,
        norm,
        PriorProbability(prior_probability),
    )
    return keras.Model(
        inputs, Probabilities(name="pyramid_classification_sigmoid")(logits), name=name
    )


def default_regression_model(
    num_values,
    num_anchors,
    pyramid_feature_size=256,
    regression_feature_size=256,
    name="regression_submodel",
    depth=4,
    norm="none",
):
    """Features (B, h, w, F) -> box values (B, h·w·A, V), the same for every class."""
    inputs, values = _head(
        "pyramid_regression",
        num_anchors,
        num_values,
        pyramid_feature_size,
        regression_feature_size,
        depth,
        norm,
    )
    return keras.Model(inputs, values, name=name)


def default_submodels(
    num_classes, num_anchors, feature_size=256, head_size=256, depth=4, norm="none"
):
    """The heads by the names of their outputs: [("regression", ...), ("classification", ...)]."""
    options = {"pyramid_feature_size": feature_size, "depth": depth, "norm": norm}
    regression = default_regression_model(
        4, num_anchors, regression_feature_size=head_size, **options
    )
    classification = default_classification_model(
        num_classes, num_anchors, classification_feature_size=head_size, **options
    )
    return [("regression", regression), ("classification", classification)]
