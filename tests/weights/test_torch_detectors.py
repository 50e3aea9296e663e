"""Parts of the detectors of PyTorch's projects, each option alone, against NumPy's."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from keras_retinanet.models.heads import regression_head
from keras_retinanet.models.pyramid import feature_pyramid
from keras_retinanet.parts import Heads, Pyramid
from keras_retinanet.weights import torch_detectors, weight_map

from . import reference
from .reference_states import draw, torchvision_names

pytestmark = pytest.mark.core


def nhwc(x):
    return keras.ops.convert_to_tensor(x.transpose(0, 2, 3, 1))


def some(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


@pytest.fixture(scope="module")
def states():
    """{what P6 is of: state dict} of thin networks of 18 layers: C3 to C5 have 128 to 512 channels.

    What is not of the pyramid is left out.
    """
    found = {}
    for p6_from in ("C5", "P5"):
        state = draw(torchvision_names(), 18, width=8, p6_from=p6_from)
        found[p6_from] = {name: value for name, value in state.items() if ".fpn." in name}
    return found


@pytest.mark.parametrize("p6_from", ["C5", "P5"])
@pytest.mark.parametrize("p7_relu", [True, False])
@pytest.mark.parametrize("shape", [(8, 12), (9, 5)])
def test_pyramids(states, p6_from, p7_relu, shape):
    names, state = torchvision_names(), states[p6_from]
    sides = [[-(-side // 2**i) for side in shape] for i in range(3)]
    features = [some(2, 128 * 2**i, *side) for i, side in enumerate(sides)]
    inputs = {f"C{i + 3}": keras.Input((None, None, x.shape[1])) for i, x in enumerate(features)}
    options = {"p6_from": p6_from, "p7_relu": p7_relu, "strided_padding": "symmetric"}
    levels = feature_pyramid(inputs, Pyramid(width=8, **options))
    model = keras.Model(list(inputs.values()), list(levels.values()), name="pyramid")
    weight_map.copy("a.pth", state, model, torch_detectors.pyramid(model, names))
    found = model([nhwc(x) for x in features])
    expected = reference.pyramid(features, state, names, p7_relu)
    for ours, theirs in zip(found, expected, strict=True):
        ours = keras.ops.convert_to_numpy(ours).transpose(0, 3, 1, 2)
        assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("second", [False, True], ids=["without a norm", "with group norm"])
def test_heads(second):
    names = torchvision_names(second)["regression"]
    state = draw(torchvision_names(second), 18, width=128)
    state = {name: value for name, value in state.items() if "regression_head" in name}
    submodel = regression_head(4, 9, 128, Heads(norm="group" if second else "none"))
    inputs = keras.Input((None, None, 128))
    model = keras.Model(inputs, submodel(inputs), name="head")
    ours = {**names, "norms": names["norms"] if second else []}
    weight_map.copy("a.pth", state, model, torch_detectors.head(model, "regression", ours))
    x = some(2, 128, 5, 7)
    found = keras.ops.convert_to_numpy(model(nhwc(x)))
    assert_allclose(found, reference.head(x, state, names, 4), atol=1e-4)


VARIANCES = np.float32([0, 5.6e-45, 1e-39, 1e-30, 1e-9, 1])


@pytest.mark.parametrize("epsilon", [0, 1e-5, 1e-3])
@pytest.mark.parametrize("weights", ["of the deviation's size", "of order 1"])
def test_batch_norm_of_another_epsilon(epsilon, weights):
    """Against the formula of the source in float64; without a variance, the bias is left."""
    deviation = np.sqrt(VARIANCES.astype("float64"))
    tensors = {
        "a.weight": deviation * some(6) if weights != "of order 1" else 1 + some(6) ** 2,
        "a.bias": some(6),
        "a.running_mean": deviation * some(6),
        "a.running_var": VARIANCES,
    }
    tensors = {name: np.float32(value) for name, value in tensors.items()}
    layer = keras.layers.BatchNormalization(epsilon=1e-5)
    model = keras.Sequential([keras.Input((6,)), layer], name="net")
    weight_map.copy(
        "a.pth", torch_detectors.with_epsilon(tensors, epsilon), model, weight_map.norm("a", layer)
    )
    x = np.float32(deviation * some(50, 6))
    found = keras.ops.convert_to_numpy(model(keras.ops.convert_to_tensor(x), training=False))
    weight, bias, mean, variance = (value.astype("float64") for value in tensors.values())
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = (x - mean) / np.sqrt(variance + epsilon) * weight + bias
    if epsilon == 0:
        expected[:, 0] = bias[0]
    assert np.isfinite(found).all()
    assert_allclose(found, expected, atol=1e-4)
