"""Assignment by IoU thresholds: Ren et al. 2015 (arXiv 1506.01497), as in 1708.02002."""

import numpy as np

from ..boxes import iou

BACKGROUND = -1
IGNORE = -2


def assign(
    anchors,
    boxes,
    ignore=None,
    levels=None,
    positive_overlap=0.5,
    negative_overlap=0.4,
    best_anchor=False,
    xp=np,
):
    """The row of the box that each anchor stands for: (N,) int, -1 background, -2 ignore.

    anchors (N, 4) and boxes (M, 4) are xyxy px; `ignore` (M,) bool marks boxes (crowd, difficult)
    whose anchors are left out; `levels` does not matter. An anchor whose best IoU is at least
    `positive_overlap` is an object, one at or below `negative_overlap` background, one between is
    ignored. With `best_anchor` the anchor of highest IoU stands for its box however low that is; of
    several such boxes, for the one of highest IoU.
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
