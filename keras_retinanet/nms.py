"""Non-maximum suppression with static shapes, exact, on every backend.

Every kind takes boxes (B, C, 4) xyxy px, scores (B, C) in descending order, labels (B, C) and
`Limits`. It returns (rows, scores), both (B, max_detections): the rows of the kept candidates in
descending order of their final scores, -1 in unused places. Only soft NMS lowers scores.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from keras import ops

from .boxes import diou, iou
from .choices import NMS, lookup
from .choices import nms_config as config
from .nms_numpy import Limits
from .typing import Tensor

Kept = tuple[Tensor, Tensor]  # rows and scores of the kept candidates, see above


BLOCK = 1000  # candidates resolved at a time: the suppression matrix is BLOCK x BLOCK


def gather(values: Tensor, rows: Tensor) -> Tensor:
    """Return the `rows` (B, R), all at least 0, of each image's values (B, N, ...): (B, R, ...)."""
    batch, count = ops.shape(values)[:2]
    flat = ops.reshape(values, (-1, *values.shape[2:]))  # (B·N, ...)
    offset = ops.arange(batch, dtype="int32")[:, None] * count  # (B, 1)
    return ops.take(flat, ops.cast(rows, "int32") + offset, axis=0)


def _suppresses(
    boxes: Tensor,
    labels: Tensor,
    others: Tensor,
    other_labels: Tensor,
    threshold: float,
    overlap: Callable[..., Tensor],
) -> Tensor:
    """Return True where a box (B, S, 4) would suppress another (B, T, 4): (B, S, T) bool."""
    same = ops.equal(labels[:, :, None], other_labels[:, None, :])  # (B, S, T)
    return ops.logical_and(same, overlap(boxes[:, :, None], others[:, None], ops) > threshold)


def _no_rows(labels: Tensor, length: int) -> Tensor:
    """Return `length` rows of -1 for each image of labels (B, C): (B, length).

    A slice labels[:, :1] has an unknown width in a graph for any number of candidates.
    """
    fresh = ops.zeros_like(labels[:, 0])[:, None]  # (B, 1)
    return ops.tile(fresh - 1, (1, length))


def _fixed_point(alive: Tensor, suppresses: Tensor) -> Tensor:
    """Return the part of alive (B, T) that greedy NMS keeps; suppresses (B, T, T) is triangular."""

    def step(keep: Tensor, _: Any) -> tuple[Tensor, Tensor]:
        hit = ops.any(ops.logical_and(suppresses, keep[:, :, None]), axis=1)  # (B, T)
        return ops.logical_and(alive, ops.logical_not(hit)), keep

    def changed(keep: Tensor, before: Tensor) -> Tensor:
        return ops.any(ops.not_equal(keep, before))

    return ops.while_loop(changed, step, (alive, ops.zeros_like(alive)))[0]


def hard(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor,
    limits: Limits,
    overlap: Callable[..., Tensor] = iou,
) -> Kept:
    """Greedy NMS: the candidate of highest score drops the candidates of its class that overlap it
    by more than the threshold.

    Candidates are worked through in blocks. Boxes that an earlier block kept suppress what they
    overlap; within a block, greedy NMS is the fixed point of `keep = alive and not suppressed by a
    kept box before it` (Cluster-NMS, Zheng et al. 2020, arXiv 2005.03572). The loop ends once
    enough boxes are kept or no score is left.
    """
    block = min(BLOCK, scores.shape[1] or BLOCK)
    padding = [[0, 0], [0, block]]
    scores = ops.pad(scores, padding, constant_values=-1.0)  # (B, C + block)
    labels = ops.pad(ops.cast(labels, "int32"), padding, constant_values=-1)
    boxes = ops.pad(boxes, [*padding, [0, 0]])  # (B, C + block, 4)
    count = ops.shape(scores)[1] - block
    earlier = ops.arange(block)[:, None] < ops.arange(block)[None]  # (block, block)
    kept = _no_rows(labels, limits.max_detections)  # (B, D), -1 where empty

    def unfinished(start: Tensor, kept: Tensor) -> Tensor:
        best = ops.take(scores, ops.minimum(start, count), axis=1)  # (B,)
        wanted = ops.logical_and(kept[:, -1] < 0, best > limits.score_threshold)
        return ops.logical_and(start < count, ops.any(wanted))

    def resolve(start: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        rows = start + ops.arange(block, dtype="int32")  # (block,)
        block_scores = ops.take(scores, rows, axis=1)  # (B, block)
        block_boxes = ops.take(boxes, rows, axis=1)  # (B, block, 4)
        block_labels = ops.take(labels, rows, axis=1)  # (B, block)
        alive = block_scores > limits.score_threshold
        held = ops.maximum(kept, 0)  # (B, D)
        held_boxes = gather(boxes, held)  # (B, D, 4)
        held_labels = ops.where(kept < 0, -2, gather(labels, held))  # (B, D)
        hit = _suppresses(
            held_boxes, held_labels, block_boxes, block_labels, limits.threshold, overlap
        )
        alive = ops.logical_and(alive, ops.logical_not(ops.any(hit, axis=1)))  # (B, block)
        hits = _suppresses(
            block_boxes, block_labels, block_boxes, block_labels, limits.threshold, overlap
        )
        keep = _fixed_point(alive, ops.logical_and(hits, earlier))  # (B, block)
        found = ops.concatenate([kept, ops.where(keep, rows, -1)], axis=1)  # (B, D + block)
        return start + block, leading(found, limits.max_detections)

    kept = ops.while_loop(unfinished, resolve, (ops.cast(0, "int32"), kept))[1]
    return kept, ops.where(kept < 0, -1.0, gather(scores, ops.maximum(kept, 0)))


def leading(rows: Tensor, length: int) -> Tensor:
    """Return the first `length` of rows (B, R) that are not -1, in order: (B, length)."""
    size = rows.shape[1]
    order = ops.where(rows >= 0, size - ops.arange(size), 0)  # (B, R): distinct, so no ties
    order = ops.cast(order, "float32")
    return gather(rows, ops.top_k(order, length)[1])


def by_diou(boxes: Tensor, scores: Tensor, labels: Tensor, limits: Limits) -> Kept:
    """Return `hard` by the DIoU of boxes instead of their IoU.

    Zheng et al. 2020, arXiv 1911.08287.
    """
    return hard(boxes, scores, labels, limits, diou)


def class_agnostic(boxes: Tensor, scores: Tensor, labels: Tensor, limits: Limits) -> Kept:
    """Return `hard` in which boxes of all classes suppress each other."""
    return hard(boxes, scores, ops.zeros_like(labels), limits)


def top(boxes: Tensor, scores: Tensor, labels: Tensor, limits: Limits) -> Kept:
    """Return the first candidates above the score threshold, without suppression."""
    rows = ops.arange(limits.max_detections, dtype="int32")  # (D,)
    scores = ops.pad(scores, [[0, 0], [0, limits.max_detections]], constant_values=-1.0)
    best = scores[:, : limits.max_detections]  # (B, D)
    kept = best > limits.score_threshold
    return ops.where(kept, rows, -1), ops.where(kept, best, -1.0)


def soft(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor,
    limits: Limits,
    decay: Callable[[Tensor], Tensor],
) -> Kept:
    """Soft-NMS: keep the candidate of the highest score, multiply the scores of the other
    candidates of its class by decay(IoU), and repeat until no score is above the threshold. Bodla
    et al. 2017, arXiv 1704.04503.
    """
    padding = [[0, 0], [0, 1]]  # one that is never kept: the highest of no scores is no score
    remaining = ops.pad(scores, padding, constant_values=-1.0)  # (B, C + 1)
    labels = ops.pad(ops.cast(labels, "int32"), padding, constant_values=-1)
    boxes = ops.pad(ops.cast(boxes, scores.dtype), [*padding, [0, 0]])  # (B, C + 1, 4)
    places = ops.arange(ops.shape(labels)[1], dtype="int32")  # (C + 1,)
    steps = ops.arange(limits.max_detections, dtype="int32")  # (D,)
    rows = _no_rows(labels, limits.max_detections)  # (B, D)

    def unfinished(step: Tensor, remaining: Tensor, rows: Tensor, kept: Tensor) -> Tensor:
        return ops.logical_and(
            step < limits.max_detections, ops.any(remaining > limits.score_threshold)
        )

    def keep(step: Tensor, remaining: Tensor, rows: Tensor, kept: Tensor) -> tuple[Tensor, ...]:
        best = ops.max(remaining, axis=1, keepdims=True)  # (B, 1)
        row = ops.cast(ops.argmax(remaining, axis=1, keepdims=True), "int32")  # (B, 1)
        same = ops.equal(gather(labels, row), labels)  # (B, C + 1)
        lowered = remaining * decay(iou(gather(boxes, row), boxes, ops))
        remaining = ops.where(same, lowered, remaining)
        remaining = ops.where(ops.equal(places, row), -1.0, remaining)
        here = ops.logical_and(ops.equal(steps, step), best > limits.score_threshold)  # (B, D)
        return step + 1, remaining, ops.where(here, row, rows), ops.where(here, best, kept)

    start = ops.cast(0, "int32"), remaining, rows, ops.cast(rows, remaining.dtype)
    return ops.while_loop(unfinished, keep, start)[2:]


def soft_linear(boxes: Tensor, scores: Tensor, labels: Tensor, limits: Limits) -> Kept:
    """Soft-NMS with the factor 1 - IoU where the IoU is above the threshold."""

    def decay(overlap: Tensor) -> Tensor:
        return ops.where(overlap > limits.threshold, 1 - overlap, 1.0)

    return soft(boxes, scores, labels, limits, decay)


def soft_gaussian(
    boxes: Tensor, scores: Tensor, labels: Tensor, limits: Limits, sigma: float = 0.5
) -> Kept:
    """Soft-NMS with the factor exp(-IoU²/sigma), which does not depend on the threshold."""

    def decay(overlap: Tensor) -> Tensor:
        return ops.exp(-(overlap**2) / sigma)

    return soft(boxes, scores, labels, limits, decay)


def get(nms: str | bool | dict) -> Callable[..., Kept]:
    """Return the NMS function of a choice; see `config` for its forms."""
    function, arguments = lookup(NMS, config(nms), "NMS")
    return partial(function, **arguments)
