"""ConvNeXt tiny, small and base of keras.applications. Liu et al. 2022, arXiv 2201.03545."""

import keras

from .backbone import Backbone
from .replace import replace_layers, with_quick_groups

APPLICATIONS = {
    "convnext_tiny": keras.applications.ConvNeXtTiny,
    "convnext_small": keras.applications.ConvNeXtSmall,
    "convnext_base": keras.applications.ConvNeXtBase,
}
IMAGENET = "https://storage.googleapis.com/tensorflow/keras-applications/convnext/"
# SHA-256 of the files without the top, as Keras publishes them
HASHES = {
    "convnext_tiny": "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    "convnext_small": "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
    "convnext_base": "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
}


class ConvNeXtBackbone(Backbone):
    """`convnext_tiny`, `convnext_small` or `convnext_base`.

    C2 to C4 go through layer norms of their own, as in the paper's detectors, and C5 through that
    of the network.
    """

    normalization = "torch"

    @classmethod
    def allowed(cls):
        return list(APPLICATIONS)

    @property
    def stem(self):
        return f"{self.backbone}_stem"

    def network(self, inputs):
        build = APPLICATIONS[self.backbone]
        options = {"include_top": False, "weights": None, "include_preprocessing": False}
        network = build(input_tensor=inputs, **options)
        return replace_layers(network, with_quick_groups)

    def taps(self, network):
        names = [f"{self.backbone}_downsampling_block_{i}" for i in range(3)]
        features = {f"C{i + 2}": network.get_layer(name).input for i, name in enumerate(names)}
        return {**features, "C5": network.outputs[-1]}

    def features(self, *args, **kwargs):
        features = super().features(*args, **kwargs)
        norms = {
            level: keras.layers.LayerNormalization(epsilon=1e-6, name=f"{level}_norm")
            for level in ("C2", "C3", "C4")
        }
        return {**features, **{level: norm(features[level]) for level, norm in norms.items()}}

    def imagenet(self):
        name = f"{self.backbone}_notop.h5"
        return name, IMAGENET + name, HASHES[self.backbone]
