"""EfficientNet B0 to B7 and V2 of keras.applications.

Tan and Le 2019, arXiv 1905.11946, and 2021, arXiv 2104.00298.
"""

from typing import Any

import keras

from .applications import STORAGE, ApplicationsBackbone
from .backbone import outputs_of

APPLICATIONS = {
    "efficientnetb0": (keras.applications.EfficientNetB0, "50bc09e76180e00e4465e1a485ddc09d"),
    "efficientnetb1": (keras.applications.EfficientNetB1, "74c4e6b3e1f6a1eea24c589628592432"),
    "efficientnetb2": (keras.applications.EfficientNetB2, "111f8e2ac8aa800a7a99e3239f7bfb39"),
    "efficientnetb3": (keras.applications.EfficientNetB3, "af6d107764bb5b1abb91932881670226"),
    "efficientnetb4": (keras.applications.EfficientNetB4, "ebc24e6d6c33eaebbd558eafbeedf1ba"),
    "efficientnetb5": (keras.applications.EfficientNetB5, "38879255a25d3c92d5e44e04ae6cec6f"),
    "efficientnetb6": (keras.applications.EfficientNetB6, "9ecce42647a20130c1f39a5d4cb75743"),
    "efficientnetb7": (keras.applications.EfficientNetB7, "cbcfe4450ddf6f3ad90b1b398090fe4a"),
    "efficientnetv2b0": (keras.applications.EfficientNetV2B0, "893217f2bb855e2983157299931e43ff"),
    "efficientnetv2b1": (keras.applications.EfficientNetV2B1, "0e80663031ca32d657f9caa404b6ec37"),
    "efficientnetv2b2": (keras.applications.EfficientNetV2B2, "1dfe2e7a5d45b6632553a8961ea609eb"),
    "efficientnetv2b3": (keras.applications.EfficientNetV2B3, "f6abf7b5849ac99a89b50dd3fd532856"),
    "efficientnetv2s": (keras.applications.EfficientNetV2S, "af0682fb74e8c54910f2d4393339c070"),
    "efficientnetv2m": (keras.applications.EfficientNetV2M, "1b8dc055df72dde80d614482840fe342"),
    "efficientnetv2l": (keras.applications.EfficientNetV2L, "b0b66b5c863aef5b46e8608fe1711615"),
}


class EfficientNetBackbone(ApplicationsBackbone):
    """`efficientnetb0` to `b7`; `efficientnetv2b0` to `b3`, `efficientnetv2s`, `m`, `l`."""

    applications = APPLICATIONS
    url = "https://storage.googleapis.com/keras-applications/{0}_notop.h5"
    normalization = "efficientnet"
    stem = "stem_activation"

    def __init__(self, backbone: str, **options: Any) -> None:
        super().__init__(backbone, **options)
        self.second = self.backbone.startswith("efficientnetv2")
        if self.second:
            name = self.backbone.replace("v2", "v2-")
            self.url = f"{STORAGE}/efficientnet_v2/{name}_notop.h5"
            self.arguments = {"include_preprocessing": False}
            self.normalization = "torch" if "v2b" in self.backbone else "efficientnetv2"

    def taps(self, network: keras.Model) -> dict:
        # the wide features of a strided block, before the stride, as in keras-retinanet
        names = ["block4a_expand_activation", "block6a_expand_activation", "top_activation"]
        features = outputs_of(network, names)
        if self.second:  # the convolution that widens block 3 is the strided one
            return {"C2": network.get_layer("block3a_expand_conv").input, **features}
        return {"C2": network.get_layer("block3a_expand_activation").output, **features}
