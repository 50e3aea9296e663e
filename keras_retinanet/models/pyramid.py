"""The feature pyramid: C3..C5 of a backbone -> P3..P7, all of one width.

Lin et al. 2017, arXiv 1612.03144, as RetinaNet uses it (arXiv 1708.02002): P6 is a stride-2 3x3
convolution of C5 and P7 one of ReLU(P6). Others take P6 from P5, or P7 from P6 without ReLU.
"""

import keras

from ..errors import InputError
from ..layers import UpSampleLike
from ..utils.text import listed
from .norms import normalized


def create_pyramid_features(
    backbone_layers,
    pyramid_levels,
    feature_size=256,
    norm="none",
    p6_from="C5",
    p7_relu=True,
    strided_padding="same",
):
    """{"P3": (B, h, w, F), ...} for `pyramid_levels` from {"C2": ..., "C5": ...}.

    Levels 2 to 5 come from the backbone's C2 to C5, each joined by the level above; 6 and 7 are
    strided convolutions, of `p6_from` ("C5" or "P5") and of P6, with `p7_relu` of ReLU(P6).
    `norm` follows every convolution of levels 2 to 5 ("none" or "group"). `strided_padding` is
    Keras's "same", which pads an even side at its end alone, or PyTorch's "symmetric". Raises an
    InputError for a level that the backbone has no features for.
    """
    if p6_from not in ("C5", "P5") or strided_padding not in ("same", "symmetric"):
        raise ValueError(
            "Expected p6_from among ['C5', 'P5'], strided_padding among ['same', 'symmetric']. "
            f"Received: {p6_from!r}, {strided_padding!r}."
        )
    lacking = [f"C{n}" for n in range(min(pyramid_levels), 6) if f"C{n}" not in backbone_layers]
    if lacking:
        raise InputError(
            f"Expected {listed(lacking)} of the backbone for the pyramid levels "
            f"{listed(pyramid_levels)}. Received: {listed(backbone_layers)}."
        )

    def convolution(x, kernel, name, bias=True):
        layer = keras.layers.Conv2D(feature_size, kernel, padding="same", use_bias=bias, name=name)
        return layer(x)

    def halved(x, name):
        padding = "same"
        if strided_padding == "symmetric":
            x, padding = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x), "valid"
        return keras.layers.Conv2D(feature_size, 3, 2, padding=padding, name=name)(x)

    bias = norm == "none"  # a norm has its own
    features, above = {}, None
    for level in range(5, min(pyramid_levels) - 1, -1):
        lateral = convolution(backbone_layers[f"C{level}"], 1, f"C{level}_reduced", bias)
        lateral = normalized(lateral, norm, f"C{level}_reduced_norm")
        if above is not None:
            upsampled = UpSampleLike(name=f"P{level + 1}_upsampled")([above, lateral])
            lateral = keras.layers.Add(name=f"P{level}_merged")([upsampled, lateral])
        above = lateral
        name = f"P{level}" if norm == "none" else f"P{level}_convolution"
        features[level] = normalized(convolution(lateral, 3, name, bias), norm, f"P{level}")
    if max(pyramid_levels) >= 6:
        features[6] = halved(features[5] if p6_from == "P5" else backbone_layers["C5"], "P6")
    if max(pyramid_levels) >= 7:
        below = keras.layers.ReLU(name="C6_relu")(features[6]) if p7_relu else features[6]
        features[7] = halved(below, "P7")
    return {f"P{level}": features[level] for level in sorted(pyramid_levels)}
