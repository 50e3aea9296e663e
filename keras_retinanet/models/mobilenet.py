"""MobileNet v1, v2 and v3 of keras.applications.

Howard et al. 2017, arXiv 1704.04861; Sandler et al. 2018, arXiv 1801.04381; Howard et al. 2019,
arXiv 1905.02244.
"""

from typing import Any

import keras

from .applications import STORAGE, ApplicationsBackbone
from .backbone import outputs_of

# {width: its spelling in file names}
WIDTHS = {"0.25": "2_5", "0.5": "5_0", "0.75": "7_5", "1.0": "1_0"}
SIDES = ("mobilenet128", "mobilenet160", "mobilenet192", "mobilenet224")  # px of the trained images
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
STEMS = {"mobilenetv2": "Conv1_relu", **dict.fromkeys(STRIDED, "conv_bn")}


class MobileNetBackbone(ApplicationsBackbone):
    """`mobilenet224_1.0` (the image size of the ImageNet weights, and the width),
    `mobilenetv2_1.0`, `mobilenetv3small_1.0`, `mobilenetv3large_1.0`.
    """

    applications = APPLICATIONS
    allowed_backbones = SIDES
    normalization = "tf"

    def __init__(self, backbone: str, **options: Any) -> None:
        super().__init__(backbone, **options)
        self.kind, self.width = self.backbone.split("_")
        known = {"include_preprocessing": False} if self.kind in STRIDED else {}
        self.arguments = {"alpha": float(self.width), **known}
        self.url = f"{STORAGE}/{self._file()}"
        self.stem = STEMS.get(self.kind, "conv1_relu")

    def _file(self) -> str:
        """Return the path of the ImageNet weights below `STORAGE`."""
        kernels = "weights_tf_dim_ordering_tf_kernels"
        if self.kind == "mobilenetv2":
            return f"mobilenet_v2/mobilenet_v2_{kernels}_{float(self.width)}_224_no_top.h5"
        if self.kind in STRIDED:
            size = self.kind.removeprefix("mobilenetv3")
            return f"mobilenet_v3/weights_mobilenet_v3_{size}_224_{self.width}_float_no_top_v2.h5"
        side = self.kind.removeprefix("mobilenet")
        return f"mobilenet/mobilenet_{WIDTHS[self.width]}_{side}_tf_no_top.h5"

    def taps(self, network: keras.Model) -> dict:
        if self.kind == "mobilenetv2":  # the features of strided blocks before the stride
            return outputs_of(
                network, [*(f"block_{n}_expand_relu" for n in (3, 6, 13)), "out_relu"]
            )
        if (
            self.kind in STRIDED
        ):  # the same features, by other layers: the activations have no names
            pads = [f"expanded_conv_{n}_depthwise_pad" for n in STRIDED[self.kind]]
            wide = {f"C{i + 2}": network.get_layer(pad).input for i, pad in enumerate(pads)}
            return {**wide, "C5": network.outputs[-1]}
        return outputs_of(network, [f"conv_pw_{n}_relu" for n in (3, 5, 11, 13)])
