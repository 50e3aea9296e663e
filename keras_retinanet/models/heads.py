"""The two shared heads: four 3x3 convolutions and an output, applied to every level.

Lin et al. 2017, arXiv 1708.02002, section 4: weights Gaussian with σ = 0.01, and on the last
convolution of the classification head the bias of the prior probability.
"""

import keras
from keras import ops

from .. import coders
from ..initializers import PriorBackground, PriorProbability
from .norms import normalized


@keras.saving.register_keras_serializable("keras_retinanet")
class Probabilities(keras.layers.Layer):
    """Logits while training, probabilities otherwise, so that losses work on logits.

    With `activation="softmax"` the last of K + 1 inputs is the background: the outputs are the K
    logits relative to it while training, and the probabilities of the K classes otherwise.
    """

    def __init__(self, activation="sigmoid", **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if activation not in ACTIVATIONS:
            known = sorted(ACTIVATIONS)
            raise ValueError(f"Expected an activation among {known}. Received: {activation!r}.")
        self.activation = activation

    def call(self, inputs, training=False):
        if self.activation == "softmax":
            inputs = inputs[..., :-1] - inputs[..., -1:]
        return inputs if training else ACTIVATIONS[self.activation](inputs)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] - (self.activation == "softmax"))

    def get_config(self):
        return {**super().get_config(), "activation": self.activation}


def softmax_of_classes(logits):
    """Softmax probabilities of K classes from logits (..., K) relative to the background's."""
    return ops.softmax(ops.pad(logits, [[0, 0]] * (logits.ndim - 1) + [[0, 1]]))[..., :-1]


ACTIVATIONS = {"sigmoid": ops.sigmoid, "softmax": softmax_of_classes}


def _head(prefix, num_anchors, num_values, input_size, feature_size, depth, norm, bias="zeros"):
    """Inputs (B, h, w, F) and raw outputs (B, h·w·A, V) of one head."""
    gaussian = keras.initializers.RandomNormal
    inputs = x = keras.Input((None, None, input_size))
    for i in range(depth):
        name = f"{prefix}_{i}"
        # a norm undoes the small scale of the paper's σ, and its gradient then is too large
        start = gaussian(stddev=0.01) if norm == "none" else "he_normal"
        x = keras.layers.Conv2D(
            feature_size,
            3,
            padding="same",
            use_bias=norm == "none",  # a norm has its own
            kernel_initializer=start,
            name=name,
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
    activation="sigmoid",
):
    """Features (B, h, w, F) -> scores (B, h·w·A, K): logits in training, else probabilities.

    `prior_probability` is what each class starts at, or with `activation="softmax"` all classes
    together; None starts from a bias of 0.
    """
    softmax = activation == "softmax"
    bias = "zeros"
    if prior_probability is not None:
        prior = PriorBackground if softmax else PriorProbability
        bias = prior(prior_probability, num_classes) if softmax else prior(prior_probability)
    inputs, logits = _head(
        "pyramid_classification",
        num_anchors,
        num_classes + softmax,
        pyramid_feature_size,
        classification_feature_size,
        depth,
        norm,
        bias,
    )
    scores = Probabilities(activation, name=f"pyramid_classification_{activation}")(logits)
    return keras.Model(inputs, scores, name=name)


def default_regression_model(
    num_values,
    num_anchors,
    pyramid_feature_size=256,
    regression_feature_size=256,
    name="regression_submodel",
    depth=4,
    norm="none",
    start=0.0,
):
    """Features (B, h, w, F) -> box values (B, h·w·A, V), the same for every class.

    `start` is the bias, the value that training starts from.
    """
    inputs, values = _head(
        "pyramid_regression",
        num_anchors,
        num_values,
        pyramid_feature_size,
        regression_feature_size,
        depth,
        norm,
        keras.initializers.Constant(start),
    )
    return keras.Model(inputs, values, name=name)


def iou_model(num_anchors, feature_size=256, head_size=256, depth=4, norm="none"):
    """Features (B, h, w, F) -> the predicted IoU of each box (B, h·w·A, 1), logits in training."""
    inputs, logits = _head("pyramid_iou", num_anchors, 1, feature_size, head_size, depth, norm)
    return keras.Model(inputs, Probabilities(name="pyramid_iou_sigmoid")(logits), name="iou_model")


def default_submodels(
    num_classes,
    num_anchors,
    feature_size=256,
    head_size=256,
    depth=4,
    norm="none",
    coder="center_size",
    activation="sigmoid",
    prior_probability=0.01,
    iou_branch=False,
):
    """The heads by the names of their outputs: [("regression", ...), ("classification", ...)],
    and ("iou", ...) with an `iou_branch`.
    """
    coder = coders.get(coder)
    options = {"pyramid_feature_size": feature_size, "depth": depth, "norm": norm}
    regression = default_regression_model(
        coder.size, num_anchors, regression_feature_size=head_size, start=coder.start, **options
    )
    classification = default_classification_model(
        num_classes,
        num_anchors,
        prior_probability=prior_probability,
        classification_feature_size=head_size,
        activation=activation,
        **options,
    )
    heads = [("regression", regression), ("classification", classification)]
    if iou_branch:
        heads.append(("iou", iou_model(num_anchors, feature_size, head_size, depth, norm)))
    return heads
