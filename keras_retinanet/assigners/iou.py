"""Assignment by IoU thresholds: Ren et al. 2015 (arXiv 1506.01497), as in 1708.02002."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..boxes import iou
from ..typing import ArrayModule, Tensor
from .near import best_overlaps, near

if TYPE_CHECKING:
    from ..utils.anchors import Grid

BACKGROUND = -1
IGNORE = -2
SLACK = 0.99  # factor of an IoU that allows for rounding


def assign(
    anchors: Tensor,
    boxes: Tensor,
    ignore: Tensor | None = None,
    levels: Sequence[int] | None = None,
    positive_overlap: float = 0.5,
    negative_overlap: float = 0.4,
    best_anchor: bool = False,
    xp: ArrayModule = np,
) -> Tensor:
    """Return the row of each anchor's box: (N,) int, -1 for background, -2 to ignore the anchor.

    An anchor is an object if its best IoU is at least `positive_overlap`, background if it is at
    most `negative_overlap`, and ignored otherwise. With `best_anchor`, the anchor with a box's
    highest IoU is matched to the box even if that IoU is low; if it is the best anchor of several
    boxes, to the box with the highest IoU.

    Args:
        anchors: (N, 4), xyxy px.
        boxes: (M, 4), xyxy px.
        ignore: (M,) bool, True for ignored boxes (crowd, difficult): their anchors are ignored too.
        levels: not used.

    >>> anchors = np.array([[0.0, 0, 10, 10], [0, 0, 10, 22], [20, 0, 30, 10]])
    >>> print(assign(anchors, np.array([[0.0, 0, 10, 10]])))  # IoUs of 1, 0.45 and 0
    [ 0 -2 -1]
    """
    if boxes.shape[0] == 0:
        return xp.full(anchors.shape[:1], BACKGROUND, dtype="int32")
    overlaps = iou(anchors[:, None], boxes[None], xp)  # (N, M)
    best = xp.max(overlaps, axis=1)  # (N,)
    row = xp.argmax(overlaps, axis=1)  # (N,)
    matches = xp.where(best <= negative_overlap, BACKGROUND, IGNORE)
    matches = xp.where(best >= positive_overlap, row, matches)
    if best_anchor:
        winner = xp.argmax(overlaps, axis=0)  # (M,)
        won = (xp.arange(anchors.shape[0])[:, None] == winner) & (overlaps > 0)  # (N, M)
        if ignore is not None:
            won = won & ~xp.array(ignore)
        row = xp.where(xp.any(won, axis=1), xp.argmax(xp.where(won, overlaps, -1.0), axis=1), row)
        matches = xp.where(xp.any(won, axis=1), row, matches)
    if ignore is not None:
        matches = xp.where((matches >= 0) & xp.take(xp.array(ignore), row), IGNORE, matches)
    return matches


def candidates(
    grid: Grid,
    boxes: np.ndarray,
    positive_overlap: float = 0.5,
    negative_overlap: float = 0.4,
    best_anchor: bool = False,
) -> np.ndarray:
    """Return the anchors of a grid that `assign` can make other than background: (N,) bool.

    An IoU of t needs a shared area of t / (1 + t) of the sum of both areas. Boxes of widths w and
    w' and heights h and h' whose centres are d apart in x share at most ((w + w') / 2 - d) min(h,
    h'), and at most min(w, w') min(h, h'); the same holds in y.
    """
    lowest = min(positive_overlap, negative_overlap)
    if lowest < 0 or positive_overlap == 0:  # nothing is background
        return np.ones(len(grid.anchors), bool)
    overlap = np.full(len(boxes), lowest, "float64")  # (M,)
    if best_anchor:
        best = best_overlaps(boxes, grid).max(axis=(1, 2))  # (M,)
        overlap = np.where(best > 0, np.minimum(overlap, best), overlap)
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)[:, None, None]  # (M, 1, 1, 2)
    areas = sides.prod(axis=-1) + grid.sizes.prod(axis=-1)  # (M, L, A)
    overlap = SLACK * overlap[:, None, None]
    least = overlap / (1 + overlap) * areas  # (M, L, A), the area to share
    most = np.minimum(sides, grid.sizes)  # (M, L, A, 2), of each side
    reach = (sides + grid.sizes) / 2 - least[..., None] / np.maximum(most[..., ::-1], 1e-9)
    reach[least > most.prod(axis=-1)] = -1
    return near(grid, boxes, reach)
