"""Assigners, which match anchors to boxes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ..choices import ASSIGNERS, lookup
from ..typing import Tensor
from .iou import BACKGROUND, IGNORE
from .near import places_within

if TYPE_CHECKING:
    from ..utils.anchors import Grid


@dataclasses.dataclass(frozen=True)
class Assigner:
    """An assigner, called as `assign(anchors, boxes, ignore, levels)`.

    `candidates(grid, boxes)` are the anchors (N,) bool that it can match to a box.
    """

    assign: partial
    candidates: partial

    def __call__(
        self,
        anchors: Tensor,
        boxes: np.ndarray,
        ignore: Tensor | None = None,
        levels: Sequence[int] | None = None,
        **options: Any,
    ) -> Tensor:
        return self.assign(anchors, boxes, ignore, levels, **options)


def get(assigner: str | dict) -> Assigner:
    """Return the `Assigner` of a name or a dict {"name": ..., **arguments}."""
    assign, arguments = lookup(ASSIGNERS, assigner, "assigner")
    candidates = import_module(assign.__module__).candidates
    return Assigner(partial(assign, **arguments), partial(candidates, **arguments))


def match(
    assign: Assigner,
    grid: Grid,
    boxes: np.ndarray,
    ignore: Tensor | None = None,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Match the anchors of a grid to boxes (M, 4) px: (N,) int32, as `assign` does.

    Only the candidates are compared with the boxes. Anchors centred outside an image of `size`
    (width, height) px are ignored.
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
