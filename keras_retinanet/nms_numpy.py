"""Non-maximum suppression of one image's candidates in NumPy, by the rules of `nms`.

It runs after a model file that ends at the candidates. Every kind takes boxes (C, 4) xyxy px,
scores (C,) in descending order, labels (C,) and `Limits`. It returns the rows of the kept
candidates (D,) in descending order of their final scores, and these scores (D,); D is at most
max_detections.
Imports no Keras.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from .boxes import clip, diou, iou
from .choices import NMS, lookup, nms_config
from .parts import PostProcess

Kept = tuple[np.ndarray, np.ndarray]  # rows and scores of the kept candidates, see above
Found = tuple[np.ndarray, np.ndarray, np.ndarray]  # boxes (C, 4), scores (C,), labels (C,)
KINDS = {name: entry.replace("nms", "nms_numpy", 1) for name, entry in NMS.items()}
BLOCK = 128  # candidates resolved at a time: the suppression matrix is BLOCK x BLOCK


class Limits(NamedTuple):
    """The largest number of detections, the largest overlap of two, and the score to exceed."""

    max_detections: int
    threshold: float = 0.5
    score_threshold: float = 0.0


def detections(candidates: Found, postprocess: PostProcess, size: tuple[int, int]) -> Found:
    """Return the detections among one image's candidates, in descending order of score.

    Args:
        candidates: in descending order of score; those that do not exist score -1.
        size: (width, height) px of the model's input, for `postprocess.clip` "after".
    """
    boxes, scores, labels = candidates
    groups = labels if postprocess.class_specific_filter else np.zeros_like(labels)
    limits = Limits(
        postprocess.max_detections, postprocess.nms_threshold, postprocess.score_threshold
    )
    rows, scores = get(postprocess.nms)(boxes, scores, groups, limits)
    found = boxes[rows], scores, labels[rows]
    return clipped(found, size, postprocess.clip_margin) if postprocess.clip == "after" else found


def clipped(found: Found, size: tuple[int, int], margin: int) -> Found:
    """Clip boxes to `size` (width, height) px less a margin, and drop those without area."""
    boxes, scores, labels = found
    boxes = clip(boxes, size[0] - margin, size[1] - margin)
    kept = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)  # (D,)
    return boxes[kept], scores[kept], labels[kept]


def get(nms: str | bool | dict) -> Callable[..., Kept]:
    """Return the function of a choice of NMS; see `choices.nms_config` for its forms."""
    function, arguments = lookup(KINDS, nms_config(nms), "NMS")
    return partial(function, **arguments)


def hard(
    boxes: np.ndarray,
    scores: np.ndarray,
    labels: np.ndarray,
    limits: Limits,
    overlap: Callable[..., np.ndarray] = iou,
) -> Kept:
    """Greedy NMS: the candidate of highest score drops the candidates of its class that overlap it
    by more than the threshold.

    It works through blocks, as `nms.hard` does, and ends once enough boxes are kept.
    """

    def suppresses(these: np.ndarray, those: np.ndarray) -> np.ndarray:
        """Return True where one of `these` rows (S,) would suppress one of `those` (T,): (S, T)."""
        same = labels[these][:, None] == labels[those]
        return same & (overlap(boxes[these][:, None], boxes[those]) > limits.threshold)

    possible = np.flatnonzero(scores > limits.score_threshold)
    kept = possible[:0]
    for start in range(0, len(possible), BLOCK):
        rows = possible[start : start + BLOCK]
        rows = rows[~suppresses(kept, rows).any(axis=0)]
        rows = rows[_greedy(np.triu(suppresses(rows, rows), 1))]
        kept = np.concatenate([kept, rows])[: limits.max_detections]
        if len(kept) == limits.max_detections:
            break
    return kept, scores[kept]


def _greedy(suppresses: np.ndarray) -> np.ndarray:
    """Return the rows that greedy NMS keeps: (T,) bool; suppresses (T, T) is upper triangular.

    It is the fixed point of `keep = not suppressed by a kept box before it`.
    """
    before: np.ndarray | None = None
    keep: np.ndarray = np.ones(len(suppresses), bool)
    while not np.array_equal(before, keep):
        before, keep = keep, ~suppresses[keep].any(axis=0)
    return keep


def by_diou(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, limits: Limits) -> Kept:
    """Return `hard` by the DIoU of boxes instead of their IoU."""
    return hard(boxes, scores, labels, limits, diou)


def class_agnostic(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, limits: Limits
) -> Kept:
    """Return `hard` in which boxes of all classes suppress each other."""
    return hard(boxes, scores, np.zeros_like(labels), limits)


def top(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, limits: Limits) -> Kept:
    """Return the first candidates above the score threshold, without suppression."""
    rows = np.flatnonzero(scores[: limits.max_detections] > limits.score_threshold)
    return rows, scores[rows]


def soft(
    boxes: np.ndarray,
    scores: np.ndarray,
    labels: np.ndarray,
    limits: Limits,
    decay: Callable[[np.ndarray], np.ndarray],
) -> Kept:
    """Soft-NMS: keep the candidate of the highest score, multiply the scores of the other
    candidates of its class by decay(IoU), and repeat until no score is above the threshold.
    """
    remaining = scores.copy()
    rivals = {label: np.flatnonzero(labels == label) for label in np.unique(labels)}
    kept: list[int] = []
    final: list[float] = []
    while len(kept) < min(limits.max_detections, len(scores)):
        row = int(remaining.argmax())
        if not remaining[row] > limits.score_threshold:
            break
        kept.append(row)
        final.append(remaining[row])
        same = rivals[labels[row]]
        remaining[same] *= decay(iou(boxes[row], boxes[same]))
        remaining[row] = -1
    return np.array(kept, "int64"), np.array(final, scores.dtype)


def soft_linear(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, limits: Limits) -> Kept:
    """Soft-NMS with the factor 1 - IoU where the IoU is above the threshold."""

    def decay(overlap: np.ndarray) -> np.ndarray:
        return np.where(overlap > limits.threshold, 1 - overlap, np.float32(1))

    return soft(boxes, scores, labels, limits, decay)


def soft_gaussian(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, limits: Limits, sigma: float = 0.5
) -> Kept:
    """Soft-NMS with the factor exp(-IoU²/sigma), which does not depend on the threshold."""

    def decay(overlap: np.ndarray) -> np.ndarray:
        return np.exp(-(overlap**2) / np.float32(sigma))

    return soft(boxes, scores, labels, limits, decay)
