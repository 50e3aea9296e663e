"""Adaptive training sample selection: Zhang et al. 2020, arXiv 1912.02424."""

import numpy as np

from ..boxes import iou
from .iou import BACKGROUND, IGNORE


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
    centers = (anchors[:, :2] + anchors[:, 2:]) / 2  # (N, 2)
    candidate = _candidates(centers, boxes, levels or anchors.shape[:1], top_k, xp)  # (N, M)
    overlaps = iou(anchors[:, None], boxes[None], xp)  # (N, M)
    positive = (
        (candidate > 0)
        & (overlaps >= _thresholds(overlaps, candidate, xp))
        & xp.all((centers[:, None] > boxes[:, :2]) & (centers[:, None] < boxes[:, 2:]), axis=-1)
    )  # (N, M)
    overlaps = xp.where(positive, overlaps, -1.0)
    row = xp.argmax(overlaps, axis=1)  # (N,)
    matches = xp.where(xp.any(positive, axis=1), row, BACKGROUND)
    if ignore is not None:
        matches = xp.where((matches >= 0) & xp.take(xp.array(ignore), row), IGNORE, matches)
    return matches


def _candidates(centers, boxes, levels, top_k, xp):
    """1 where an anchor is among the nearest `top_k` of its level to a box, else 0: (N, M)."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2  # (M, 2)
    distance = xp.sum((centers[:, None] - middle[None]) ** 2, axis=-1)  # (N, M)
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
    count = xp.sum(candidate, axis=0)  # (M,), at least 1
    mean = xp.sum(overlaps * candidate, axis=0) / count
    spread = xp.sum(candidate * (overlaps - mean) ** 2, axis=0) / xp.maximum(count - 1, 1)
    return mean + xp.sqrt(spread)
