"""Dense targets: every anchor's label and encoded box, for older training scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import boxes as box_math
from .. import coders
from ..assigners.iou import BACKGROUND, IGNORE, assign

Factors = Sequence[float] | np.ndarray


def compute_gt_annotations(
    anchors: np.ndarray,
    annotations: np.ndarray,
    negative_overlap: float = 0.4,
    positive_overlap: float = 0.5,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Match anchors (N, 4) with annotations (M, 4+): (positive (N,), ignore (N,), argmax (N,)).

    `positive` and `ignore` are bool; `argmax` is the row of the annotation of highest IoU.
    """
    overlaps = box_math.iou(anchors[:, None], np.asarray(annotations)[None, :, :4])  # (N, M)
    best = overlaps.max(axis=1)  # (N,)
    positive = best >= positive_overlap
    return positive, (best > negative_overlap) & ~positive, overlaps.argmax(axis=1)


def inside(anchors: np.ndarray, width: float, height: float) -> np.ndarray:
    """Return True for anchors (N, 4) centred in an image of width x height px: (N,) bool."""
    x = (anchors[:, 0] + anchors[:, 2]) / 2
    y = (anchors[:, 1] + anchors[:, 3]) / 2
    return (x < width) & (y < height) & (x >= 0) & (y >= 0)


def bbox_transform(
    anchors: np.ndarray,
    gt_boxes: np.ndarray,
    mean: Factors | None = None,
    std: Factors | None = None,
) -> np.ndarray:
    """Encode gt_boxes (N, 4) by corners relative to anchors (N, 4); std defaults to 0.2."""
    arguments: dict[str, Any] = {"mean": mean, "std": std}
    for name, value in arguments.items():
        if value is not None and not isinstance(value, (list, tuple, np.ndarray)):
            raise ValueError(f"{name} must be a list, tuple or array, got {type(value)}.")
    coder = coders.corners(**{k: v for k, v in arguments.items() if v is not None})
    return coder.encode(np.asarray(anchors), np.asarray(gt_boxes))


def anchor_targets_bbox(
    anchors: np.ndarray,
    image_group: Sequence[np.ndarray],
    annotations_group: Sequence[Mapping],
    num_classes: int,
    negative_overlap: float = 0.4,
    positive_overlap: float = 0.5,
    coder: str | dict = "corners",
) -> tuple[np.ndarray, np.ndarray]:
    """Return dense targets of a batch: (regression (B, N, 5), labels (B, N, K + 1)), float32.

    The last column of each is the state: -1 ignore, 0 background, 1 object. `annotations_group`
    holds dicts of `bboxes` (M, 4) px, `labels` (M,) and, if some boxes are to be left out of the
    training, `ignore` (M,) bool. Anchors centred outside their image (in the padding) are ignored.
    """
    if len(image_group) != len(annotations_group):
        raise ValueError(
            f"Give annotations for each image, got {len(image_group)} images and "
            f"{len(annotations_group)} annotations."
        )
    if not len(annotations_group):
        raise ValueError("The group is empty; give at least one image.")
    encode = coders.get(coder).encode
    regression = np.zeros((len(image_group), len(anchors), 5), "float32")
    labels = np.zeros((len(image_group), len(anchors), num_classes + 1), "float32")
    for row, (image, found) in enumerate(zip(image_group, annotations_group, strict=True)):
        missing = {"bboxes", "labels"} - set(found)
        if missing:
            raise ValueError(f"Annotations must have bboxes and labels; {missing} is missing.")
        boxes = np.asarray(found["bboxes"], "float32").reshape(-1, 4)
        matches = assign(
            anchors,
            boxes,
            found.get("ignore"),
            positive_overlap=positive_overlap,
            negative_overlap=negative_overlap,
        )  # (N,)
        matches[~inside(anchors, image.shape[1], image.shape[0])] = IGNORE
        positive = matches > BACKGROUND
        state = np.where(positive, 1, np.where(matches == IGNORE, -1, 0))
        regression[row, :, 4] = labels[row, :, -1] = state
        regression[row, positive, :4] = encode(anchors[positive], boxes[matches[positive]])
        classes = np.asarray(found["labels"], "int64")[matches[positive]]
        labels[row, np.flatnonzero(positive), classes] = 1
    return regression, labels
