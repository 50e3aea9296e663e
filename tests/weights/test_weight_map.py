"""Weight maps of single layers against formulas in NumPy, and what the checked copy refuses."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from keras_retinanet.errors import InputError
from keras_retinanet.weights import weight_map

from . import reference

pytestmark = pytest.mark.core


def filled(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype("float32")


def model_of(*layers, shape=(5, 6, 4)):
    return keras.Sequential([keras.Input(shape), *layers], name="net")


def output(model, images):
    """(B, C, H, W) of a model for images (B, C, H, W)."""
    images = keras.ops.convert_to_tensor(images.transpose(0, 2, 3, 1))
    return keras.ops.convert_to_numpy(model(images, training=False)).transpose(0, 3, 1, 2)


def grouped(x, weight, bias, groups):
    """A convolution of each group of channels alone, and the results side by side."""
    parts = [np.split(value, groups, axis) for value, axis in ((x, 1), (weight, 0), (bias, 0))]
    return np.concatenate(
        [reference.conv2d(*part, padding=1) for part in zip(*parts, strict=True)], axis=1
    )


def test_convolution():
    layer = keras.layers.Conv2D(7, 3, padding="same")
    model, tensors = model_of(layer), {"a.weight": filled(7, 4, 3, 3), "a.bias": filled(7)}
    weight_map.copy("a.pth", tensors, model, weight_map.conv("a", layer))
    x = filled(2, 4, 5, 6)
    assert_allclose(output(model, x), reference.conv2d(x, *tensors.values(), padding=1), atol=1e-5)


def test_convolution_in_groups():
    layer = keras.layers.Conv2D(6, 3, padding="same", groups=2)
    model, tensors = model_of(layer), {"a.weight": filled(6, 2, 3, 3), "a.bias": filled(6)}
    weight_map.copy("a.pth", tensors, model, weight_map.conv("a", layer))
    x = filled(2, 4, 5, 6)
    assert_allclose(output(model, x), grouped(x, *tensors.values(), groups=2), atol=1e-5)


@pytest.mark.parametrize("multiplier", [1, 3])
def test_depthwise_convolution(multiplier):
    layer = keras.layers.DepthwiseConv2D(3, padding="same", depth_multiplier=multiplier)
    model = model_of(layer)
    tensors = {"a.weight": filled(4 * multiplier, 1, 3, 3), "a.bias": filled(4 * multiplier)}
    weight_map.copy("a.pth", tensors, model, weight_map.conv("a", layer))
    x = filled(2, 4, 5, 6)
    assert_allclose(output(model, x), grouped(x, *tensors.values(), groups=4), atol=1e-5)


def test_linear_layer():
    layer = keras.layers.Dense(3)
    model, tensors = model_of(layer, shape=(4,)), {"a.weight": filled(3, 4), "a.bias": filled(3)}
    weight_map.copy("a.pth", tensors, model, weight_map.conv("a", layer))
    x = filled(2, 4)
    y = keras.ops.convert_to_numpy(model(x))
    assert_allclose(y, x @ tensors["a.weight"].T + tensors["a.bias"], atol=1e-6)


def test_the_order_of_channels():
    layer = keras.layers.Conv2D(3, 1)
    model, tensors = model_of(layer), {"a.weight": filled(3, 4, 1, 1), "a.bias": filled(3)}
    weight_map.copy("a.pth", tensors, model, weight_map.conv("a", layer, order=[2, 0, 1]))
    x = filled(2, 4, 5, 6)
    assert_allclose(
        output(model, x), reference.conv2d(x, *tensors.values())[:, [2, 0, 1]], atol=1e-6
    )


def test_batch_norm():
    layer = keras.layers.BatchNormalization(epsilon=1e-5)
    parts = ("weight", "bias", "running_mean", "running_var")
    tensors = {f"a.{part}": np.abs(filled(4)) + i for i, part in enumerate(parts)}
    model = model_of(layer)
    weight_map.copy("a.pth", tensors, model, weight_map.norm("a", layer))
    x = filled(2, 4, 5, 6)
    assert_allclose(output(model, x), reference.batch_norm(x, tensors, "a", 1e-5), atol=1e-5)


def test_group_norm():
    layer = keras.layers.GroupNormalization(2, epsilon=1e-5)
    model, tensors = model_of(layer), {"a.weight": filled(4), "a.bias": filled(4) + 1}
    weight_map.copy("a.pth", tensors, model, weight_map.norm("a", layer))
    x = filled(2, 4, 5, 6)
    assert_allclose(output(model, x), reference.group_norm(x, *tensors.values(), 2), atol=1e-5)


@pytest.mark.parametrize(
    ("ours", "theirs"), [((), ()), ((), (1,)), ((3,), (3,)), ((3,), (3, 1, 1)), ((1,), (1, 1, 1))]
)
def test_factors(ours, theirs):
    model = keras.Sequential(name="net")
    factor = model.add_weight(shape=ours, name="factor")
    values = np.arange(1, 4, dtype="float32")[: np.prod(theirs, dtype=int)].reshape(theirs)
    weight_map.copy("a.pth", {"s": values}, model, [weight_map.scale("s", factor)])
    assert_array_equal(keras.ops.convert_to_numpy(factor), values.reshape(ours))


@pytest.fixture
def pair():
    """A model of two convolutions, its weight map and the tensors that fit."""
    layers = [keras.layers.Conv2D(3, 1, name="one"), keras.layers.Conv2D(2, 1, name="two")]
    model = model_of(*layers)
    every = weight_map.conv("a", layers[0]) + weight_map.conv("b", layers[1])
    tensors = {
        "a.weight": filled(3, 4, 1, 1),
        "a.bias": filled(3),
        "b.weight": filled(2, 3, 1, 1),
        "b.bias": filled(2),
    }
    return model, every, tensors


def refused(model, every, tensors, ignored=()):
    """The message of the error, after which the model is as it was."""
    before = model.get_weights()
    with pytest.raises(InputError) as error:
        weight_map.copy("a.pth", tensors, model, every, ignored)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert_array_equal(old, new)
    return str(error.value)


START = "a.pth: not exactly the tensors of net: "


def test_every_kind_of_fault_is_named(pair):
    model, every, tensors = pair
    del tensors["b.bias"]
    tensors["c.weight"] = filled(1)
    tensors["a.weight"] = filled(3, 5, 1, 1)
    assert refused(model, every[:-2] + every[-1:], tensors) == (
        f"{START}missing b.bias; left over b.weight, c.weight; of another shape a.weight "
        "(1, 1, 5, 3) instead of (1, 1, 4, 3); without a source net/two/kernel."
    )


@pytest.mark.parametrize("shape", [(), (3,), (3, 4), (3, 4, 1), (3, 4, 1, 1, 1), (0, 4, 1, 1)])
def test_a_kernel_of_other_axes_is_refused(pair, shape):
    model, every, tensors = pair
    tensors["a.weight"] = np.zeros(shape, "float32")
    assert refused(model, every, tensors).startswith(f"{START}of another shape a.weight (")


@pytest.mark.parametrize("shape", [(1,), (4,), (3, 1), ()])
def test_a_bias_of_another_shape_is_refused(pair, shape):
    model, every, tensors = pair
    tensors["a.bias"] = np.zeros(shape, "float32")
    fault = f"of another shape a.bias {shape} instead of (3,)."
    assert refused(model, every, tensors) == START + fault


@pytest.mark.parametrize("channels", [2, 4])
def test_an_order_takes_as_many_channels_as_it_names(channels):
    layer = keras.layers.Conv2D(3, 1, use_bias=False)
    model, tensors = model_of(layer), {"a.weight": filled(channels, 4, 1, 1)}
    message = refused(model, weight_map.conv("a", layer, order=[2, 0, 1]), tensors)
    assert f"a.weight {(channels, 4, 1, 1)} instead of (1, 1, 4, 3)" in message


def test_five_of_a_kind_are_named(pair):
    model, every, tensors = pair
    tensors |= {f"x{i}": filled(1) for i in range(7)}
    assert refused(model, every, tensors) == f"{START}left over x0, x1, x2, x3, x4 and 2 more."


def test_some_tensors_are_ignored_by_pattern(pair):
    model, every, tensors = pair
    tensors["a.num_batches_tracked"] = np.int64(3)
    assert refused(model, every, tensors) == f"{START}left over a.num_batches_tracked."
    weight_map.copy("a.pth", tensors, model, every, ("*.num_batches_tracked",))
    assert_array_equal(model.get_weights()[1], tensors["a.bias"])


def test_a_compiled_model_needs_no_tensors_for_its_counters(pair):
    model, every, tensors = pair
    model.compile("adam", "mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    weight_map.copy("a.pth", tensors, model, every)
    assert_array_equal(model.get_weights()[3], tensors["b.bias"])


def test_half_precision_becomes_float32(pair):
    model, every, tensors = pair
    tensors["a.bias"] = np.array([1, 2, 0.5], "float16")
    weight_map.copy("a.pth", tensors, model, every)
    assert_array_equal(model.get_weights()[1], np.array([1, 2, 0.5], "float32"))


def test_two_entries_of_one_variable_are_a_mistake(pair):
    model, every, tensors = pair
    with pytest.raises(ValueError, match="two entries for one variable"):
        weight_map.copy("a.pth", tensors, model, [*every, every[0]])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])  # the last one in float64
def test_numbers_that_are_not_finite_are_named(pair, value):
    model, every, tensors = pair
    tensors["a.bias"] = np.array([0, value, 0])
    assert refused(model, every, tensors) == f"{START}not finite a.bias."


def test_negative_variances_are_named():
    layer = keras.layers.BatchNormalization()
    model, every = model_of(layer), weight_map.norm("a", layer)
    tensors = {entry.name: np.full(4, 0.5, "float32") for entry in every}
    tensors["a.running_mean"][2] = -1
    tensors["a.running_var"][2] = -1e-9
    assert refused(model, every, tensors) == f"{START}negative variances a.running_var."


NAMES = {"conv": "layer{stage}.{block}.conv{i}"}


@pytest.mark.parametrize(
    ("blocks", "convolutions", "name"),
    [
        ((2, 2, 2, 2), 2, "resnet18"),
        ((3, 4, 6, 3), 2, "resnet34"),
        ((3, 4, 6, 3), 3, "resnet50"),
        ((3, 4, 23, 3), 3, "resnet101"),
        ((3, 8, 36, 3), 3, "resnet152"),
    ],
)
def test_a_resnet_is_known_by_its_blocks(blocks, convolutions, name):
    tensors = {
        f"layer{stage}.{block}.conv{i}.weight": None
        for stage, count in enumerate(blocks, 1)
        for block in range(count)
        for i in range(1, convolutions + 1)
    }
    assert weight_map.resnet_name("a.pth", tensors, NAMES) == name


def test_a_missing_tensor_does_not_make_another_resnet():
    """Not even the first one of a block: its norm is still there."""
    names = {**NAMES, "norm": "layer{stage}.{block}.bn{i}"}
    places = [(stage, block, i) for stage in range(1, 5) for block in (0, 1) for i in (1, 2)]
    tensors = {
        f"layer{stage}.{block}.{kind}{i}.weight": None
        for stage, block, i in places
        for kind in ("conv", "bn")
    }
    for name in tensors:
        rest = {other: None for other in tensors if other != name}
        assert weight_map.resnet_name("a.pth", rest, names) == "resnet18"


def test_another_network_is_no_resnet():
    example = "such as layer1.0.conv1.weight, but tensors such as features.0.weight."
    with pytest.raises(
        InputError, match=f"a.pth: not a ResNet of .* layers with tensors {example}"
    ):
        weight_map.resnet_name("a.pth", {"features.0.weight": None}, NAMES)
    tensors = {"layer1.0.conv1.weight": None, "layer1.1.conv1.weight": None}
    with pytest.raises(InputError, match="but stages of 2, 0, 0, 0 blocks of 1 convolutions"):
        weight_map.resnet_name("a.pth", tensors, NAMES)
