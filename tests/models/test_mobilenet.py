"""MobileNets: their names, their shapes, where their weights are."""

import keras
import pytest

from keras_retinanet.models import backbone
from keras_retinanet.models.mobilenet import MobileNetBackbone

pytestmark = pytest.mark.core


def test_names():
    sizes = ("mobilenet128", "mobilenet160", "mobilenet192", "mobilenet224")
    assert tuple(MobileNetBackbone.allowed_backbones) == sizes
    for size in sizes:
        for alpha in ("0.25", "0.50", "0.5", "0.75", "1.0"):
            assert backbone(f"{size}_{alpha}").backbone == f"{size}_{alpha}"
    for wrong in ("mobilenet224", "mobilenet224_0.3", "mobilenet100_1.0", "mobilenet224_x"):
        with pytest.raises(ValueError, match=r"mobilenet224_1\.0"):
            MobileNetBackbone(wrong)


@pytest.mark.parametrize(
    ("name", "alpha"), [("mobilenet224_0.25", 0.25), ("mobilenet128_0.5", 0.5)]
)
def test_taps(name, alpha):
    made = MobileNetBackbone(name)
    network = made.network(keras.Input((64, 96, 3)))
    shapes = [network.get_layer(layer).output.shape[1:] for layer in made.taps().values()]
    assert shapes == [
        (16 >> i, 24 >> i, int(channels * alpha))
        for i, channels in enumerate((128, 256, 512, 1024))
    ]


@pytest.mark.parametrize("name", ["mobilenet128_0.25", "mobilenet160_0.50", "mobilenet224_1.0"])
def test_imagenet_weights_are_those_of_keras_applications(monkeypatch, name):
    asked = []

    def get_file(name, url, **kwargs):
        asked.append((name, url))
        raise OSError("enough")

    module = __import__("keras.src.applications.mobilenet", fromlist=["file_utils"])
    monkeypatch.setattr(module.file_utils, "get_file", get_file)
    monkeypatch.setattr(module, "_depthwise_conv_block", lambda x, *args, **kwargs: x)
    size, alpha = name.removeprefix("mobilenet").split("_")
    with pytest.raises(OSError, match="enough"):
        keras.applications.MobileNet(
            (int(size), int(size), 3), float(alpha), include_top=False, weights="imagenet"
        )
    ours = MobileNetBackbone(name).imagenet()
    assert ours[:2] == asked[0]
