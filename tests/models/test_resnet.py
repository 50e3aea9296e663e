"""ResNets: their names, their shapes, where their weights are."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.models.resnet import BASIC, BOTTLENECK, HASHES, ResNetBackbone, basic_resnet

pytestmark = pytest.mark.core


def test_names():
    allowed = ResNetBackbone.allowed()
    assert {"resnet18", "resnet34", "resnet50", "resnet101", "resnet152"} < set(allowed)
    assert "resnet10_0.25" in allowed
    assert len(set(allowed)) == len(allowed)
    with pytest.raises(ValueError, match="resnet50"):
        ResNetBackbone("resnet50_0.25")


def test_parameters_of_resnet18():
    # torchvision's and the paper's ResNet-18: 11,176,512 without the top, and 2 moving statistics
    # for each of the 4,800 channels of its batch norms
    model = basic_resnet(keras.Input((None, None, 3)), BASIC["resnet18"])
    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert trainable == 11_176_512
    assert model.count_params() - trainable == 2 * 4_800


def test_widths():
    for name, width in (("resnet10", 64), ("resnet10_0.25", 16), ("resnet10_0.50", 32)):
        made = ResNetBackbone(name)
        network = made.network(keras.Input((64, 64, 3)))
        shapes = [network.get_layer(layer).output.shape for layer in made.taps().values()]
        assert shapes == [
            (None, side, side, width * n)
            for side, n in zip((16, 8, 4, 2), (1, 2, 4, 8), strict=True)
        ]


def test_taps_of_keras_applications(monkeypatch):
    # building a ResNet-152 takes seconds; its names are what matters
    made = ResNetBackbone("resnet50")
    network = made.network(keras.Input((64, 64, 3)))
    shapes = [network.get_layer(name).output.shape[1:] for name in made.taps().values()]
    assert shapes == [(16, 16, 256), (8, 8, 512), (4, 4, 1024), (2, 2, 2048)]
    assert BOTTLENECK["resnet152"] == (3, 8, 36, 3)
    assert ResNetBackbone("resnet152").taps()["C4"] == "conv4_block36_out"


@pytest.mark.parametrize("name", HASHES)
def test_imagenet_weights_are_those_of_keras_applications(monkeypatch, name):
    asked = []

    def get_file(name, url, file_hash=None, **kwargs):
        asked.append((name, url, file_hash))
        raise OSError("enough")

    module = __import__("keras.src.applications.resnet", fromlist=["file_utils"])
    monkeypatch.setattr(module.file_utils, "get_file", get_file)
    monkeypatch.setattr(module, "stack_residual_blocks_v1", lambda x, *args, **kwargs: x)
    build = getattr(keras.applications, name.replace("resnet", "ResNet"))
    with pytest.raises(OSError, match="enough"):
        build(include_top=False, weights="imagenet", input_shape=(32, 32, 3))
    assert ResNetBackbone(name).imagenet() == asked[0]


def test_a_block_without_its_residual_is_its_shortcut():
    # with the second convolution of each block at zero, blocks hand on their (rectified) shortcut
    model = basic_resnet(keras.Input((32, 32, 3)), (2, 1, 1, 1), width=4)
    for layer in model.layers:
        if layer.name.endswith("_2_conv"):
            layer.set_weights([np.zeros(layer.kernel.shape)])
    names = ["pool1_pool", "conv2_block2_out"]
    taps = keras.Model(model.inputs[0], [model.get_layer(name).output for name in names])
    image = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("float32")
    before, after = (ops.convert_to_numpy(value) for value in taps(image))
    np.testing.assert_allclose(after, before, rtol=1e-6)
    assert before.max() > 0
