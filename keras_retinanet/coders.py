"""Box coders: how a box is written relative to its anchor.

A coder has `size` (values per anchor), `encode(anchors, boxes, xp)` and `decode(anchors, values,
xp)`, and `config`, the dict that `get` makes it from again. All arrays are (..., 4), xyxy pixels.
"""

import math
from collections import namedtuple

import numpy as np

BoxCoder = namedtuple("BoxCoder", ["size", "encode", "decode", "config"])

LARGEST_GROWTH = math.log(1000 / 16)  # bounds exp() of a wild prediction, as R-CNN code does


def _center_size(boxes, xp):
    size = boxes[..., 2:] - boxes[..., :2]  # (..., 2)
    return boxes[..., :2] + size / 2, size


def center_size(variances=(1.0, 1.0, 1.0, 1.0)):
    """R-CNN's coding: (dx, dy, dw, dh) = ((c - cₐ) / sₐ, log(s / sₐ)) / variances.

    SSD divides by the variances (0.1, 0.1, 0.2, 0.2). Girshick et al. 2014, arXiv 1311.2524.
    """
    variances = tuple(float(v) for v in variances)

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
        half = anchor_size * xp.exp(xp.minimum(values[..., 2:], LARGEST_GROWTH)) / 2
        return xp.concatenate([center - half, center + half], axis=-1)

    return BoxCoder(4, encode, decode, {"name": "center_size", "variances": variances})


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


CODERS = {"center_size": center_size, "corners": corners}


def get(coder):
    """The BoxCoder for a name, a dict {"name": ..., **arguments}, or a BoxCoder itself."""
    if isinstance(coder, BoxCoder):
        return coder
    arguments = {"name": coder} if isinstance(coder, str) else dict(coder)
    name = arguments.pop("name")
    if name not in CODERS:
        raise ValueError(f"Expected a box coder among {sorted(CODERS)}. Received: {name!r}.")
    return CODERS[name](**arguments)
