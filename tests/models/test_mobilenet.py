"""MobileNets: their names, their shapes, where their weights are."""

import keras
import pytest

from keras_retinanet.models import backbone, same_backbone
from keras_retinanet.models.mobilenet import MobileNetBackbone


def test_names():
    sizes = ("mobilenet128", "mobilenet160", "mobilenet192", "mobilenet224")
    assert tuple(MobileNetBackbone.allowed_backbones) == sizes
    for size in sizes:
        for alpha in ("0.25", "0.5", "0.75", "1.0"):
            assert backbone(f"{size}_{alpha}").backbone == f"{size}_{alpha}"
        assert backbone(f"{size}_0.50").backbone == f"{size}_0.5"
    assert same_backbone("MobileNetV2_0.50", "mobilenetv2_0.5")
    assert same_backbone("resnet10_0.5", "resnet10_0.50")
    assert not same_backbone("mobilenetv2_0.5", "mobilenetv2_0.35")
    assert same_backbone("mine", "mine")
    assert not same_backbone("mine", "Mine")
    for wrong in ("mobilenet224", "mobilenet224_0.3", "mobilenet100_1.0", "mobilenet224_x"):
        with pytest.raises(ValueError, match=r"mobilenet224_1\.0"):
            MobileNetBackbone(wrong)

    for wrong in ("mobilenetv2_0.25", "mobilenetv3small", "mobilenetv3large_0.5"):
        with pytest.raises(ValueError, match=r"mobilenetv3small_0\.75"):
            MobileNetBackbone(wrong)


# channels of C2 to C5, by the papers' tables: v1 of the blocks, v2 and v3 of the widened parts
@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("mobilenet224_0.25", (32, 64, 128, 256)),
        ("mobilenet128_0.5", (64, 128, 256, 512)),
        ("mobilenetv2_1.0", (6 * 24, 6 * 32, 6 * 96, 1280)),
        ("mobilenetv3small_1.0", (72, 96, 288, 576)),
        ("mobilenetv3large_1.0", (72, 240, 672, 960)),
    ],
)
def test_taps(name, channels):
    made = MobileNetBackbone(name)
    taps = made.taps(made.network(keras.Input((64, 96, 3))))
    shapes = [feature.shape[1:] for feature in taps.values()]
    assert shapes == [(16 >> i, 24 >> i, count) for i, count in enumerate(channels)]


def test_files_of_imagenet_weights():
    names = ("mobilenet160_0.50", "mobilenetv2_0.5", "mobilenetv3large_0.75")
    assert [MobileNetBackbone(name).imagenet()[0] for name in names] == [
        "mobilenet_5_0_160_tf_no_top.h5",
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.5_224_no_top.h5",
        "weights_mobilenet_v3_large_224_0.75_float_no_top_v2.h5",
    ]


@pytest.mark.parametrize("name", ["mobilenet224_0.25", "mobilenetv2_0.35", "mobilenetv3small_0.75"])
def test_stem(name):
    made = MobileNetBackbone(name)
    network = made.network(keras.Input((64, 64, 3)))
    assert network.get_layer(made.stem).output.shape[1:3] == (32, 32)
    made.freeze_stages(network, 1)
    frozen = [layer for layer in network.layers if layer.weights and not layer.trainable]
    assert [type(layer).__name__ for layer in frozen] == ["Conv2D", "BatchNormalization"]
