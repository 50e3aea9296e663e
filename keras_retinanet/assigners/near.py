"""Search for the anchors of a grid near boxes, and for the best IoU of each box.

A `grid` is a `utils.anchors.Grid`: L levels with `shapes` (L, 2) rows and columns, `strides` (L, 2)
px in x and y, the `offset` of a centre in its cell, and the same A anchors, `base` (L, A, 4) and
`sizes` (L, A, 2) px, at each of their places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..boxes import iou

if TYPE_CHECKING:
    from ..utils.anchors import Grid

MARGIN = 0.01  # share of a stride; float32 moves an anchor by less


def middles(boxes: np.ndarray) -> np.ndarray:
    """Return the centres of boxes (M, 4): (M, 2) float64 px."""
    return (boxes[:, :2].astype("float64") + boxes[:, 2:]) / 2


def places_within(
    sides: Sequence[int] | np.ndarray, strides: np.ndarray, offset: float = 0.5
) -> np.ndarray:
    """Return the number of places whose centre is within a side (..., 2) px: (..., L, 2).

    Centres lie at (i + offset) · stride, of strides (L, 2) px; one on the far border is outside.
    """
    return np.ceil(np.asarray(sides)[..., None, :] / strides - offset).astype(int)


def near(grid: Grid, boxes: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Return the anchors centred within `reach` of the centre of a box: (N,) bool.

    reach (M, L, A or 1, 2) is in px, in x and in y, for each box (M, 4), level and anchor of a
    place; a negative one selects no anchors.
    """
    stride = grid.strides[:, None]  # (L, 1, 2)
    middle = middles(boxes)[:, None, None]  # (M, 1, 1, 2)
    reach = np.where(reach < 0, -np.inf, reach + MARGIN * stride)  # (M, L, A, 2)
    ends = grid.shapes[:, None, ::-1]  # (L, 1, 2) columns and rows
    first = np.clip(np.ceil((middle - reach) / stride - grid.offset), 0, ends)  # (M, L, A, 2)
    last = np.floor((middle + reach) / stride - grid.offset)  # (M, L, A, 2)
    after = np.clip(last + 1, 0, ends)  # (M, L, A, 2)
    some = (after > first).all(axis=-1)  # (M, L, A)
    windows = np.concatenate([first, after], axis=-1)[some].astype(int).tolist()
    _, levels, anchors = (rows.tolist() for rows in np.nonzero(some))
    alike = grid.sizes.shape[1] // reach.shape[2]  # anchors of a place that share a window
    found = np.zeros(sum(grid.counts()), bool)
    views = grid.views(found)
    for level, anchor, (left, top, right, bottom) in zip(levels, anchors, windows, strict=True):
        views[level][top:bottom, left:right, anchor : anchor + alike] = True
    return found


def nearest(
    boxes: np.ndarray, strides: np.ndarray, places: np.ndarray, offset: float = 0.5
) -> np.ndarray:
    """Return the centre of the place nearest to each box (M, 4) px: (M, L, 2) float32 px.

    `places` (L, 2) or (M, L, 2) are the columns and rows to choose from, `strides` (L, 2) px.
    """
    index = np.floor(middles(boxes)[:, None] / strides + (0.5 - offset))
    index = np.clip(index, 0, np.maximum(places - 1, 0))
    return ((index + offset) * strides).astype("float32")


def best_overlaps(boxes: np.ndarray, grid: Grid, places: np.ndarray | None = None) -> np.ndarray:
    """Return the highest IoU of boxes (M, 4) px with each anchor of each level: (M, L, A).

    The anchors at the nearest place have the highest IoU: anchors farther away share less in x and
    in y. `places` (M, L, 2) are the columns and rows to look at, by default all.
    """
    places = grid.shapes[:, ::-1] if places is None else places  # (L, 2) or (M, L, 2)
    centers = nearest(boxes, grid.strides, places, grid.offset)  # (M, L, 2)
    anchors = np.tile(centers, 2)[:, :, None] + grid.base  # (M, L, A, 4)
    overlaps = iou(anchors, boxes[:, None, None])  # (M, L, A)
    return overlaps * np.all(places > 0, axis=-1, keepdims=True)
