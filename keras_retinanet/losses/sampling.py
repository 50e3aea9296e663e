"""Samplers, which keep the hard anchors of each image and leave the others out of the
classification loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from keras import ops

from .. import nms
from ..choices import SAMPLERS, lookup
from ..typing import Tensor
from .reduction import BACKGROUND, IGNORE, OBJECT


@dataclass(frozen=True, eq=False)
class Sampler:
    """A function that selects anchors, and the name and arguments from which `get` rebuilds it.

    Args:
        name: The name in `SAMPLERS`, or of the user's function.
        arguments: The arguments for `get`; None if it cannot rebuild the sampler.
        select: Maps the loss of each anchor (B, N), at least 0, its state (B, N) (-1 ignored, 0
            background, 1 an object) and its decoded box (B, N, 4), xyxy px, to a mask (B, N) bool.
            Ignored anchors are never selected, and the mask carries no gradient.
    """

    name: str
    arguments: Mapping[str, Any] | None
    select: Callable

    def __call__(self, values: Tensor, state: Tensor, boxes: Tensor) -> Tensor:
        return self.select(values, state, boxes)

    @property
    def config(self) -> dict[str, Any] | None:
        """The dict {"name": ..., **arguments} for `get`; None for a user's function."""
        return None if self.arguments is None else {"name": self.name, **self.arguments}


def mark(rows: Tensor, count: int) -> Tensor:
    """Return the mask (B, count) that is True at rows (B, R), all different, -1 for no row."""
    batch = ops.shape(rows)[0]
    rows = ops.cast(rows, "int32")
    places = rows + ops.arange(batch, dtype="int32")[:, None] * count  # (B, R)
    places = ops.reshape(ops.where(rows < 0, batch * count, places), (-1,))  # one for all the -1
    hits = ops.segment_sum(ops.ones_like(places, "float32"), places, batch * count + 1)
    return ops.reshape(hits[:-1] > 0, (batch, count))


def first(rows: Tensor, number: Tensor) -> Tensor:
    """Keep the first `number` (B,) of rows (B, R) and replace the others by -1: (B, R).

    Numbers are rounded down, with a margin for products such as 0.59 · 100 in float32.
    """
    rank = ops.cast(ops.arange(ops.shape(rows)[1]), "float32") + 1  # (R,)
    return ops.where(rank <= number[:, None] + 1e-3, rows, -1)


def highest(values: Tensor, number: Tensor) -> Tensor:
    """Mask (B, N) of the `number` (B,) highest values (B, N), the first of equal ones."""
    rows = ops.argsort(-ops.stop_gradient(values), axis=1)  # (B, N)
    return mark(first(rows, number), ops.shape(values)[1])


def ohem(
    count: int = 512, overlap: float = 0.7, ratio: float | None = None, pool: int = 4
) -> Sampler:
    """Online hard example mining: in each image, the `count` anchors of the highest loss after NMS,
    which drops anchors whose IoU with an anchor of higher loss is above `overlap`.

    With `ratio` there are at most count / (1 + ratio) objects, after NMS among the objects, and
    `ratio` background anchors for each object, or `ratio` if an image has no objects. NMS sees the
    `pool` · `count` anchors of the highest loss. Shrivastava et al. 2016, arXiv 1604.03540; section
    5.1 of arXiv 1708.02002 compares it with the focal loss.

    Raises:
        ValueError: if `count` is too small for an object and `ratio` background anchors.
    """
    quota = 0 if ratio is None else int(count / (1 + ratio))  # of objects
    if ratio is not None and quota == 0:
        raise ValueError(f"count must be at least 1 + ratio, got {count}.")

    def hardest(values: Tensor, allowed: Tensor, boxes: Tensor, count: int) -> Tensor:
        """Return rows (B, count) of allowed anchors after NMS, hardest first, padded with -1."""
        scores = ops.where(allowed, values, -1.0)
        scores = ops.pad(scores, [[0, 0], [0, pool * count]], constant_values=-1.0)
        scores, rows = ops.top_k(scores, pool * count)  # (B, pool · count)
        rows = ops.where(scores < 0, 0, rows)
        boxes, labels = nms.gather(boxes, rows), ops.zeros_like(rows)
        kept, _ = nms.hard(boxes, scores, labels, nms.Limits(count, overlap, -0.5))
        return ops.where(kept < 0, -1, nms.gather(rows, ops.maximum(kept, 0)))

    def select(values: Tensor, state: Tensor, boxes: Tensor) -> Tensor:
        values, boxes = (ops.stop_gradient(ops.cast(x, "float32")) for x in (values, boxes))
        boxes = ops.pad(boxes, [[0, 0], [0, 1], [0, 0]])  # a row to point to where N is 0
        if ratio is None:
            rows = hardest(values, ops.not_equal(state, IGNORE), boxes, count)
        else:
            objects = hardest(values, ops.equal(state, OBJECT), boxes, quota)
            number = ratio * ops.maximum(ops.sum(ops.cast(objects >= 0, "float32"), axis=1), 1)
            others = hardest(values, ops.equal(state, BACKGROUND), boxes, count - quota)
            rows = ops.concatenate([objects, first(others, number)], axis=1)  # (B, count)
        return mark(rows, ops.shape(values)[1])

    arguments = {"count": count, "overlap": overlap, "ratio": ratio, "pool": pool}
    return Sampler("ohem", arguments, select)


def hard_negative(ratio: float = 3.0) -> Sampler:
    """Keep all objects and, in each image, the `ratio` times as many background anchors of highest
    loss; an image without objects gets none.

    Liu et al. 2016, "SSD: Single Shot MultiBox Detector", arXiv 1512.02325.
    """

    def select(values: Tensor, state: Tensor, boxes: Tensor) -> Tensor:
        objects, background = ops.equal(state, OBJECT), ops.equal(state, BACKGROUND)  # (B, N)
        values = ops.cast(values, "float32")
        number = ratio * ops.sum(ops.cast(objects, "float32"), axis=1)  # (B,)
        hard = highest(ops.where(background, values, -1.0), number)
        return ops.logical_or(objects, ops.logical_and(background, hard))

    return Sampler("hard_negative", {"ratio": ratio}, select)


def get(sampler: str | dict[str, Any] | Callable | None) -> Sampler | None:
    """Return the sampler of a name, a dict {"name": ..., **arguments} or a function.

    None, which samples all anchors, and a `Sampler` are returned as they are.

    Raises:
        ValueError: No sampler has this name; the message lists the known names.
    """
    if sampler is None or isinstance(sampler, Sampler):
        return sampler
    if callable(sampler):
        return Sampler(getattr(sampler, "__name__", repr(sampler)), None, sampler)
    make, arguments = lookup(SAMPLERS, sampler, "sampler")
    return make(**arguments)
