"""Assigners: which anchor stands for which box."""

import dataclasses
from functools import partial

import numpy as np

from ..lookup import lookup
from . import atss, iou
from .iou import BACKGROUND, IGNORE
from .near import places_within

ASSIGNERS = {"iou": iou.assign, "atss": atss.assign}
CANDIDATES = {"iou": iou.candidates, "atss": atss.candidates}


@dataclasses.dataclass(frozen=True)
class Assigner:
    """Called as `assign(anchors, boxes, ignore, levels)`; `candidates(grid, boxes)` are the anchors
    (N,) bool that it can give a box, for `match`.
    """

    assign: partial
    candidates: partial

    def __call__(self, anchors, boxes, ignore=None, levels=None, **options):
        return self.assign(anchors, boxes, ignore, levels, **options)


def get(assigner):
    """The `Assigner` of a name or a {"name", **arguments}."""
    assign, arguments = lookup(ASSIGNERS, assigner, "assigner")
    candidates, _ = lookup(CANDIDATES, assigner, "assigner")
    return Assigner(partial(assign, **arguments), partial(candidates, **arguments))


def match(assign, grid, boxes, ignore=None, size=None):
    """What `assign` gives for the anchors of a `utils.anchors.Grid`: (N,) int32.

    Only the candidates among them are looked at. Anchors centred outside an image of `size` (width,
    height) px are ignored.
    """
    matches = np.full(len(grid.anchors), BACKGROUND, "int32")
    candidates = np.flatnonzero(assign.candidates(grid, boxes)) if len(boxes) else ()
    if len(candidates):
        ends = np.cumsum(grid.counts())
        levels = np.diff(np.searchsorted(candidates, ends), prepend=0).tolist()
        matches[candidates] = assign(grid.anchors[candidates], boxes, ignore, levels)
    if size is not None:
        within = places_within(size, grid.strides, grid.offset)  # (L, 2)
        for view, (columns, rows) in zip(grid.views(matches), within, strict=True):
            view[rows:] = view[:, columns:] = IGNORE
    return matches
