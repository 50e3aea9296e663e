"""Non-maximum suppression with static shapes, exact, on every backend.

Candidates come sorted by score and are worked through in blocks. Boxes that an earlier block kept
suppress what they overlap; within a block, greedy NMS is the fixed point of
`keep = alive and not suppressed by a kept box before it` (Cluster-NMS, Zheng et al. 2020,
arXiv 2005.03572). The loop ends once enough boxes are kept or no score is left.
"""

from keras import ops

from .boxes import iou

BLOCK = 1000  # candidates resolved at a time: the suppression matrix is BLOCK x BLOCK


def gather(values, rows):
    """For each image, the `rows` (B, R) of values (B, N, ...), all at least 0: (B, R, ...)."""
    batch, count = ops.shape(values)[:2]
    flat = ops.reshape(values, (-1, *values.shape[2:]))  # (B·N, ...)
    offset = ops.arange(batch, dtype="int32")[:, None] * count  # (B, 1)
    return ops.take(flat, ops.cast(rows, "int32") + offset, axis=0)


def _suppresses(boxes, labels, others, other_labels, threshold):
    """Whether boxes (B, S, 4) would suppress others (B, T, 4): (B, S, T) bool."""
    same = ops.equal(labels[:, :, None], other_labels[:, None, :])  # (B, S, T)
    return ops.logical_and(same, iou(boxes[:, :, None], others[:, None], ops) > threshold)


def _fixed_point(alive, suppresses):
    """Which of alive (B, T) greedy NMS keeps, given suppresses (B, T, T) strictly upper: (B, T)."""

    def step(keep, _):
        hit = ops.any(ops.logical_and(suppresses, keep[:, :, None]), axis=1)  # (B, T)
        return ops.logical_and(alive, ops.logical_not(hit)), keep

    def changed(keep, before):
        return ops.any(ops.not_equal(keep, before))

    return ops.while_loop(changed, step, (alive, ops.zeros_like(alive)))[0]


def hard(boxes, scores, labels, max_detections, threshold=0.5, score_threshold=0.0):
    """Greedy NMS: the candidate of highest score drops those of its class that overlap it.

    boxes (B, C, 4) xyxy px and labels (B, C) belong to scores (B, C) in descending order. Returns
    the rows of the kept candidates (B, max_detections), in order, -1 where there are fewer.
    """
    block = min(BLOCK, scores.shape[1] or BLOCK)
    padding = [[0, 0], [0, block]]
    scores = ops.pad(scores, padding, constant_values=-1.0)  # (B, C + block)
    labels = ops.pad(ops.cast(labels, "int32"), padding, constant_values=-1)
    boxes = ops.pad(boxes, [*padding, [0, 0]])  # (B, C + block, 4)
    count = ops.shape(scores)[1] - block
    earlier = ops.arange(block)[:, None] < ops.arange(block)[None]  # (block, block)
    fresh = ops.zeros_like(labels[:, :1])  # (B, 1): shapes the start by the batch
    kept = ops.tile(fresh - 1, (1, max_detections))  # (B, D) rows, -1 where empty

    def unfinished(start, kept):
        best = ops.take(scores, ops.minimum(start, count), axis=1)  # (B,)
        wanted = ops.logical_and(kept[:, -1] < 0, best > score_threshold)
        return ops.logical_and(start < count, ops.any(wanted))

    def resolve(start, kept):
        rows = start + ops.arange(block, dtype="int32")  # (block,)
        block_scores = ops.take(scores, rows, axis=1)  # (B, block)
        block_boxes = ops.take(boxes, rows, axis=1)  # (B, block, 4)
        block_labels = ops.take(labels, rows, axis=1)  # (B, block)
        alive = block_scores > score_threshold
        held = ops.maximum(kept, 0)  # (B, D)
        held_boxes = gather(boxes, held)  # (B, D, 4)
        held_labels = ops.where(kept < 0, -2, gather(labels, held))  # (B, D)
        hit = _suppresses(held_boxes, held_labels, block_boxes, block_labels, threshold)
        alive = ops.logical_and(alive, ops.logical_not(ops.any(hit, axis=1)))  # (B, block)
        hits = _suppresses(block_boxes, block_labels, block_boxes, block_labels, threshold)
        keep = _fixed_point(alive, ops.logical_and(hits, earlier))  # (B, block)
        found = ops.concatenate([kept, ops.where(keep, rows, -1)], axis=1)  # (B, D + block)
        return start + block, _first(found, max_detections)

    return ops.while_loop(unfinished, resolve, (ops.cast(0, "int32"), kept))[1]


def _first(rows, length):
    """The first `length` of rows (B, R) that are not -1, in order: (B, length)."""
    size = rows.shape[1]
    order = ops.where(rows >= 0, size - ops.arange(size), 0)  # (B, R): distinct, so no ties
    order = ops.cast(order, "float32")
    return gather(rows, ops.top_k(order, length)[1])


def top(boxes, scores, labels, max_detections, threshold=0.5, score_threshold=0.0):
    """No suppression: the first candidates above the score threshold, as `hard` returns them."""
    rows = ops.arange(max_detections, dtype="int32")  # (D,)
    scores = ops.pad(scores, [[0, 0], [0, max_detections]], constant_values=-1.0)
    return ops.where(scores[:, :max_detections] > score_threshold, rows, -1)


NMS = {"hard": hard, "none": top}
