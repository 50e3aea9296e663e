"""ResNets: keras.applications' own, and one network for those that it lacks.

He et al. 2016, arXiv 1512.03385 (v1) and 1603.05027 (v2); Xie et al. 2017, arXiv 1611.05431
(ResNeXt). `v1.5` strides in the 3x3 convolution of a block instead of the first 1x1. The name of a
network of basic blocks may end in a width: `resnet10_0.25` has a quarter of the channels.
"""

from functools import partial

import keras

from ..layers.grouped_convolution import GroupedConv2D
from .applications import STORAGE, ApplicationsBackbone
from .backbone import outputs_of
from .norms import batch

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
WIDTHS = ("0.25", "0.50", "1.0")
OPTIONS = ("stride_in", "epsilon", "stem_padding")
X32 = {"groups": 32, "widths": (2, 2)}  # 32 groups, of 4 channels in the first stage

# the arguments of `residual_network`
BASIC = {
    "resnet10": {"blocks": (1, 1, 1, 1), "block": "basic"},
    "resnet18": {"blocks": (2, 2, 2, 2), "block": "basic"},
    "resnet34": {"blocks": (3, 4, 6, 3), "block": "basic"},
}
NETWORKS = {
    **BASIC,
    **{
        f"{name}_{w}": {**BASIC[name], "width": round(64 * float(w))}
        for name in BASIC
        for w in WIDTHS
    },
    **{f"resnet{n}": {"blocks": blocks, "stride_in": "1x1"} for n, blocks in BLOCKS.items()},
    **{f"resnet{n}v1.5": {"blocks": blocks} for n, blocks in BLOCKS.items()},
    "resnext50": {"blocks": BLOCKS[50], **X32},
    "resnext101": {"blocks": BLOCKS[101], **X32},
    "resnext101_32x8d": {"blocks": BLOCKS[101], "groups": 32, "widths": (4, 4)},
}
APPLICATIONS = {
    "resnet50": (keras.applications.ResNet50, "4d473c1dd8becc155b73f8504c6f6626"),
    "resnet101": (keras.applications.ResNet101, "88cf7a10940856eca736dc7b7e228a21"),
    "resnet152": (keras.applications.ResNet152, "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    "resnet50v2": (keras.applications.ResNet50V2, "fac2f116257151a9d068a22e544a4917"),
    "resnet101v2": (keras.applications.ResNet101V2, "c0ed64b8031c3730f411d2eb4eea35b5"),
    "resnet152v2": (keras.applications.ResNet152V2, "ed17cf2e0169df9d443503ef94b23b33"),
}
SOURCES = {
    "resnet18": "torchvision resnet18-f37072fd.pth",
    "resnet34": "torchvision resnet34-b627a593.pth",
    "resnet50v1.5": "torchvision resnet50-0676ba61.pth, resnet50-11ad3fa6.pth",
    "resnet101v1.5": "torchvision resnet101-63fe2227.pth, resnet101-cd907fc2.pth",
    "resnet152v1.5": "torchvision resnet152-394f9c45.pth, resnet152-f82ba261.pth",
    "resnext50": "torchvision resnext50_32x4d-7cdf4587.pth, resnext50_32x4d-1a0047aa.pth",
    "resnext101": "timm resnext101_32x4d.gluon_in1k",
    "resnext101_32x8d": "torchvision resnext101_32x8d-8ba56ff5.pth, resnext101_32x8d-110c445d.pth",
}


class ResNetBackbone(ApplicationsBackbone):
    """`resnet10`, `18`, `34` (basic blocks), `50`, `101`, `152` (bottlenecks, of
    keras.applications), `50v1.5`, ..., `50v2`, ..., `resnext50`, `resnext101`.

    With any of the options `stride_in`, `epsilon` and `stem_padding` of `residual_network`, also
    `resnet50`, `101` and `152` are that network.
    """

    networks = NETWORKS
    applications = APPLICATIONS
    url = f"{STORAGE}/resnet/{{0}}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    sources = SOURCES
    stem = "pool1_pool"

    @property
    def known_options(self):
        return OPTIONS if self.backbone in self.networks else ()

    @classmethod
    def allowed(cls):
        return list({**cls.networks, **cls.applications})

    @property
    def of_applications(self):
        """Whether the network is that of keras.applications."""
        return self.backbone in self.applications and not self.options

    @property
    def normalization(self):
        if not self.of_applications:
            return "torch"
        return "tf" if self.backbone.endswith("v2") else "caffe"

    def network(self, inputs):
        if self.of_applications:
            return super().network(inputs)
        return residual_network(inputs, **{**self.networks[self.backbone], **self.options})

    def taps(self, network):
        if self.backbone.endswith("v2"):  # what the strided last block of a stage takes
            blocks = BLOCKS[int(self.backbone[len("resnet") : -len("v2")])]
            names = [f"conv{i + 2}_block{n}_preact_relu" for i, n in enumerate(blocks[:3])]
            return outputs_of(network, [*names, "post_relu"])
        blocks = self.networks[self.backbone]["blocks"]
        return outputs_of(network, [f"conv{i + 2}_block{n}_out" for i, n in enumerate(blocks)])

    def imagenet(self):
        return super().imagenet() if self.of_applications else None


def unit(x, channels, kernel, name, strides=1, groups=1, relu=True, epsilon=1e-5):
    """x through a convolution without bias, batch norm, and ReLU where asked for.

    A strided one is padded alike on all sides, as PyTorch does it, not "same".
    """
    if strides > 1 and kernel > 1:
        x = keras.layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
    layer = keras.layers.Conv2D if groups == 1 else partial(GroupedConv2D, groups=groups)
    x = layer(
        channels,
        kernel,
        strides,
        padding="valid" if strides > 1 else "same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    x = batch(channels, f"{name}_bn", epsilon)(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x) if relu else x


def squeeze_excite(x, name, reduction=16):
    """x (B, h, w, C) with each channel times a factor of 0 to 1 that all means decide together.

    Hu et al. 2018, arXiv 1709.01507.
    """
    channels = x.shape[-1]
    factors = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_se_squeeze")(x)
    reduce = keras.layers.Conv2D(
        channels // reduction, 1, activation="relu", name=f"{name}_se_reduce"
    )
    expand = keras.layers.Conv2D(channels, 1, activation="sigmoid", name=f"{name}_se_expand")
    return keras.layers.Multiply(name=f"{name}_se_excite")([x, expand(reduce(factors))])


def residual_network(
    inputs,
    blocks,
    block="bottleneck",
    width=64,
    widths=(1, 1),
    groups=1,
    stride_in="3x3",
    squeeze=False,
    shortcut=1,
    deep_stem=False,
    epsilon=1e-5,
    stem_padding="symmetric",
):
    """A ResNet on `inputs` (B, H, W, 3) with so many `blocks` to each of four stages.

    `block` is "basic" (two 3x3 convolutions) or "bottleneck" (1x1, 3x3 in `groups`, 1x1), whose
    first two are `widths` times as wide as the stage, the first `width` channels. `stride_in` is
    which convolution of a bottleneck strides, "1x1" or "3x3"; `squeeze` is squeeze-and-excitation;
    `shortcut` the size of the shortcut's convolution where it strides; `deep_stem` three 3x3
    convolutions for the 7x7; `epsilon` batch norm's; `stem_padding="same"` pads the pool after the
    stem only right and below.
    """
    for name, value, known in (
        ("stride_in", stride_in, ("1x1", "3x3")),
        ("stem_padding", stem_padding, ("symmetric", "same")),
    ):
        if value not in known:
            raise ValueError(f"Expected {name} to be one of {known}. Received: {value!r}.")
    convolve = partial(unit, epsilon=epsilon)

    def basic(x, channels, strides, name):
        x = convolve(x, channels, 3, f"{name}_1", strides)
        return convolve(x, channels, 3, f"{name}_2", relu=squeeze)  # before the squeeze, as timm

    def bottleneck(x, channels, strides, name):
        first, second = (strides, 1) if stride_in == "1x1" else (1, strides)
        x = convolve(x, channels * widths[0], 1, f"{name}_1", first)
        x = convolve(x, channels * widths[1], 3, f"{name}_2", second, groups)
        return convolve(x, channels * 4, 1, f"{name}_3", relu=False)

    def residual(x, channels, strides, name):
        y = {"basic": basic, "bottleneck": bottleneck}[block](x, channels, strides, name)
        y = squeeze_excite(y, name) if squeeze else y
        if strides > 1 or x.shape[-1] != y.shape[-1]:
            kernel = shortcut if strides > 1 else 1
            x = convolve(x, y.shape[-1], kernel, f"{name}_0", strides, relu=False)
        return keras.layers.ReLU(name=f"{name}_out")(keras.layers.Add(name=f"{name}_add")([x, y]))

    if deep_stem:
        x = convolve(inputs, width, 3, "conv1_1", 2)
        x = convolve(convolve(x, width, 3, "conv1_2"), 2 * width, 3, "conv1_3")
    else:
        x = convolve(inputs, width, 7, "conv1", 2)
    if stem_padding == "symmetric":
        x = keras.layers.ZeroPadding2D(1, name="pool1_pad")(x)
    padding = "valid" if stem_padding == "symmetric" else "same"
    x = keras.layers.MaxPooling2D(3, 2, padding=padding, name="pool1_pool")(x)
    for stage, count in enumerate(blocks):
        for i in range(count):
            strides = 2 if stage > 0 and i == 0 else 1
            x = residual(x, width * 2**stage, strides, f"conv{stage + 2}_block{i + 1}")
    return keras.Model(keras.utils.get_source_inputs(inputs), x, name="resnet")
