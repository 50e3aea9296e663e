"""EfficientNet B0 to B7 and V2 of keras.applications.

Tan and Le 2019, arXiv 1905.11946, and 2021, arXiv 2104.00298.
"""

import keras

from .backbone import Backbone, outputs_of

V1 = "https://storage.googleapis.com/keras-applications/"
V2 = "https://storage.googleapis.com/tensorflow/keras-applications/efficientnet_v2/"
APPLICATIONS = {
    "efficientnetb0": keras.applications.EfficientNetB0,
    "efficientnetb1": keras.applications.EfficientNetB1,
    "efficientnetb2": keras.applications.EfficientNetB2,
    "efficientnetb3": keras.applications.EfficientNetB3,
    "efficientnetb4": keras.applications.EfficientNetB4,
    "efficientnetb5": keras.applications.EfficientNetB5,
    "efficientnetb6": keras.applications.EfficientNetB6,
    "efficientnetb7": keras.applications.EfficientNetB7,
    "efficientnetv2b0": keras.applications.EfficientNetV2B0,
    "efficientnetv2b1": keras.applications.EfficientNetV2B1,
    "efficientnetv2b2": keras.applications.EfficientNetV2B2,
    "efficientnetv2b3": keras.applications.EfficientNetV2B3,
    "efficientnetv2s": keras.applications.EfficientNetV2S,
    "efficientnetv2m": keras.applications.EfficientNetV2M,
    "efficientnetv2l": keras.applications.EfficientNetV2L,
}
# file without the top and its MD5, as Keras publishes them
FILES = {
    "efficientnetb0": ("efficientnetb0_notop.h5", "50bc09e76180e00e4465e1a485ddc09d"),
    "efficientnetb1": ("efficientnetb1_notop.h5", "74c4e6b3e1f6a1eea24c589628592432"),
    "efficientnetb2": ("efficientnetb2_notop.h5", "111f8e2ac8aa800a7a99e3239f7bfb39"),
    "efficientnetb3": ("efficientnetb3_notop.h5", "af6d107764bb5b1abb91932881670226"),
    "efficientnetb4": ("efficientnetb4_notop.h5", "ebc24e6d6c33eaebbd558eafbeedf1ba"),
    "efficientnetb5": ("efficientnetb5_notop.h5", "38879255a25d3c92d5e44e04ae6cec6f"),
    "efficientnetb6": ("efficientnetb6_notop.h5", "9ecce42647a20130c1f39a5d4cb75743"),
    "efficientnetb7": ("efficientnetb7_notop.h5", "cbcfe4450ddf6f3ad90b1b398090fe4a"),
    "efficientnetv2b0": ("efficientnetv2-b0_notop.h5", "893217f2bb855e2983157299931e43ff"),
    "efficientnetv2b1": ("efficientnetv2-b1_notop.h5", "0e80663031ca32d657f9caa404b6ec37"),
    "efficientnetv2b2": ("efficientnetv2-b2_notop.h5", "1dfe2e7a5d45b6632553a8961ea609eb"),
    "efficientnetv2b3": ("efficientnetv2-b3_notop.h5", "f6abf7b5849ac99a89b50dd3fd532856"),
    "efficientnetv2s": ("efficientnetv2-s_notop.h5", "af0682fb74e8c54910f2d4393339c070"),
    "efficientnetv2m": ("efficientnetv2-m_notop.h5", "1b8dc055df72dde80d614482840fe342"),
    "efficientnetv2l": ("efficientnetv2-l_notop.h5", "b0b66b5c863aef5b46e8608fe1711615"),
}


class EfficientNetBackbone(Backbone):
    """`efficientnetb0` to `b7`; `efficientnetv2b0` to `b3`, `efficientnetv2s`, `m`, `l`."""

    stem = "stem_activation"

    @classmethod
    def allowed(cls):
        return list(APPLICATIONS)

    @property
    def second(self):
        """Whether it is a V2."""
        return self.backbone.startswith("efficientnetv2")

    @property
    def normalization(self):
        if not self.second:
            return "efficientnet"
        return "torch" if "v2b" in self.backbone else "efficientnetv2"

    def network(self, inputs):
        options = {"include_top": False, "weights": None, "input_tensor": inputs}
        if self.second:
            options["include_preprocessing"] = False
        return APPLICATIONS[self.backbone](**options)

    def taps(self, network):
        # of strided blocks the wide part before the stride, as keras-retinanet
        names = ["block4a_expand_activation", "block6a_expand_activation", "top_activation"]
        features = outputs_of(network, names)
        if self.second:  # the convolution that widens block 3 is the strided one
            return {"C2": network.get_layer("block3a_expand_conv").input, **features}
        return {"C2": network.get_layer("block3a_expand_activation").output, **features}

    def imagenet(self):
        name, digest = FILES[self.backbone]
        return name, (V2 if self.second else V1) + name, digest
