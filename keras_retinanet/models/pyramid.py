"""The feature pyramid: C3..C5 of a backbone -> P3..P7, all of one width.

Lin et al. 2017, arXiv 1612.03144, as RetinaNet uses it (arXiv 1708.02002): P6 is a stride-2 3x3
convolution of C5 and P7 one of ReLU(P6).
"""

import keras

from ..layers import UpSampleLike
from .norms import normalized


def create_pyramid_features(backbone_layers, pyramid_levels, feature_size=256, norm="none"):
    """{"P3": (B, h, w, F), ...} for `pyramid_levels` from {"C2": ..., "C5": ...}.

    Levels 2 to 5 come from the backbone's C2 to C5, each joined by the level above; 6 and 7 are
    strided convolutions. `norm` follows every convolution of levels 2 to 5 ("none" or "group").
    """

    def convolution(x, kernel, name, strides=1):
        layer = keras.layers.Conv2D(feature_size, kernel, strides, padding="same", name=name)
        return layer(x)

    features, above = {}, None
    for level in range(5, min(pyramid_levels) - 1, -1):
        lateral = convolution(backbone_layers[f"C{level}"], 1, f"C{level}_reduced")
        lateral = normalized(lateral, norm, f"C{level}_reduced_norm")
        if above is not None:
            upsampled = UpSampleLike(name=f"P{level + 1}_upsampled")([above, lateral])
            lateral = keras.layers.Add(name=f"P{level}_merged")([upsampled, lateral])
        above = lateral
        name = f"P{level}" if norm == "none" else f"P{level}_convolution"
        features[level] = normalized(convolution(lateral, 3, name), norm, f"P{level}")
    if max(pyramid_levels) >= 6:
        features[6] = convolution(backbone_layers["C5"], 3, "P6", strides=2)
    if max(pyramid_levels) >= 7:
        rectified = keras.layers.ReLU(name="C6_relu")(features[6])
        features[7] = convolution(rectified, 3, "P7", strides=2)
    return {f"P{level}": features[level] for level in sorted(pyramid_levels)}
