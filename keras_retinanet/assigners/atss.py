"""Adaptive training sample selection: Zhang et al. 2020, arXiv 1912.02424."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..boxes import iou
from ..typing import ArrayModule, Tensor
from .iou import BACKGROUND, IGNORE
from .near import middles, near

if TYPE_CHECKING:
    from ..utils.anchors import Grid


def assign(
    anchors: Tensor,
    boxes: Tensor,
    ignore: Tensor | None = None,
    levels: Sequence[int] | None = None,
    top_k: int = 9,
    xp: ArrayModule = np,
) -> Tensor:
    """Return the row of each anchor's box: (N,) int, -1 for background, -2 to ignore the anchor.

    The candidates of a box are the `top_k` anchors of each level whose centres are nearest to the
    box's centre. An anchor is matched to a box if it is a candidate, its IoU is at least the mean
    plus the standard deviation of the candidates' IoUs, and its centre lies inside the box. If this
    holds for several boxes, it is matched to the box with the highest IoU.

    Args:
        anchors: (N, 4), xyxy px.
        boxes: (M, 4), xyxy px.
        ignore: (M,) bool, True for ignored boxes: their anchors are ignored too.
        levels: the number of anchors on each pyramid level, by default one level.

    >>> anchors = np.array([[0.0, 0, 10, 10], [10, 0, 20, 10], [20, 0, 30, 10]])
    >>> print(assign(anchors, np.array([[9.0, 0, 19, 10]])))  # IoUs 0.05, 0.82, 0: above 0.75
    [-1  0 -1]
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


def _nearest(distance: Tensor, levels: Sequence[int], top_k: int, xp: ArrayModule) -> Tensor:
    """Return 1 where an anchor is one of the `top_k` of its level nearest to a box, else 0."""
    found, start = [], 0
    for count in levels:
        found.append(_smallest(distance[start : start + count], min(top_k, count), xp))  # (n, M)
        start += count
    return xp.concatenate(found, axis=0)


def _smallest(values: Tensor, number: int, xp: ArrayModule) -> Tensor:
    """Return 1 at the `number` smallest of each column of values, ties in order, else 0: (n, M).

    This avoids a sort, and a mask of ranks (number, n, M), which would not fit into memory.
    """
    ordered = np.partition(values, number - 1, axis=0) if xp is np else xp.sort(values, axis=0)
    last = ordered[number - 1]  # (M,)
    below, ties = values < last, values == last  # (n, M)
    left = number - xp.sum(xp.where(below, 1, 0), axis=0)  # (M,), of the ties
    first = xp.cumsum(xp.where(ties, 1, 0), axis=0) <= left  # (n, M)
    return xp.where(below | (ties & first), 1.0, 0.0)


def _thresholds(overlaps: Tensor, candidate: Tensor, xp: ArrayModule) -> Tensor:
    """Return the mean plus standard deviation of the candidates' IoU for each box: (M,)."""

    def total(
        values: Tensor,
    ) -> Tensor:  # added one by one, so that the zeros between candidates change no rounding
        return xp.cumsum(values, axis=0)[-1]

    count = xp.sum(candidate, axis=0)  # (M,), at least 1
    mean = total(overlaps * candidate) / count
    spread = total(candidate * (overlaps - mean) ** 2) / xp.maximum(count - 1, 1)
    return mean + xp.sqrt(spread)


def candidates(grid: Grid, boxes: np.ndarray, top_k: int = 9) -> np.ndarray:
    """Return anchors of a grid with the nearest `top_k` of each level among them: (N,) bool.

    A block of enough places for `top_k` anchors reaches at least as far as the nearest of them.
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
