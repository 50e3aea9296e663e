"""VGG-16 and VGG-19 of keras.applications. Simonyan and Zisserman 2015, arXiv 1409.1556."""

import keras

from .backbone import Backbone, outputs_of

IMAGENET = "https://storage.googleapis.com/tensorflow/keras-applications/"
HASHES = {"vgg16": "6d6bbae143d832006294945121d1f1fc", "vgg19": "253f8cb515780f3b799900260a226db6"}
APPLICATIONS = {"vgg16": keras.applications.VGG16, "vgg19": keras.applications.VGG19}


class VGGBackbone(Backbone):
    """`vgg16` or `vgg19`."""

    normalization = "caffe"
    stem = "block1_pool"

    @classmethod
    def allowed(cls):
        return list(APPLICATIONS)

    def network(self, inputs):
        build = APPLICATIONS[self.backbone]
        return build(include_top=False, weights=None, input_tensor=inputs)

    def taps(self, network):
        return outputs_of(network, [f"block{n}_pool" for n in (2, 3, 4, 5)])

    def imagenet(self):
        name = f"{self.backbone}_weights_tf_dim_ordering_tf_kernels_notop.h5"
        return name, f"{IMAGENET}{self.backbone}/{name}", HASHES[self.backbone]
