"""ResNets: their names, their shapes, their own network."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.models.resnet import NETWORKS, ResNet, ResNetBackbone, residual_network

THIN = ResNet((1, 1, 1, 1), width=8)


def network(**options):
    return residual_network(keras.Input((None, None, 3)), replace(THIN, **options))


def convolutions(model):
    kinds = (keras.layers.Conv2D, keras.layers.Dense)
    return [layer for layer in model.layers if isinstance(layer, kinds)]


def test_names():
    allowed = ResNetBackbone.allowed()
    published = ("resnet18", "resnet34", "resnet50", "resnet101v1.5", "resnet152v2")
    assert {*published, "resnet10_0.25", "resnext50", "resnext101_32x8d"} < set(allowed)
    assert len(set(allowed)) == len(allowed)
    with pytest.raises(ValueError, match="resnet50"):
        ResNetBackbone("resnet50_0.25")


def trainable(name, count):
    """The trainable parameters of the network `name`, and its batch norms' moving statistics."""
    model = ResNetBackbone(name).network(keras.Input((None, None, 3)))
    assert model.count_params() - count == 2 * sum(
        layer.gamma.shape[0] for layer in model.layers if layer.name.endswith("_bn")
    )
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


# torchvision's published counts less those of the top: 1,000 classes of 512 or 2,048 features
@pytest.mark.parametrize(
    ("name", "published", "features"),
    [
        ("resnet18", 11_689_512, 512),
        ("resnet50v1.5", 25_557_032, 2048),
        ("resnext50", 25_028_904, 2048),
    ],
)
def test_parameters(name, published, features):
    bare = published - 1000 * (features + 1)
    assert trainable(name, bare) == bare


def test_widths():
    for name, width in (("resnet10", 64), ("resnet10_0.25", 16), ("resnet10_0.50", 32)):
        made = ResNetBackbone(name)
        taps = made.taps(made.network(keras.Input((64, 64, 3))))
        assert [feature.shape for feature in taps.values()] == [
            (None, side, side, width * n)
            for side, n in zip((16, 8, 4, 2), (1, 2, 4, 8), strict=True)
        ]


def test_taps_of_keras_applications():
    made = ResNetBackbone("resnet50")
    taps = made.taps(made.network(keras.Input((64, 64, 3))))
    shapes = [feature.shape[1:] for feature in taps.values()]
    assert shapes == [(16, 16, 256), (8, 8, 512), (4, 4, 1024), (2, 2, 2048)]
    assert NETWORKS["resnet152"].blocks == (3, 8, 36, 3)


def test_any_option_makes_the_own_network():
    made = ResNetBackbone("resnet50", stride_in="3x3", epsilon=1e-3)
    thin = replace(made.networks["resnet50"], blocks=THIN.blocks, width=THIN.width)
    made.networks = {"resnet50": thin}
    own = made.network(keras.Input((64, 64, 3)))
    strided = {layer.name for layer in convolutions(own) if layer.strides == (2, 2)}
    assert strided == {
        "conv1_conv",
        *(f"conv{stage}_block1_{place}_conv" for stage in (3, 4, 5) for place in (0, 2)),
    }
    assert not any(layer.use_bias for layer in convolutions(own))
    assert own.get_layer("conv1_bn").epsilon == 1e-3
    assert made.imagenet() is None
    assert made.normalization == "torch"
    assert ResNetBackbone("resnet50").normalization == "caffe"
    assert ResNetBackbone("resnet50", epsilon=None).imagenet() is not None
    one = network(stride_in="1x1")
    assert one.get_layer("conv3_block1_1_conv").strides == (2, 2)
    assert one.get_layer("conv3_block1_2_conv").strides == (1, 1)


def test_options_that_there_are_not():
    for name, options in (("resnet50", {"dilation": 2}), ("resnet50v2", {"epsilon": 1e-5})):
        with pytest.raises(
            ValueError, match=rf"{name}: unknown options {next(iter(options))}; known: "
        ):
            ResNetBackbone(name, **options)
    for options in ({"stride_in": "5x5"}, {"stem_padding": "valid"}, {"conv1_padding": 3}):
        (name,) = options
        with pytest.raises(ValueError, match=f"Unknown {name}"):
            network(**options)


@pytest.mark.core
def test_padding_of_the_pool():
    # its windows of 3 start at -1, 1, ... with symmetric padding, at 0, 2, ... with "same"
    for stem_padding, expected in (("symmetric", [[1, 1], [1, 1]]), ("same", [[1, 0], [0, 0]])):
        model = network(stem_padding=stem_padding)
        ends = [model.get_layer(name).output for name in ("conv1_relu", "pool1_pool")]
        image = np.zeros((1, 32, 32, 8), "float32")
        image[0, 1, 1] = 1
        pooled = ops.convert_to_numpy(keras.Model(*ends)(image))
        assert pooled[0, :2, :2, 0].tolist() == expected


@pytest.mark.core
def test_odd_sizes_are_rounded_up():
    shape = network().compute_output_shape((None, 75, 101, 3))
    assert tuple(shape) == (None, 3, 4, 8 * 8 * 4)  # five times


def test_a_block_without_its_residual_is_its_shortcut():
    # with the second convolution of each block at zero, blocks hand on their (rectified) shortcut
    model = network(blocks=(2, 1, 1, 1), block="basic", width=4)
    for layer in model.layers:
        if layer.name.endswith("_2_conv"):
            layer.set_weights([np.zeros(layer.kernel.shape)])
    names = ["pool1_pool", "conv2_block2_out"]
    taps = keras.Model(model.inputs[0], [model.get_layer(name).output for name in names])
    image = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("float32")
    before, after = (ops.convert_to_numpy(value) for value in taps(image))
    np.testing.assert_allclose(after, before, rtol=1e-6)
    assert before.max() > 0


@pytest.mark.core
def test_a_network_with_groups_and_squeeze_trains():
    model = network(blocks=(1, 1, 1, 1), width=16, widths=(2, 2), groups=32, squeeze=True)
    model.compile("sgd", "mse")
    images = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype("float32")
    kernel = model.get_layer("conv4_block1_2_conv").kernel
    before = ops.convert_to_numpy(kernel)
    assert kernel.shape == (3, 3, 4, 128)
    loss = model.train_on_batch(images, np.zeros((2, 2, 2, 16 * 8 * 4), "float32"))
    assert np.isfinite(loss)
    assert not np.array_equal(before, ops.convert_to_numpy(kernel))
