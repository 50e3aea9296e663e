"""EfficientNets: where they are tapped."""

import keras
import pytest

from keras_retinanet.models.effnet import EfficientNetBackbone


# the widened inputs of the blocks that stride: 6 times 24, 40 and 112 channels, 4 times 48; V2
# widens early blocks in the strided convolution, so its C2 is the 32 channels of block 2
@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("EfficientNetB0", (6 * 24, 6 * 40, 6 * 112, 1280)),
        ("efficientnetv2b0", (32, 4 * 48, 6 * 112, 1280)),
    ],
)
def test_taps(name, channels, shallow):
    made = shallow(name)
    taps = made.taps(made.network(keras.Input((64, 96, 3))))
    assert [x.shape[1:] for x in taps.values()] == [
        (16 >> i, 24 >> i, count) for i, count in enumerate(channels)
    ]


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("efficientnetb7", "efficientnet"),
        ("efficientnetv2b3", "torch"),
        ("efficientnetv2l", "efficientnetv2"),
    ],
)
def test_normalization(name, mode):
    assert EfficientNetBackbone(name).normalization == mode


def test_frozen_stages(shallow):
    made = shallow("efficientnetb0")
    # block 3 strides to 1/8 after it has widened to C2, block 4 to 1/16, block 6 to 1/32
    ends = {1: "stem_bn", 2: "block3a_expand_bn", 3: "block4a_expand_bn", 4: "block6a_expand_bn"}
    for count, end in ends.items():
        network = made.network(keras.Input((None, None, 3)))
        made.freeze_stages(network, count)
        names = [layer.name for layer in network.layers if layer.weights]
        frozen = [layer.name for layer in network.layers if layer.weights and not layer.trainable]
        assert frozen == names[: names.index(end) + 1]
