"""MobileNet v1, v2 and v3 of keras.applications.

Howard et al. 2017, arXiv 1704.04861; Sandler et al. 2018, arXiv 1801.04381; Howard et al. 2019,
arXiv 1905.02244.
"""

import keras

from .backbone import Backbone, outputs_of

IMAGENET = "https://storage.googleapis.com/tensorflow/keras-applications/"
# as the files spell them
ALPHAS = {"0.25": "2_5", "0.5": "5_0", "0.50": "5_0", "0.75": "7_5", "1.0": "1_0"}
ALPHAS_V2 = {
    name: str(float(name)) for name in ("0.35", "0.5", "0.50", "0.75", "1.0", "1.3", "1.4")
}
ALPHAS_V3 = ("0.75", "1.0")
# by width, MD5 of the files without the top, as Keras publishes them
HASHES = {
    "mobilenetv3small_0.75": "ebdb5cc8e0b497cd13a7c275d475c819",
    "mobilenetv3small_1.0": "d3e8ec802a04aa4fc771ee12a9a9b836",
    "mobilenetv3large_0.75": "40af19a13ebea4e2ee0c676887f69a2e",
    "mobilenetv3large_1.0": "07fb09a5933dd0c8eaafa16978110389",
}
# the blocks that stride to 1/8, 1/16 and 1/32
STRIDED = {"mobilenetv3small": (1, 3, 8), "mobilenetv3large": (3, 6, 12)}


class MobileNetBackbone(Backbone):
    """`mobilenet224_1.0`, the size that the ImageNet weights were trained at, and the width;
    `mobilenetv2_1.0`, `mobilenetv3small_1.0`, `mobilenetv3large_1.0`.
    """

    normalization = "tf"
    allowed_backbones = ("mobilenet128", "mobilenet160", "mobilenet192", "mobilenet224")

    @classmethod
    def allowed(cls):
        first = [f"{name}_{alpha}" for name in cls.allowed_backbones for alpha in ALPHAS]
        return [*first, *(f"mobilenetv2_{alpha}" for alpha in ALPHAS_V2), *HASHES]

    @property
    def kind(self):
        """The name without its width."""
        return self.backbone.split("_")[0]

    @property
    def stem(self):
        return {"mobilenetv2": "Conv1_relu", **dict.fromkeys(STRIDED, "conv_bn")}.get(
            self.kind, "conv1_relu"
        )

    def network(self, inputs):
        options = {"include_top": False, "weights": None, "input_tensor": inputs}
        options["alpha"] = float(self.backbone.split("_")[1])
        if self.kind == "mobilenetv2":
            return keras.applications.MobileNetV2(**options)
        if self.kind == "mobilenetv3small":
            return keras.applications.MobileNetV3Small(include_preprocessing=False, **options)
        if self.kind == "mobilenetv3large":
            return keras.applications.MobileNetV3Large(include_preprocessing=False, **options)
        return keras.applications.MobileNet(**options)

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

    def imagenet(self):
        alpha = self.backbone.split("_")[1]
        if self.kind == "mobilenetv2":
            kernels = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels"
            name = f"{kernels}_{ALPHAS_V2[alpha]}_224_no_top.h5"
            return name, f"{IMAGENET}mobilenet_v2/{name}", None
        if self.kind in STRIDED:
            size = self.kind.removeprefix("mobilenetv3")
            name = f"weights_mobilenet_v3_{size}_224_{alpha}_float_no_top_v2.h5"
            return name, f"{IMAGENET}mobilenet_v3/{name}", HASHES[self.backbone]
        name = f"mobilenet_{ALPHAS[alpha]}_{self.kind.removeprefix('mobilenet')}_tf_no_top.h5"
        return name, f"{IMAGENET}mobilenet/{name}", None
