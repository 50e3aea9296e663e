"""ResNet-50/101/152 of keras.applications, and the basic-block ResNet-10/18/34 that it lacks.

He et al. 2016, arXiv 1512.03385. A name may end in a width: `resnet10_0.25` has a quarter of the
channels.
"""

import keras

from .backbone import Backbone
from .norms import batch

BOTTLENECK = {
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
BASIC = {"resnet10": (1, 1, 1, 1), "resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
WIDTHS = ("0.25", "0.50", "1.0")

# MD5 of keras.applications' files without the top, as Keras publishes them
IMAGENET = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
HASHES = {
    "resnet50": "4d473c1dd8becc155b73f8504c6f6626",
    "resnet101": "88cf7a10940856eca736dc7b7e228a21",
    "resnet152": "ee4c566cf9a93f14d82f913c2dc6dd0c",
}


class ResNetBackbone(Backbone):
    """`resnet10`, `18`, `34` (basic blocks), `50`, `101`, `152` (bottlenecks)."""

    @classmethod
    def allowed(cls):
        thin = [f"{name}_{width}" for name in BASIC for width in WIDTHS]
        return [*BASIC, *BOTTLENECK, *thin]

    def network(self, inputs):
        if self.backbone in BOTTLENECK:
            applications = {
                "resnet50": keras.applications.ResNet50,
                "resnet101": keras.applications.ResNet101,
                "resnet152": keras.applications.ResNet152,
            }
            build = applications[self.backbone]
            return build(include_top=False, weights=None, input_tensor=inputs)
        name, _, width = self.backbone.partition("_")
        return basic_resnet(inputs, BASIC[name], round(64 * float(width or 1)))

    def taps(self):
        blocks = BOTTLENECK.get(self.backbone) or BASIC[self.backbone.partition("_")[0]]
        return {f"C{i + 2}": f"conv{i + 2}_block{n}_out" for i, n in enumerate(blocks)}

    def imagenet(self):
        if self.backbone not in HASHES:
            return None
        name = f"{self.backbone}_weights_tf_dim_ordering_tf_kernels_notop.h5"
        return name, IMAGENET + name, HASHES[self.backbone]


def basic_resnet(inputs, blocks, width=64):
    """The ResNet of two-convolution blocks on `inputs` (B, H, W, 3), `blocks` to each stage."""

    def convolution(x, channels, kernel, strides, name):
        return keras.layers.Conv2D(
            channels,
            kernel,
            strides,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=name,
        )(x)

    def normalize(x, name):
        return batch(x.shape[-1], f"{name}_bn")(x)

    def block(x, channels, strides, name):
        y = normalize(convolution(x, channels, 3, strides, f"{name}_1_conv"), f"{name}_1")
        y = keras.layers.ReLU(name=f"{name}_1_relu")(y)
        y = normalize(convolution(y, channels, 3, 1, f"{name}_2_conv"), f"{name}_2")
        if strides > 1 or x.shape[-1] != channels:
            x = normalize(convolution(x, channels, 1, strides, f"{name}_0_conv"), f"{name}_0")
        return keras.layers.ReLU(name=f"{name}_out")(keras.layers.Add(name=f"{name}_add")([x, y]))

    x = normalize(convolution(inputs, width, 7, 2, "conv1_conv"), "conv1")
    x = keras.layers.ReLU(name="conv1_relu")(x)
    x = keras.layers.MaxPooling2D(3, 2, padding="same", name="pool1_pool")(x)
    for stage, count in enumerate(blocks):
        for i in range(count):
            strides = 2 if stage > 0 and i == 0 else 1
            x = block(x, width * 2**stage, strides, f"conv{stage + 2}_block{i + 1}")
    return keras.Model(keras.utils.get_source_inputs(inputs), x, name="resnet")
