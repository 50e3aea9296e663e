"""DenseNet-121/169/201 of keras.applications. Huang et al. 2017, arXiv 1608.06993."""

import keras

from .applications import STORAGE, ApplicationsBackbone
from .backbone import outputs_of

BLOCKS = {
    "densenet121": (6, 12, 24, 16),
    "densenet169": (6, 12, 32, 32),
    "densenet201": (6, 12, 48, 32),
}
APPLICATIONS = {
    "densenet121": (keras.applications.DenseNet121, "30ee3e1110167f948a6b9946edeeb738"),
    "densenet169": (keras.applications.DenseNet169, "b8c4d4c20dd625c148057b9ff1c1176b"),
    "densenet201": (keras.applications.DenseNet201, "c13680b51ded0fb44dff2d8f86ac8bb1"),
}


class DenseNetBackbone(ApplicationsBackbone):
    """`densenet121`, `densenet169` or `densenet201`."""

    applications = APPLICATIONS
    url = f"{STORAGE}/densenet/{{0}}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    normalization = "torch"
    stem = "pool1"

    def taps(self, network: keras.Model) -> dict:
        blocks = enumerate(BLOCKS[self.backbone])
        return outputs_of(network, [f"conv{i + 2}_block{n}_concat" for i, n in blocks])
