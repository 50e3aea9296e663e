"""Box coders, which write a box relative to its anchor. Boxes are (..., 4), xyxy px."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .choices import CODERS, lookup
from .errors import InputError
from .typing import ArrayModule, Tensor


class BoxCoder(NamedTuple):
    """A box coder, of `size` raw values for each anchor."""

    size: int
    encode: Callable[..., Tensor]  # (anchors, boxes, xp) -> values
    decode: Callable[..., Tensor]  # (anchors, values, xp) -> boxes
    config: dict[str, Any]  # from which `get` rebuilds the coder
    start: float = 0.0  # the raw value that training starts from


LARGEST_GROWTH = math.log(1000 / 16)  # bounds exp() of a wild prediction, as R-CNN code does
# bounds of dw and dh before exp(): (smallest, largest)
CLAMPS = {
    "above": (-math.inf, LARGEST_GROWTH),
    "both": (-LARGEST_GROWTH, LARGEST_GROWTH),
    "none": (-math.inf, 20.0),  # far beyond any image, but areas are still finite
}


def _center_size(boxes: Tensor, xp: ArrayModule) -> tuple[Tensor, Tensor]:
    size = boxes[..., 2:] - boxes[..., :2]  # (..., 2)
    return boxes[..., :2] + size / 2, size


def _four(name: str, values: Sequence[float]) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != 4:
        raise InputError(f"{name} must be four numbers, got {len(numbers)}.")
    return numbers


def center_size(
    variances: Sequence[float] = (1.0, 1.0, 1.0, 1.0), clamp: str = "above"
) -> BoxCoder:
    """R-CNN's coding: (dx, dy, dw, dh) = ((c - cₐ) / sₐ, log(s / sₐ)) / variances.

    SSD divides by the variances (0.1, 0.1, 0.2, 0.2). Girshick et al. 2014, arXiv 1311.2524.
    With `clamp` "above" a decoded side is at most 62.5 times the anchor's, with "both" it is also
    at least 1/62.5 of it, with "none" it has no such bounds.

    Raises:
        InputError: for an unknown `clamp`.

    >>> anchor, box = np.array([0.0, 0, 10, 10]), np.array([5.0, 0, 15, 20])
    >>> deltas = center_size().encode(anchor, box)
    >>> print(deltas.round(3))  # the shift of the centre, and log(20 / 10) for the height
    [0.5   0.5   0.    0.693]
    >>> print(center_size().decode(anchor, deltas))
    [ 5.  0. 15. 20.]
    """
    variances = _four("variances", variances)
    if clamp not in CLAMPS:
        raise InputError(f"Unknown clamp {clamp!r}; known: {', '.join(CLAMPS)}.")
    smallest, largest = CLAMPS[clamp]

    def encode(anchors: Tensor, boxes: Tensor, xp: ArrayModule = np) -> Tensor:
        anchor_center, anchor_size = _center_size(anchors, xp)
        center, size = _center_size(boxes, xp)
        shift = (center - anchor_center) / anchor_size
        growth = xp.log(xp.maximum(size, 1e-3) / anchor_size)
        return xp.concatenate([shift, growth], axis=-1) / xp.array(variances, dtype="float32")

    def decode(anchors: Tensor, values: Tensor, xp: ArrayModule = np) -> Tensor:
        anchor_center, anchor_size = _center_size(anchors, xp)
        values = values * xp.array(variances, dtype="float32")
        center = anchor_center + values[..., :2] * anchor_size
        half = anchor_size * xp.exp(xp.clip(values[..., 2:], smallest, largest)) / 2
        return xp.concatenate([center - half, center + half], axis=-1)

    config = {"name": "center_size", "variances": variances, "clamp": clamp}
    return BoxCoder(4, encode, decode, config)


def corners(
    mean: Sequence[float] = (0.0, 0.0, 0.0, 0.0), std: Sequence[float] = (0.2, 0.2, 0.2, 0.2)
) -> BoxCoder:
    """keras-retinanet's coding: each corner's shift over the anchor's side, standardized.

    (x1 - x1ₐ) / wₐ, (y1 - y1ₐ) / hₐ, (x2 - x2ₐ) / wₐ, (y2 - y2ₐ) / hₐ, less `mean`, over `std`.
    """
    mean, std = _four("mean", mean), _four("std", std)

    def sides(anchors: Tensor, xp: ArrayModule) -> Tensor:
        size = anchors[..., 2:] - anchors[..., :2]  # (..., 2)
        return xp.concatenate([size, size], axis=-1)  # (..., 4): w, h, w, h

    def encode(anchors: Tensor, boxes: Tensor, xp: ArrayModule = np) -> Tensor:
        shift = (boxes - anchors) / sides(anchors, xp)
        return (shift - xp.array(mean, dtype="float32")) / xp.array(std, dtype="float32")

    def decode(anchors: Tensor, values: Tensor, xp: ArrayModule = np) -> Tensor:
        shift = values * xp.array(std, dtype="float32") + xp.array(mean, dtype="float32")
        return anchors + shift * sides(anchors, xp)

    return BoxCoder(4, encode, decode, {"name": "corners", "mean": mean, "std": std})


def distances(bins: int | None = None, unit: float = 0.125) -> BoxCoder:
    """FCOS's coding: distances of the left, top, right and bottom side from the anchor's centre.

    The unit of a distance is `unit` times the anchor's side. With `bins` the raw values are the
    logits of a distribution over 0..bins for each side, (..., 4 · (bins + 1)), whose mean is the
    distance; `decode` takes distances (..., 4) too. Tian et al. 2019, arXiv 1904.01355; Li et al.
    2020, "Generalized Focal Loss", arXiv 2006.04388.

    >>> anchor, box = np.array([0.0, 0, 8, 8]), np.array([2.0, 0, 8, 12])
    >>> print(distances().encode(anchor, box))  # 2, 4, 4 and 8 px, in units of 1 px
    [2. 4. 4. 8.]
    """

    def places(anchors: Tensor, xp: ArrayModule) -> tuple[Tensor, Tensor]:
        center, size = _center_size(anchors, xp)  # (..., 2) each
        return center, size * unit

    def encode(anchors: Tensor, boxes: Tensor, xp: ArrayModule = np) -> Tensor:
        center, length = places(anchors, xp)
        sides = [(center - boxes[..., :2]) / length, (boxes[..., 2:] - center) / length]
        return xp.concatenate(sides, axis=-1)

    def decode(anchors: Tensor, values: Tensor, xp: ArrayModule = np) -> Tensor:
        center, length = places(anchors, xp)
        if values.shape[-1] != 4:
            values = _means(values, bins or 0, xp)  # (..., 4)
        sides = [center - values[..., :2] * length, center + values[..., 2:] * length]
        return xp.concatenate(sides, axis=-1)

    config = {"name": "distances", "bins": bins, "unit": unit}
    if bins is None:
        return BoxCoder(4, encode, decode, config, start=0.5 / unit)
    return BoxCoder(4 * (bins + 1), encode, decode, config)


def _means(logits: Tensor, bins: int, xp: ArrayModule) -> Tensor:
    """Return the means (..., 4) of distributions over 0..bins from logits (..., 4 · (bins + 1))."""
    logits = xp.reshape(logits, (*xp.shape(logits)[:-1], 4, bins + 1))
    weights = xp.exp(logits - xp.max(logits, axis=-1, keepdims=True, initial=-1e30))
    means = xp.sum(weights * xp.arange(bins + 1, dtype="float32"), axis=-1)
    return means / xp.sum(weights, axis=-1)


def get(coder: BoxCoder | str | dict) -> BoxCoder:
    """Return the box coder of a name or a dict {"name": ..., **arguments}; a BoxCoder as it is.

    Raises:
        ValueError: for an unknown name; lists the known ones.
    """
    if isinstance(coder, BoxCoder):
        return coder
    make, arguments = lookup(CODERS, coder, "box coder")
    return make(**arguments)
