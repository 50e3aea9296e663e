"""The feature pyramid: C3..C5 of a backbone -> P3..P7, all with the same width.

Lin et al. 2017, arXiv 1612.03144, as RetinaNet uses it (arXiv 1708.02002): P6 is a 3x3 convolution
of C5 with stride 2, and P7 one of ReLU(P6). Some detectors take P6 from P5, or P7 without ReLU.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras

from ..errors import InputError
from ..layers import UpSampleLike
from ..parts import Pyramid
from ..typing import Tensor
from ..utils.text import listed
from .norms import normalized


def create_pyramid_features(
    backbone_layers: dict, pyramid_levels: Sequence[int], feature_size: int = Pyramid.width
) -> dict:
    """Return `feature_pyramid` with these levels and this width."""
    return feature_pyramid(backbone_layers, Pyramid(tuple(pyramid_levels), feature_size))


def feature_pyramid(features: dict, pyramid: Pyramid) -> dict:
    """Return the pyramid of a backbone's features.

    Levels 2 to 5 come from C2 to C5, each added to the level above; 6 and 7 are strided
    convolutions.

    Args:
        features: {"C3": (B, H/8, W/8, C), "C4": ..., "C5": ...}, and C2 for level 2.
        pyramid: the levels, width and other options of the pyramid.

    Returns:
        {"P3": (B, H/8, W/8, F), ...} in the order of the levels, F being the pyramid's width.

    Raises:
        InputError: for a level that the backbone has no features for.
        ValueError: for an unknown `p6_from` or `strided_padding`.
    """
    check(features, pyramid)
    levels, norm = pyramid.levels, pyramid.norm

    def convolution(x: Tensor, kernel: int, name: str) -> Tensor:
        layer = keras.layers.Conv2D(
            pyramid.width, kernel, padding="same", use_bias=norm == "none", name=name
        )
        return layer(x)

    def halved(x: Tensor, name: str) -> Tensor:
        padding = "same"
        if pyramid.strided_padding == "symmetric":
            x, padding = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x), "valid"
        return keras.layers.Conv2D(pyramid.width, 3, 2, padding=padding, name=name)(x)

    made, above = {}, None
    for level in range(5, min(levels) - 1, -1):
        lateral = convolution(features[f"C{level}"], 1, f"C{level}_reduced")
        lateral = normalized(lateral, norm, f"C{level}_reduced_norm")
        if above is not None:
            upsampled = UpSampleLike(name=f"P{level + 1}_upsampled")([above, lateral])
            lateral = keras.layers.Add(name=f"P{level}_merged")([upsampled, lateral])
        above = lateral
        name = f"P{level}" if norm == "none" else f"P{level}_convolution"
        made[level] = normalized(convolution(lateral, 3, name), norm, f"P{level}")
    if max(levels) >= 6:
        made[6] = halved(made[5] if pyramid.p6_from == "P5" else features["C5"], "P6")
    if max(levels) >= 7:
        below = keras.layers.ReLU(name="C6_relu")(made[6]) if pyramid.p7_relu else made[6]
        made[7] = halved(below, "P7")
    return {f"P{level}": made[level] for level in sorted(levels)}


def check(features: dict, pyramid: Pyramid) -> None:
    """Raise the errors that `feature_pyramid` documents."""
    for name, value, known in (
        ("p6_from", pyramid.p6_from, ("C5", "P5")),
        ("strided_padding", pyramid.strided_padding, ("same", "symmetric")),
    ):
        if value not in known:
            raise ValueError(f"Unknown {name} {value!r}; known: {', '.join(known)}.")
    missing = [f"C{n}" for n in range(min(pyramid.levels), 6) if f"C{n}" not in features]
    if missing:
        raise InputError(
            f"The pyramid levels {listed(pyramid.levels)} need the backbone's {listed(missing)}, "
            f"but it gives only {listed(features)}."
        )
