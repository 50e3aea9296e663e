"""Box coders: how a box is written relative to its anchor.

A coder has `size` (raw values per anchor), `encode(anchors, boxes, xp)`, `decode(anchors, values,
xp)`, `config`, the dict that `get` makes it from again, and `start`, the raw value that training
starts from. Boxes are (..., 4), xyxy pixels.
"""

import math
from collections import namedtuple

import numpy as np

from .errors import InputError
from .lookup import lookup

BoxCoder = namedtuple("BoxCoder", ["size", "encode", "decode", "config", "start"], defaults=[0.0])

LARGEST_GROWTH = math.log(1000 / 16)  # bounds exp() of a wild prediction, as R-CNN code does
# how dw and dh are bounded before exp(): (smallest, largest)
CLAMPS = {
    "above": (-math.inf, LARGEST_GROWTH),
    "both": (-LARGEST_GROWTH, LARGEST_GROWTH),
    "none": (-math.inf, 20.0),  # far beyond any image, where areas are finite still
}


def _center_size(boxes, xp):
    size = boxes[..., 2:] - boxes[..., :2]  # (..., 2)
    return boxes[..., :2] + size / 2, size


def center_size(variances=(1.0, 1.0, 1.0, 1.0), clamp="above"):
    """R-CNN's coding: (dx, dy, dw, dh) = ((c - cₐ) / sₐ, log(s / sₐ)) / variances.

    SSD divides by the variances (0.1, 0.1, 0.2, 0.2). Girshick et al. 2014, arXiv 1311.2524.
    `clamp` is a key of `CLAMPS`: whether a decoded side is at most 62.5 times that of the anchor,
    or also at least its 62.5th part, or any.
    """
    variances = tuple(float(v) for v in variances)
    if clamp not in CLAMPS:
        raise InputError(f"Expected a clamp among {sorted(CLAMPS)}. Received: {clamp!r}.")
    smallest, largest = CLAMPS[clamp]

    def encode(anchors, boxes, xp=np):
        anchor_center, anchor_size = _center_size(anchors, xp)
        center, size = _center_size(boxes, xp)
        shift = (center - anchor_center) / anchor_size
        growth = xp.log(xp.maximum(size, 1e-3) / anchor_size)
        return xp.concatenate([shift, growth], axis=-1) / xp.array(variances, dtype="float32")

    def decode(anchors, values, xp=np):
        anchor_center, anchor_size = _center_size(anchors, xp)
        values = values * xp.array(variances, dtype="float32")
        center = anchor_center + values[..., :2] * anchor_size
        half = anchor_size * xp.exp(xp.clip(values[..., 2:], smallest, largest)) / 2
        return xp.concatenate([center - half, center + half], axis=-1)

    config = {"name": "center_size", "variances": variances, "clamp": clamp}
    return BoxCoder(4, encode, decode, config)


def corners(mean=(0.0, 0.0, 0.0, 0.0), std=(0.2, 0.2, 0.2, 0.2)):
    """keras-retinanet's coding: each corner's shift over the anchor's side, standardised.

    (x1 - x1ₐ) / wₐ, (y1 - y1ₐ) / hₐ, (x2 - x2ₐ) / wₐ, (y2 - y2ₐ) / hₐ, less `mean`, over `std`.
    """
    mean, std = (tuple(float(v) for v in values) for values in (mean, std))

    def sides(anchors, xp):
        size = anchors[..., 2:] - anchors[..., :2]  # (..., 2)
        return xp.concatenate([size, size], axis=-1)  # (..., 4): w, h, w, h

    def encode(anchors, boxes, xp=np):
        shift = (boxes - anchors) / sides(anchors, xp)
        return (shift - xp.array(mean, dtype="float32")) / xp.array(std, dtype="float32")

    def decode(anchors, values, xp=np):
        shift = values * xp.array(std, dtype="float32") + xp.array(mean, dtype="float32")
        return anchors + shift * sides(anchors, xp)

    return BoxCoder(4, encode, decode, {"name": "corners", "mean": mean, "std": std})


def distances(bins=None, unit=0.125):
    """FCOS's coding: distances of the left, top, right and bottom side from the anchor's centre.

    They are counted in `unit` sides of the anchor. With `bins` the raw values are the logits of a
    distribution over 0..bins for each side, (..., 4 · (bins + 1)), whose mean is the distance;
    `decode` takes distances (..., 4) too. Tian et al. 2019, arXiv 1904.01355; Li et al. 2020,
    "Generalized Focal Loss", arXiv 2006.04388.
    """

    def places(anchors, xp):
        center, size = _center_size(anchors, xp)  # (..., 2) each
        return center, size * unit

    def encode(anchors, boxes, xp=np):
        center, length = places(anchors, xp)
        sides = [(center - boxes[..., :2]) / length, (boxes[..., 2:] - center) / length]
        return xp.concatenate(sides, axis=-1)

    def decode(anchors, values, xp=np):
        center, length = places(anchors, xp)
        if values.shape[-1] != 4:
            values = _means(values, bins, xp)  # (..., 4)
        sides = [center - values[..., :2] * length, center + values[..., 2:] * length]
        return xp.concatenate(sides, axis=-1)

    config = {"name": "distances", "bins": bins, "unit": unit}
    if bins is None:
        return BoxCoder(4, encode, decode, config, start=0.5 / unit)
    return BoxCoder(4 * (bins + 1), encode, decode, config)


def _means(logits, bins, xp):
    """Means of the distributions over 0..bins that logits (..., 4 · (bins + 1)) describe."""
    logits = xp.reshape(logits, (*xp.shape(logits)[:-1], 4, bins + 1))
    weights = xp.exp(logits - xp.max(logits, axis=-1, keepdims=True, initial=-1e30))
    means = xp.sum(weights * xp.arange(bins + 1, dtype="float32"), axis=-1)
    return means / xp.sum(weights, axis=-1)


CODERS = {"center_size": center_size, "corners": corners, "distances": distances}


def get(coder):
    """The BoxCoder for a name, a dict {"name": ..., **arguments}, or a BoxCoder itself."""
    if isinstance(coder, BoxCoder):
        return coder
    make, arguments = lookup(CODERS, coder, "a box coder")
    return make(**arguments)
