"""benchmarks/backbones.py: the multiplications that it counts."""

import keras
import pytest


@pytest.fixture(scope="module")
def benchmark(load_benchmark):
    return load_benchmark("backbones")


def test_multiplications_equal_a_count_by_hand(benchmark):
    inputs = keras.Input((8, 6, 4))
    x = keras.layers.Conv2D(10, 3, 2, padding="same", groups=2)(inputs)  # 4·3·10 · 9·2
    x = keras.layers.DepthwiseConv2D(3, padding="valid", depth_multiplier=2)(x)  # 2·1·20 · 9
    x = keras.layers.BatchNormalization()(x)
    x = keras.Sequential([keras.layers.Dense(5)])(x)  # 2·1·5 · 20
    assert benchmark.multiplications(keras.Model(inputs, x)) == 2160 + 360 + 200


def test_multiplications_of_resnet50_equal_a_count_by_hand(benchmark):
    # in units of 56²·64², a 1x1 convolution of 64 to 64 channels at the side of stage 1; each
    # later stage has half the side and twice the channels, so its convolutions cost the same
    unit = 56**2 * 64**2
    stem = 112**2 * 3 * 64 * 7**2
    first, later = 1 + 9 + 4, 4 + 9 + 4  # blocks that read 64 channels, and 256
    shortcut = 4
    stages = first + shortcut + 2 * later
    for blocks in (4, 6, 3):  # the first one strides: 256 to 128 channels at 28², 256 to 512
        stages += 2 + 9 + 4 + 8 + (blocks - 1) * later
    model = benchmark.tapped("resnet50", (224, 224))[1]
    assert benchmark.multiplications(model) == stem + unit * stages
    # v1.5 strides one convolution later: 256 to 128 channels at 56², three times
    model = benchmark.tapped("resnet50v1.5", (224, 224))[1]
    assert benchmark.multiplications(model) == stem + unit * (stages + 3 * (8 - 2))
    assert benchmark.multiplications(model) / 1e9 == pytest.approx(4.09, abs=0.01)  # as published


def test_names_leave_out_equal_networks(benchmark):
    names = benchmark.names()
    assert {"resnet50", "mobilenet224_0.5", "mobilenetv2_0.5", "efficientnetb7"} < set(names)
    assert not {"mobilenet128_0.5", "mobilenet224_0.50", "resnet18_1.0"} & set(names)
