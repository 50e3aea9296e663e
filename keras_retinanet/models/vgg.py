"""VGG-16 and VGG-19 of keras.applications. Simonyan and Zisserman 2015, arXiv 1409.1556."""

import keras

from .applications import STORAGE, ApplicationsBackbone
from .backbone import outputs_of

APPLICATIONS = {
    "vgg16": (keras.applications.VGG16, "6d6bbae143d832006294945121d1f1fc"),
    "vgg19": (keras.applications.VGG19, "253f8cb515780f3b799900260a226db6"),
}


class VGGBackbone(ApplicationsBackbone):
    """`vgg16` or `vgg19`."""

    applications = APPLICATIONS
    url = f"{STORAGE}/{{0}}/{{0}}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    normalization = "caffe"
    stem = "block1_pool"

    def taps(self, network: keras.Model) -> dict:
        return outputs_of(network, [f"block{n}_pool" for n in (2, 3, 4, 5)])
