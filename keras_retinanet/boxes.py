"""Arithmetic on boxes: xyxy pixels, written once for any array module.

Every function broadcasts over the leading axes, so pairs are `iou(a[:, None], b[None])`. `xp` is
`numpy` on the host and `keras.ops` inside a graph.
"""

import numpy as np

from .typing import ArrayModule, Tensor

EPSILON = 1e-7  # keeps ratios of degenerate boxes finite


def area(boxes: Tensor, xp: ArrayModule = np) -> Tensor:
    """Area of boxes (..., 4) in px², 0 for inverted ones: (...)."""
    width = xp.maximum(boxes[..., 2] - boxes[..., 0], 0)
    height = xp.maximum(boxes[..., 3] - boxes[..., 1], 0)
    return width * height  # (...)


def intersection(boxes: Tensor, others: Tensor, xp: ArrayModule = np) -> Tensor:
    """Area that boxes (..., 4) share with others (..., 4), in px²: (...)."""
    width = xp.minimum(boxes[..., 2], others[..., 2]) - xp.maximum(boxes[..., 0], others[..., 0])
    height = xp.minimum(boxes[..., 3], others[..., 3]) - xp.maximum(boxes[..., 1], others[..., 1])
    return xp.maximum(width, 0) * xp.maximum(height, 0)  # (...)


def union(boxes: Tensor, others: Tensor, xp: ArrayModule = np) -> Tensor:
    """Area that boxes (..., 4) and others (..., 4) cover together, in px²: (...)."""
    return area(boxes, xp) + area(others, xp) - intersection(boxes, others, xp)


def iou(boxes: Tensor, others: Tensor, xp: ArrayModule = np) -> Tensor:
    """Intersection over union of boxes (..., 4) and others (..., 4), in 0..1: (...).

    >>> box = np.array([0, 0, 10, 10])
    >>> print(iou(box, np.array([[0, 0, 10, 5], [20, 20, 30, 30]])))
    [0.5 0. ]
    """
    shared = intersection(boxes, others, xp)
    return shared / xp.maximum(area(boxes, xp) + area(others, xp) - shared, EPSILON)


def hull(boxes: Tensor, others: Tensor, xp: ArrayModule = np) -> Tensor:
    """Smallest boxes that hold both boxes (..., 4) and others (..., 4): (..., 4)."""
    low = xp.minimum(boxes[..., :2], others[..., :2])
    high = xp.maximum(boxes[..., 2:], others[..., 2:])
    return xp.concatenate([low, high], axis=-1)


def giou(boxes: Tensor, others: Tensor, xp: ArrayModule = np) -> Tensor:
    """Generalized IoU, in -1..1: (...). Rezatofighi et al. 2019, arXiv 1902.09630.

    >>> box = np.array([0, 0, 10, 10])
    >>> print(giou(box, np.array([[0, 0, 10, 5], [10, 0, 20, 10], [30, 0, 40, 10]])))
    [ 0.5  0.  -0.5]
    """
    enclosing = area(hull(boxes, others, xp), xp)
    covered = union(boxes, others, xp)
    return iou(boxes, others, xp) - (enclosing - covered) / xp.maximum(enclosing, EPSILON)


def diou(boxes: Tensor, others: Tensor, xp: ArrayModule = np) -> Tensor:
    """Distance IoU, in -1..1: (...). Zheng et al. 2020, arXiv 1911.08287.

    It is the IoU minus the squared distance of the centres over the hull's squared diagonal.
    """
    right = (boxes[..., 0] + boxes[..., 2] - others[..., 0] - others[..., 2]) / 2
    down = (boxes[..., 1] + boxes[..., 3] - others[..., 1] - others[..., 3]) / 2
    width = xp.maximum(boxes[..., 2], others[..., 2]) - xp.minimum(boxes[..., 0], others[..., 0])
    height = xp.maximum(boxes[..., 3], others[..., 3]) - xp.minimum(boxes[..., 1], others[..., 1])
    distance = (right**2 + down**2) / xp.maximum(width**2 + height**2, EPSILON)  # (...)
    return iou(boxes, others, xp) - distance


def aspect_difference(boxes: Tensor, others: Tensor, xp: ArrayModule = np) -> Tensor:
    """Difference of the aspect ratios of boxes and others, in 0..1: (...), CIoU's v."""

    def angle(values: Tensor) -> Tensor:
        width = xp.maximum(values[..., 2] - values[..., 0], 0)
        height = xp.maximum(values[..., 3] - values[..., 1], EPSILON)
        return xp.arctan(width / height)

    return 4 / np.pi**2 * (angle(boxes) - angle(others)) ** 2


def clip(boxes: Tensor, width: Tensor, height: Tensor, xp: ArrayModule = np) -> Tensor:
    """Clip boxes (..., 4) to an image of width x height px: (..., 4)."""
    return xp.stack(
        [
            xp.clip(boxes[..., 0], 0, width),
            xp.clip(boxes[..., 1], 0, height),
            xp.clip(boxes[..., 2], 0, width),
            xp.clip(boxes[..., 3], 0, height),
        ],
        axis=-1,
    )
