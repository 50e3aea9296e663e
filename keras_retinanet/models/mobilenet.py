"""MobileNet v1, v2 and v3 of keras.applications.

Howard et al. 2017, arXiv 1704.04861; Sandler et al. 2018, arXiv 1801.04381; Howard et al. 2019,
arXiv 1905.02244.
"""

import keras

from .applications import STORAGE, ApplicationsBackbone
from .backbone import outputs_of

# as the files spell them
WIDTHS = {"0.25": "2_5", "0.5": "5_0", "0.75": "7_5", "1.0": "1_0"}
SIDES = ("mobilenet128", "mobilenet160", "mobilenet192", "mobilenet224")  # of the training, px
APPLICATIONS = {
    **{
        f"{name}_{width}": (keras.applications.MobileNet, None)
        for name in SIDES
        for width in WIDTHS
    },
    **{
        f"mobilenetv2_{width}": (keras.applications.MobileNetV2, None)
        for width in ("0.35", "0.5", "0.75", "1.0", "1.3", "1.4")
    },
    "mobilenetv3small_0.75": (
        keras.applications.MobileNetV3Small,
        "ebdb5cc8e0b497cd13a7c275d475c819",
    ),
    "mobilenetv3small_1.0": (
        keras.applications.MobileNetV3Small,
        "d3e8ec802a04aa4fc771ee12a9a9b836",
    ),
    "mobilenetv3large_0.75": (
        keras.applications.MobileNetV3Large,
        "40af19a13ebea4e2ee0c676887f69a2e",
    ),
    "mobilenetv3large_1.0": (
        keras.applications.MobileNetV3Large,
        "07fb09a5933dd0c8eaafa16978110389",
    ),
}
# the blocks that stride to 1/8, 1/16 and 1/32
STRIDED = {"mobilenetv3small": (1, 3, 8), "mobilenetv3large": (3, 6, 12)}


class MobileNetBackbone(ApplicationsBackbone):
    """`mobilenet224_1.0`, the size that the ImageNet weights were trained at, and the width;
    `mobilenetv2_1.0`, `mobilenetv3small_1.0`, `mobilenetv3large_1.0`. A width may be written with
    more zeros.
    """

    applications = APPLICATIONS
    allowed_backbones = SIDES
    normalization = "tf"

    @property
    def kind(self):
        """The name without its width."""
        return self.backbone.split("_")[0]

    @property
    def width(self):
        """What the numbers of channels are multiplied by, as the name spells it."""
        return self.backbone.split("_")[1]

    @property
    def arguments(self):
        known = {"include_preprocessing": False} if self.kind in STRIDED else {}
        return {"alpha": float(self.width), **known}

    @property
    def url(self):
        kernels = "weights_tf_dim_ordering_tf_kernels"
        if self.kind == "mobilenetv2":
            name = f"mobilenet_v2_{kernels}_{float(self.width)}_224_no_top.h5"
            return f"{STORAGE}/mobilenet_v2/{name}"
        if self.kind in STRIDED:
            size = self.kind.removeprefix("mobilenetv3")
            name = f"weights_mobilenet_v3_{size}_224_{self.width}_float_no_top_v2.h5"
            return f"{STORAGE}/mobilenet_v3/{name}"
        side = self.kind.removeprefix("mobilenet")
        return f"{STORAGE}/mobilenet/mobilenet_{WIDTHS[self.width]}_{side}_tf_no_top.h5"

    @property
    def stem(self):
        return {"mobilenetv2": "Conv1_relu", **dict.fromkeys(STRIDED, "conv_bn")}.get(
            self.kind, "conv1_relu"
        )

    def taps(self, network):
        if self.kind == "mobilenetv2":  # of strided blocks the part before the stride
            return outputs_of(
                network, [*(f"block_{n}_expand_relu" for n in (3, 6, 13)), "out_relu"]
            )
        if self.kind in STRIDED:  # the same: activations there have no names of their own
            pads = [f"expanded_conv_{n}_depthwise_pad" for n in STRIDED[self.kind]]
            wide = {f"C{i + 2}": network.get_layer(pad).input for i, pad in enumerate(pads)}
            return {**wide, "C5": network.outputs[-1]}
        return outputs_of(network, [f"conv_pw_{n}_relu" for n in (3, 5, 11, 13)])
