"""Which anchors take part in the classification loss: the hard ones.

A selector is a closure select(values (B, N), state (B, N), boxes (B, N, 4)) -> mask (B, N) bool of
the loss of each anchor, at least 0, its state (-1 ignored, 0 background, 1 an object) and its
decoded box, xyxy px. Ignored anchors are never selected, and the mask carries no gradient.
"""

from keras import ops

from .. import nms
from ..lookup import lookup
from .reduction import BACKGROUND, IGNORE, OBJECT


def mark(rows, count):
    """The mask (B, count) that holds at rows (B, R), all different, where -1 stands for none."""
    batch = ops.shape(rows)[0]
    rows = ops.cast(rows, "int32")
    places = rows + ops.arange(batch, dtype="int32")[:, None] * count  # (B, R)
    places = ops.reshape(ops.where(rows < 0, batch * count, places), (-1,))  # one for all the -1
    hits = ops.segment_sum(ops.ones_like(places, "float32"), places, batch * count + 1)
    return ops.reshape(hits[:-1] > 0, (batch, count))


def first(rows, number):
    """The first `number` (B,) of rows (B, R), and -1 in the place of the others: (B, R).

    Numbers are rounded down, with a margin for products such as 0.59 · 100 in float32.
    """
    rank = ops.cast(ops.arange(ops.shape(rows)[1]), "float32") + 1  # (R,)
    return ops.where(rank <= number[:, None] + 1e-3, rows, -1)


def highest(values, number):
    """The mask of the `number` (B,) highest of values (B, N), of equal ones the first: (B, N)."""
    rows = ops.argsort(-ops.stop_gradient(values), axis=1)  # (B, N)
    return mark(first(rows, number), ops.shape(values)[1])


def ohem(count=512, overlap=0.7, ratio=None, pool=4):
    """Online hard example mining: in each image, the `count` anchors of the highest loss that are
    left by NMS, in which an anchor drops those of lower loss that overlap it more than `overlap`.

    With `ratio` there are at most count / (1 + ratio) objects, those left by NMS among the objects,
    and `ratio` background anchors for each of them, or for one where an image has none. NMS sees
    the `pool` · `count` anchors of the highest loss. Shrivastava et al. 2016, arXiv 1604.03540, as
    compared with the focal loss in section 5.1 of arXiv 1708.02002.
    """
    quota = None if ratio is None else int(count / (1 + ratio))  # of objects
    if quota == 0:
        raise ValueError(f"Expected a count of 1 + ratio at least. Received: {count}.")

    def hardest(values, allowed, boxes, count):  # (B, count)
        """Rows of those of the allowed (B, N) that NMS leaves, hardest first, -1 for none."""
        scores = ops.where(allowed, values, -1.0)
        scores = ops.pad(scores, [[0, 0], [0, pool * count]], constant_values=-1.0)
        scores, rows = ops.top_k(scores, pool * count)  # (B, pool · count)
        rows = ops.where(scores < 0, 0, rows)
        boxes, labels = nms.gather(boxes, rows), ops.zeros_like(rows)
        kept, _ = nms.hard(boxes, scores, labels, count, overlap, score_threshold=-0.5)
        return ops.where(kept < 0, -1, nms.gather(rows, ops.maximum(kept, 0)))

    def select(values, state, boxes):
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

    select.config = {"name": "ohem", "count": count, "overlap": overlap}
    select.config |= {"ratio": ratio, "pool": pool}
    return select


def hard_negative(ratio=3.0):
    """All objects, and in each image `ratio` times as many background anchors, those of the highest
    loss; none where an image has no objects.

    Liu et al. 2016, "SSD: Single Shot MultiBox Detector", arXiv 1512.02325.
    """

    def select(values, state, boxes):
        objects, background = ops.equal(state, OBJECT), ops.equal(state, BACKGROUND)  # (B, N)
        values = ops.cast(values, "float32")
        number = ratio * ops.sum(ops.cast(objects, "float32"), axis=1)  # (B,)
        hard = highest(ops.where(background, values, -1.0), number)
        return ops.logical_or(objects, ops.logical_and(background, hard))

    select.config = {"name": "hard_negative", "ratio": ratio}
    return select


SELECTORS = {"ohem": ohem, "hard_negative": hard_negative}


def get(selector):
    """The selector of a name, a {"name": ..., **arguments} or itself; None is all anchors."""
    if selector is None or callable(selector):
        return selector
    make, arguments = lookup(SELECTORS, selector, "selector")
    return make(**arguments)
