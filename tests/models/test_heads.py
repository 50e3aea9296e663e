"""The heads: how they start, what they give, what they share."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.models.heads import (
    Probabilities,
    classification_head,
    default_classification_model,
    default_regression_model,
    default_submodels,
    detector_heads,
    regression_head,
)
from keras_retinanet.parts import Heads

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def classification():
    keras.utils.set_random_seed(0)
    return default_classification_model(3, 2, 16, 0.05, 24)


@pytest.fixture(scope="module")
def regression():
    keras.utils.set_random_seed(0)
    return default_regression_model(4, 2, 16, 24)


@pytest.fixture(scope="module")
def features():
    return np.random.default_rng(0).normal(size=(2, 3, 5, 16)).astype("float32")


def convolutions(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


def test_four_convolutions_and_an_output(classification, regression):
    for model, values in ((classification, 2 * 3), (regression, 2 * 4)):
        assert [layer.filters for layer in convolutions(model)] == [24] * 4 + [values]
        assert model.output_shape == (None, None, values // 2)
    assert classification.name == "classification_submodel"
    assert regression.name == "regression_submodel"


def test_only_the_output_of_the_classification_starts_with_the_prior(classification, regression):
    *hidden, output = convolutions(classification)
    # -log(0.95 / 0.05) = -log 19
    np.testing.assert_allclose(ops.convert_to_numpy(output.bias), -np.log(19), rtol=1e-5)
    for layer in (*hidden, *convolutions(regression)):
        assert not ops.convert_to_numpy(layer.bias).any()


def test_weights_are_gaussian(classification, regression):
    for layer in (*convolutions(classification), *convolutions(regression)):
        kernel = ops.convert_to_numpy(layer.kernel)
        assert abs(kernel.std() - 0.01) < 0.001
        assert abs(kernel.mean()) < 0.001
        assert np.abs(kernel).max() > 0.021  # not truncated


def test_probabilities_in_inference_and_logits_in_training(classification, features):
    probabilities = ops.convert_to_numpy(classification(features))
    logits = ops.convert_to_numpy(classification(features, training=True))
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-logits)), rtol=1e-5)
    np.testing.assert_allclose(probabilities, 0.05, atol=0.01)  # the prior
    assert (logits < 0).all()
    again = classification.predict_on_batch(features)
    np.testing.assert_allclose(again, probabilities, rtol=1e-4)


def test_regression_is_linear_and_the_same_in_training(regression, features):
    values = ops.convert_to_numpy(regression(features))
    np.testing.assert_array_equal(ops.convert_to_numpy(regression(features, training=True)), values)
    assert values.min() < 0 < values.max()


def test_rows_are_ordered_by_place_then_anchor(regression, features):
    # the output convolution's channels at (row, column) are anchor 0's values, then anchor 1's
    values = ops.convert_to_numpy(regression(features))
    assert values.shape == (2, 3 * 5 * 2, 4)
    convolution = keras.Model(regression.inputs[0], convolutions(regression)[-1].output)
    maps = ops.convert_to_numpy(convolution(features))  # (2, 3, 5, 8)
    for row, column, anchor in ((0, 0, 0), (0, 1, 1), (2, 3, 0)):
        place = (row * 5 + column) * 2 + anchor
        expected = maps[:, row, column, anchor * 4 : anchor * 4 + 4]
        np.testing.assert_allclose(values[:, place], expected, rtol=1e-6)


def test_heads_share_nothing():
    (_, regression), (_, classification) = detector_heads(3, 2, 16, Heads(width=24, depth=2))
    ours = {id(variable) for variable in regression.variables}
    assert not ours & {id(variable) for variable in classification.variables}
    assert len(ours) == len(classification.variables) == 3 * 2
    first = [convolutions(model)[0].kernel for model in (regression, classification)]
    assert not np.allclose(*(ops.convert_to_numpy(kernel) for kernel in first))


def test_default_submodels():
    names, models = zip(*default_submodels(3, 2), strict=True)
    assert names == ("regression", "classification")
    assert [model.output_shape[-1] for model in models] == [4, 3]
    for model in models:
        assert model.input_shape == (None, None, None, 256)
        assert [layer.filters for layer in convolutions(model)[:-1]] == [256] * 4


def test_depth_and_norm():
    model = classification_head(3, 2, 16, Heads(depth=1, norm="group"))
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Conv2D") == 2
    assert kinds.count("GroupNormalization") == 1
    assert [layer.use_bias for layer in convolutions(model)] == [False, True]  # the norm has one
    assert len(convolutions(regression_head(4, 2, 16, Heads(depth=0)))) == 1


def test_outputs_are_float32_under_any_policy(features):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        models = [model for _, model in detector_heads(3, 2, 16, Heads(width=8, depth=1))]
    finally:
        keras.config.set_dtype_policy(before)
    for model in models:
        assert convolutions(model)[0].compute_dtype == "bfloat16"
        assert keras.backend.standardize_dtype(model(features).dtype) == "float32"
        assert keras.backend.standardize_dtype(model(features, training=True).dtype) == "float32"


def softmax(logits):
    """Softmax over the last axis in float64."""
    shifted = np.exp(logits.astype("float64") - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


@pytest.fixture(scope="module")
def softmax_head():
    """Three classes, and the background as the fourth of each anchor's values."""
    keras.utils.set_random_seed(0)
    return classification_head(
        3, 2, 16, Heads(width=24, depth=1, activation="softmax", prior_probability=0.05)
    )


@pytest.mark.parametrize("size", [1, 100, 1000])
def test_softmax_over_the_classes_and_the_background(size):
    logits = (np.random.default_rng(1).normal(size=(2, 5, 4)) * size).astype("float32")
    layer = Probabilities("softmax")
    relative = ops.convert_to_numpy(layer(logits, training=True))
    assert relative.shape == (2, 5, 3)
    np.testing.assert_array_equal(relative, logits[..., :3] - logits[..., 3:])
    probabilities = ops.convert_to_numpy(layer(logits))
    assert probabilities.shape == (2, 5, 3)
    np.testing.assert_allclose(probabilities, softmax(logits)[..., :3], rtol=1e-4, atol=1e-6)
    background = softmax(logits)[..., 3]
    np.testing.assert_allclose(probabilities.sum(-1) + background, 1, rtol=1e-5)


def test_softmax_of_one_class_is_the_sigmoid():
    logits = np.random.default_rng(2).normal(size=(2, 5, 2)).astype("float32")
    probabilities = ops.convert_to_numpy(Probabilities("softmax")(logits))
    sigmoid = Probabilities()(logits[..., :1] - logits[..., 1:])
    np.testing.assert_allclose(probabilities, ops.convert_to_numpy(sigmoid), rtol=1e-5)


def test_probabilities_keep_their_activation():
    for activation, values in (("sigmoid", 4), ("softmax", 3)):
        layer = Probabilities(activation, name="scores")
        again = Probabilities.from_config(layer.get_config())
        assert again.activation == activation
        assert again.name == "scores"
        assert again.compute_output_shape((None, None, 4)) == (None, None, values)
        assert layer(keras.Input((None, 4))).shape == (None, None, values)
        none = np.zeros((2, 0, 4), "float32")
        assert ops.convert_to_numpy(layer(none)).shape == (2, 0, values)
    with pytest.raises(ValueError, match="'relu'; known: sigmoid, softmax"):
        Probabilities("relu")


def test_the_softmax_head_has_a_value_more_for_each_anchor(softmax_head):
    *_, output = convolutions(softmax_head)
    assert output.filters == 2 * 4
    assert softmax_head.output_shape == (None, None, 3)
    # 3 classes of 0.05 / 3 each and a background of 0.95: 57 times as probable
    bias = [0, 0, 0, np.log(57)] * 2
    np.testing.assert_allclose(ops.convert_to_numpy(output.bias), bias, rtol=1e-5)


def test_the_softmax_head_in_inference_and_in_training(softmax_head, features):
    probabilities = ops.convert_to_numpy(softmax_head(features))
    logits = ops.convert_to_numpy(softmax_head(features, training=True))
    assert probabilities.shape == logits.shape == (2, 3 * 5 * 2, 3)
    with_background = np.concatenate([logits, np.zeros_like(logits[..., :1])], -1)
    np.testing.assert_allclose(probabilities, softmax(with_background)[..., :3], rtol=1e-5)
    start = ops.convert_to_numpy(softmax_head(features * 0))  # the bias alone
    np.testing.assert_allclose(start, 0.05 / 3, rtol=1e-4)
    np.testing.assert_allclose(start.sum(-1), 0.05, rtol=1e-4)
    again = softmax_head.predict_on_batch(features)
    np.testing.assert_allclose(again, probabilities, rtol=1e-4)


def test_default_submodels_with_a_softmax():
    for probability, start in ((0.1, 0.1), (None, 3 / 4)):  # without prior 4 equal ones
        heads = Heads(width=8, depth=1, activation="softmax", prior_probability=probability)
        (_, regression), (_, model) = detector_heads(3, 2, 16, heads)
        scores = ops.convert_to_numpy(model(np.zeros((1, 2, 2, 16), "float32")))
        np.testing.assert_allclose(scores.sum(-1), start, rtol=1e-4)
        assert regression.output_shape == (None, None, 4)
