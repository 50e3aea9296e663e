"""IoU of all pairs, under the name that existing users import."""

from __future__ import annotations

import numpy as np

from keras_retinanet.boxes import iou


def compute_overlap(boxes: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Return the IoU of boxes (N, 4) with query boxes (K, 4), xyxy px, in 0..1: (N, K)."""
    return iou(np.asarray(boxes)[:, None], np.asarray(query)[None])  # (N, K)
