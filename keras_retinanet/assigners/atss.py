"""Adaptive training sample selection: Zhang et al. 2020, arXiv 1912.02424."""

import numpy as np

from ..boxes import iou
from .iou import BACKGROUND, IGNORE
from .near import middles, near


def assign(anchors, boxes, ignore=None, levels=None, top_k=9, xp=np):
    """The row of the box that each anchor stands for: (N,) int, -1 background, -2 ignore.

    anchors (N, 4) and boxes (M, 4) are xyxy px; `levels` are the numbers of anchors on each pyramid
    level, N in all. The candidates of a box are the `top_k` anchors of each level whose centres are
    nearest to its own. An anchor stands for the box if it is a candidate, its IoU is at least the
    mean plus the standard deviation of the candidates', and its centre lies inside the box; of
    several boxes, for the one of highest IoU. `ignore` (M,) bool marks boxes whose anchors are left
    out.
    """
    if boxes.shape[0] == 0:
        return xp.full(anchors.shape[:1], BACKGROUND, dtype="int32")
    x = (anchors[:, :1] + anchors[:, 2:3]) / 2  # (N, 1), of the centres
    y = (anchors[:, 1:2] + anchors[:, 3:]) / 2
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2  # (M, 2)
    distance = (x - middle[:, 0]) ** 2 + (y - middle[:, 1]) ** 2  # (N, M)
    candidate = _nearest(distance, levels or anchors.shape[:1], top_k, xp)  # (N, M)
    overlaps = iou(anchors[:, None], boxes[None], xp)  # (N, M)
    positive = (
        (candidate > 0)
        & (overlaps >= _thresholds(overlaps, candidate, xp))
        & ((x > boxes[:, 0]) & (x < boxes[:, 2]) & (y > boxes[:, 1]) & (y < boxes[:, 3]))
    )  # (N, M)
    overlaps = xp.where(positive, overlaps, -1.0)
    row = xp.argmax(overlaps, axis=1)  # (N,)
    matches = xp.where(xp.any(positive, axis=1), row, BACKGROUND)
    if ignore is not None:
        matches = xp.where((matches >= 0) & xp.take(xp.array(ignore), row), IGNORE, matches)
    return matches


def _nearest(distance, levels, top_k, xp):
    """1 where an anchor is among the nearest `top_k` of its level to a box, else 0: (N, M)."""
    found, start = [], 0
    for count in levels:
        found.append(_smallest(distance[start : start + count], min(top_k, count), xp))  # (n, M)
        start += count
    return xp.concatenate(found, axis=0)


def _smallest(values, number, xp):
    """1 at the `number` smallest of each column of values (n, M), of equal ones the first: (n, M).

    NumPy need not sort for that; a mask of ranks, (number, n, M), would not fit into memory.
    """
    ordered = np.partition(values, number - 1, axis=0) if xp is np else xp.sort(values, axis=0)
    last = ordered[number - 1]  # (M,)
    below, ties = values < last, values == last  # (n, M)
    left = number - xp.sum(xp.where(below, 1, 0), axis=0)  # (M,), of the ties
    first = xp.cumsum(xp.where(ties, 1, 0), axis=0) <= left  # (n, M)
    return xp.where(below | (ties & first), 1.0, 0.0)


def _thresholds(overlaps, candidate, xp):
    """Mean plus standard deviation of the candidates' IoU for each box: (M,)."""

    def total(values):  # added one by one, so that the zeros between candidates change no rounding
        return xp.cumsum(values, axis=0)[-1]

    count = xp.sum(candidate, axis=0)  # (M,), at least 1
    mean = total(overlaps * candidate) / count
    spread = total(candidate * (overlaps - mean) ** 2) / xp.maximum(count - 1, 1)
    return mean + xp.sqrt(spread)


def candidates(grid, boxes, top_k=9):
    """The anchors of a grid among which are the nearest `top_k` of each level: (N,) bool.

    Any block of as many places as that takes reaches at least as far as the nearest of them do.
    """
    places = -(-top_k // grid.sizes.shape[1])
    rows, columns = grid.shapes.T  # (L,)
    wide = np.minimum(int(np.ceil(places**0.5)), columns)  # (L,)
    high = np.minimum(-(-places // wide), rows)
    wide = np.minimum(-(-places // high), columns)
    block = np.stack([wide, high], axis=-1)  # (L, 2)
    middle = middles(boxes)[:, None]  # (M, 1, 2)
    half = (block - 1) / 2  # (L, 2), from the first place to the middle of the block
    first = np.round(middle / grid.strides - grid.offset - half)  # (M, L, 2)
    first = np.clip(first, 0, grid.shapes[:, ::-1] - block)
    center = (first + half + grid.offset) * grid.strides  # (M, L, 2), of the block
    farthest = np.abs(middle - center) + half * grid.strides  # (M, L, 2)
    reach = np.sqrt((farthest**2).sum(axis=-1))  # (M, L)
    return near(grid, boxes, np.repeat(reach[:, :, None, None], 2, axis=-1))
