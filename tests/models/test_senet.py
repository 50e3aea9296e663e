"""Squeeze-and-excitation networks: their structure, and the unit itself by hand."""

from dataclasses import replace

import keras
import numpy as np
from keras import ops

from keras_retinanet.models.resnet import squeeze_excite
from keras_retinanet.models.senet import NETWORKS, SeBackbone


def kernels(name):
    """{layer: (shape of the kernel, strides)} of a network with one block to each stage."""
    made = SeBackbone(name)
    made.networks = {name: replace(NETWORKS[name], blocks=(1, 1, 1, 1))}
    layers = made.network(keras.Input((None, None, 3))).layers
    return {
        layer.name: (tuple(layer.kernel.shape), layer.strides[0])
        for layer in layers
        if isinstance(layer, keras.layers.Conv2D)
    }


def test_squeeze_and_excitation_by_hand():
    x = keras.Input((2, 2, 2))
    model = keras.Model(x, squeeze_excite(x, "block", reduction=2))
    model.get_layer("block_se_reduce").set_weights([np.full((1, 1, 2, 1), 1.0), np.full(1, -4.0)])
    expand = np.array([1.0, 0.0]).reshape(1, 1, 1, 2)
    model.get_layer("block_se_expand").set_weights([expand, np.array([0.0, 0.0])])
    image = np.array([[[[0, 8], [0, 8]], [[4, 0], [4, 0]]]], "float32")
    # means 2 and 4; ReLU(2 + 4 - 4) = 2; factors σ(2) and σ(0)
    expected = image * [1 / (1 + np.exp(-2)), 0.5]
    np.testing.assert_allclose(ops.convert_to_numpy(model(image)), expected, rtol=1e-5)


def test_seresnet50_strides_in_the_first_convolution():
    found = kernels("seresnet50")
    assert found["conv3_block1_1_conv"] == ((1, 1, 256, 128), 2)
    assert found["conv3_block1_2_conv"] == ((3, 3, 128, 128), 1)
    assert found["conv3_block1_se_reduce"] == ((1, 1, 512, 32), 1)
    assert found["conv3_block1_se_expand"] == ((1, 1, 32, 512), 1)


def test_seresnext50():
    found = kernels("seresnext50")
    assert found["conv3_block1_1_conv"] == ((1, 1, 256, 256), 1)
    assert found["conv3_block1_2_conv"] == ((3, 3, 8, 256), 2)  # 32 groups of 8


def test_senet154():
    # Hu et al., section 5: three 3x3 in the stem, half of a bottleneck's first width, 64 groups,
    # 3x3 shortcuts where they stride
    found = kernels("senet154")
    stem = [found[f"conv1_{i}_conv"] for i in (1, 2, 3)]
    assert stem == [((3, 3, 3, 64), 2), ((3, 3, 64, 64), 1), ((3, 3, 64, 128), 1)]
    assert found["conv2_block1_0_conv"] == ((1, 1, 128, 256), 1)
    assert found["conv3_block1_0_conv"] == ((3, 3, 256, 512), 2)
    assert found["conv3_block1_1_conv"] == ((1, 1, 256, 256), 1)
    assert found["conv3_block1_2_conv"] == ((3, 3, 4, 512), 2)
    assert found["conv3_block1_3_conv"] == ((1, 1, 512, 512), 1)


def test_blocks():
    counts = {name: sum(NETWORKS[name].blocks) for name in NETWORKS}
    # a stem, three convolutions to a bottleneck or two to a basic block, and a classifier
    for name, blocks in counts.items():
        each = 2 if NETWORKS[name].block == "basic" else 3
        depth = 1 + each * blocks + 1
        assert name in (f"seresnet{depth}", f"seresnext{depth}", f"senet{depth + 2}")


def test_the_options_of_resnet():
    made = SeBackbone("seresnet50", stride_in="3x3", stem_padding="symmetric")
    assert made.options == {"stride_in": "3x3", "stem_padding": "symmetric"}
    assert made.imagenet() is None
    assert made.imagenet_source() == "timm legacy_seresnet50.in1k"
