"""ResNets: from keras.applications, and a network for those that keras.applications lacks.

He et al. 2016, arXiv 1512.03385 (v1) and 1603.05027 (v2); Xie et al. 2017, arXiv 1611.05431
(ResNeXt). `v1.5` strides in the 3x3 convolution of a block instead of the first 1x1. The name of a
network of basic blocks may end in a width: `resnet10_0.25` has a quarter of the channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras

from ..layers.grouped_convolution import GroupedConv2D
from ..typing import Tensor
from .applications import STORAGE, ApplicationsBackbone
from .backbone import outputs_of
from .norms import batch


@dataclass(frozen=True)
class ResNet:
    """The shape of a residual network.

    Attributes:
        blocks: the number of blocks in each of the four stages.
        block: "basic" (two 3x3 convolutions) or "bottleneck" (1x1, 3x3 in groups, 1x1).
        width: channels of the first stage; each later stage has twice as many as the one before.
        widths: factors of a stage's width for the first two convolutions of a bottleneck.
        groups: of the 3x3 convolution of a bottleneck.
        stride_in: the convolution of a bottleneck that strides, "1x1" or "3x3".
        squeeze: squeeze-and-excitation in each block.
        shortcut: kernel size of a shortcut that strides.
        deep_stem: three 3x3 convolutions instead of the 7x7.
        epsilon: of batch norm.
        conv1_padding: of the 7x7 convolution. "symmetric" pads all sides alike, "same" is Keras's.
        stem_padding: of the pool after the stem; "same" pads it only right and below.
    """

    blocks: tuple[int, ...]
    block: str = "bottleneck"
    width: int = 64
    widths: tuple[int, int] = (1, 1)
    groups: int = 1
    stride_in: str = "3x3"
    squeeze: bool = False
    shortcut: int = 1
    deep_stem: bool = False
    epsilon: float = 1e-5
    conv1_padding: str = "symmetric"
    stem_padding: str = "symmetric"

    def __post_init__(self) -> None:
        paddings = ("symmetric", "same")
        for name, value, known in (
            ("stride_in", self.stride_in, ("1x1", "3x3")),
            ("conv1_padding", self.conv1_padding, paddings),
            ("stem_padding", self.stem_padding, paddings),
        ):
            if value not in known:
                raise ValueError(f"Unknown {name} {value!r}; known: {', '.join(known)}.")


OPTIONS = ("stride_in", "epsilon", "conv1_padding", "stem_padding")
BLOCKS: dict[int, tuple[int, ...]] = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
WIDTHS = ("0.25", "0.50", "1.0")
X32: dict[str, Any] = {"groups": 32, "widths": (2, 2)}  # 4 channels each in the first stage

BASIC = {
    "resnet10": ResNet((1, 1, 1, 1), "basic"),
    "resnet18": ResNet((2, 2, 2, 2), "basic"),
    "resnet34": ResNet((3, 4, 6, 3), "basic"),
}
NETWORKS = {
    **BASIC,
    **{
        f"{name}_{w}": replace(spec, width=round(64 * float(w)))
        for name, spec in BASIC.items()
        for w in WIDTHS
    },
    **{f"resnet{n}": ResNet(blocks, stride_in="1x1") for n, blocks in BLOCKS.items()},
    **{f"resnet{n}v1.5": ResNet(blocks) for n, blocks in BLOCKS.items()},
    "resnext50": ResNet(BLOCKS[50], **X32),
    "resnext101": ResNet(BLOCKS[101], **X32),
    "resnext101_32x8d": ResNet(BLOCKS[101], groups=32, widths=(4, 4)),
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

    With any of the options `stride_in`, `epsilon`, `conv1_padding` and `stem_padding` of `ResNet`,
    `resnet50`, `101` and `152` are built by `residual_network` too.
    """

    networks = NETWORKS
    applications: Mapping[str, tuple] = APPLICATIONS
    url = f"{STORAGE}/resnet/{{0}}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    sources = SOURCES
    normalization = "torch"
    stem = "pool1_pool"

    def __init__(self, backbone: str, **options: Any) -> None:
        known = self.known_as(backbone)
        self.known_options = OPTIONS if known in self.networks else ()
        super().__init__(backbone, **options)
        # True if keras.applications has the network
        self.of_applications = known in self.applications and not self.options
        if self.of_applications:
            self.normalization = "tf" if known.endswith("v2") else "caffe"

    @classmethod
    def allowed(cls) -> list[str]:
        return list({**cls.networks, **cls.applications})

    def network(self, inputs: Tensor) -> keras.Model:
        if self.of_applications:
            return super().network(inputs)
        return residual_network(inputs, replace(self.networks[self.backbone], **self.options))

    def taps(self, network: keras.Model) -> dict:
        if self.backbone.endswith("v2"):  # the input of the strided last block of a stage
            blocks = BLOCKS[int(self.backbone.removeprefix("resnet").removesuffix("v2"))]
            names = [f"conv{i + 2}_block{n}_preact_relu" for i, n in enumerate(blocks[:3])]
            return outputs_of(network, [*names, "post_relu"])
        blocks = self.networks[self.backbone].blocks
        return outputs_of(network, [f"conv{i + 2}_block{n}_out" for i, n in enumerate(blocks)])

    def imagenet(self) -> tuple | None:
        return super().imagenet() if self.of_applications else None


def unit(
    x: Tensor,
    channels: int,
    kernel: int,
    name: str,
    *,
    relu: bool = True,
    epsilon: float = 1e-5,
    **options: Any,
) -> Tensor:
    """Apply a `convolution` with these options, batch norm, and perhaps ReLU to x."""
    x = convolution(x, channels, kernel, name, **options)
    x = batch(channels, f"{name}_bn", epsilon)(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x) if relu else x


def convolution(
    x: Tensor,
    channels: int,
    kernel: int,
    name: str,
    strides: int = 1,
    groups: int = 1,
    padding: str = "symmetric",
) -> Tensor:
    """Convolve x without bias; "symmetric" padding pads all sides alike, as in PyTorch."""
    symmetric = strides > 1 and padding == "symmetric"
    if symmetric and kernel > 1:
        x = keras.layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
    layer = keras.layers.Conv2D if groups == 1 else partial(GroupedConv2D, groups=groups)
    return layer(
        channels,
        kernel,
        strides,
        padding="valid" if symmetric else "same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)


def squeeze_excite(x: Tensor, name: str, reduction: int = 16) -> Tensor:
    """Scale each channel of x (B, h, w, C) by a gate in [0, 1] computed from all channel means.

    Hu et al. 2018, arXiv 1709.01507.
    """
    channels = x.shape[-1]
    gates = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_se_squeeze")(x)
    reduce = keras.layers.Conv2D(
        channels // reduction, 1, activation="relu", name=f"{name}_se_reduce"
    )
    expand = keras.layers.Conv2D(channels, 1, activation="sigmoid", name=f"{name}_se_expand")
    return keras.layers.Multiply(name=f"{name}_se_excite")([x, expand(reduce(gates))])


def residual_network(inputs: Tensor, spec: ResNet) -> keras.Model:
    """Return the ResNet of this shape on `inputs` (B, H, W, 3)."""
    x = stem(inputs, spec)
    for stage, count in enumerate(spec.blocks):
        for i in range(count):
            strides = 2 if stage > 0 and i == 0 else 1
            name = f"conv{stage + 2}_block{i + 1}"
            x = residual(x, spec, spec.width * 2**stage, strides, name)
    return keras.Model(keras.utils.get_source_inputs(inputs), x, name="resnet")


def stem(x: Tensor, spec: ResNet) -> Tensor:
    """Apply the stem to images (B, H, W, 3): (B, H/4, W/4, width), or 2 width for a deep stem."""
    convolve = partial(unit, epsilon=spec.epsilon)
    if spec.deep_stem:
        x = convolve(x, spec.width, 3, "conv1_1", strides=2)
        x = convolve(convolve(x, spec.width, 3, "conv1_2"), 2 * spec.width, 3, "conv1_3")
    else:
        x = convolve(x, spec.width, 7, "conv1", strides=2, padding=spec.conv1_padding)
    if spec.stem_padding == "symmetric":
        x = keras.layers.ZeroPadding2D(1, name="pool1_pad")(x)
    padding = "valid" if spec.stem_padding == "symmetric" else "same"
    return keras.layers.MaxPooling2D(3, 2, padding=padding, name="pool1_pool")(x)


def residual(x: Tensor, spec: ResNet, channels: int, strides: int, name: str) -> Tensor:
    """Apply a block and its shortcut to x."""
    convolve = partial(unit, epsilon=spec.epsilon)
    y = {"basic": basic, "bottleneck": bottleneck}[spec.block](x, spec, channels, strides, name)
    y = squeeze_excite(y, name) if spec.squeeze else y
    if strides > 1 or x.shape[-1] != y.shape[-1]:
        kernel = spec.shortcut if strides > 1 else 1
        x = convolve(x, y.shape[-1], kernel, f"{name}_0", strides=strides, relu=False)
    return keras.layers.ReLU(name=f"{name}_out")(keras.layers.Add(name=f"{name}_add")([x, y]))


def basic(x: Tensor, spec: ResNet, channels: int, strides: int, name: str) -> Tensor:
    """Apply two 3x3 convolutions to x (B, h, w, C)."""
    convolve = partial(unit, epsilon=spec.epsilon)
    x = convolve(x, channels, 3, f"{name}_1", strides=strides)
    # timm has a ReLU before the squeeze
    return convolve(x, channels, 3, f"{name}_2", relu=spec.squeeze)


def bottleneck(x: Tensor, spec: ResNet, channels: int, strides: int, name: str) -> Tensor:
    """Apply a 1x1, a 3x3 and a 1x1 convolution to x (B, h, w, C)."""
    convolve = partial(unit, epsilon=spec.epsilon)
    first, second = (strides, 1) if spec.stride_in == "1x1" else (1, strides)
    x = convolve(x, channels * spec.widths[0], 1, f"{name}_1", strides=first)
    width = channels * spec.widths[1]
    x = convolve(x, width, 3, f"{name}_2", strides=second, groups=spec.groups)
    return convolve(x, channels * 4, 1, f"{name}_3", relu=False)
