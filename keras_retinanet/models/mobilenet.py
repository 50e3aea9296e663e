"""MobileNet v1 of keras.applications. Howard et al. 2017, arXiv 1704.04861."""

import keras

from .backbone import Backbone

IMAGENET = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/"
# as the files spell them
ALPHAS = {"0.25": "2_5", "0.5": "5_0", "0.50": "5_0", "0.75": "7_5", "1.0": "1_0"}


class MobileNetBackbone(Backbone):
    """`mobilenet224_1.0`: the size that the ImageNet weights were trained at, and the width."""

    normalization = "tf"
    allowed_backbones = ("mobilenet128", "mobilenet160", "mobilenet192", "mobilenet224")

    @classmethod
    def allowed(cls):
        return [f"{name}_{alpha}" for name in cls.allowed_backbones for alpha in ALPHAS]

    def network(self, inputs):
        alpha = float(self.backbone.split("_")[1])
        build = keras.applications.MobileNet
        return build(alpha=alpha, include_top=False, weights=None, input_tensor=inputs)

    def taps(self):
        return {f"C{i + 2}": f"conv_pw_{n}_relu" for i, n in enumerate((3, 5, 11, 13))}

    def imagenet(self):
        size, alpha = self.backbone.removeprefix("mobilenet").split("_")
        name = f"mobilenet_{ALPHAS[alpha]}_{size}_tf_no_top.h5"
        return name, IMAGENET + name, None
