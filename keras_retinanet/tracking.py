"""Track objects across the frames of a video."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Iterable, Iterator

import numpy as np

from .detections import Detections
from .errors import InputError


def tracked(stream: Iterable[Detections]) -> Iterator[Detections]:
    """Yield the detections of frames in order, with `tracks`, by ByteTrack of supervision.

    Objects without a track are left out. Zhang et al. 2022, arXiv 2110.06864.

    Raises:
        InputError: if supervision is not installed.
    """
    if importlib.util.find_spec("supervision") is None:
        raise InputError("Tracking needs supervision; run pip install 'keras-retinanet[track]'.")
    import supervision

    tracker = supervision.ByteTrack()
    for found in stream:
        rows = supervision.Detections(
            xyxy=found.boxes,
            confidence=found.scores,
            class_id=found.labels.astype(int),
            data={"row": np.arange(len(found))},
        )
        followed = tracker.update_with_detections(rows)
        kept = np.asarray(followed.data.get("row", []), int)
        tracks = np.asarray(followed.tracker_id if len(kept) else [], int)
        yield dataclasses.replace(
            found,
            boxes=found.boxes[kept],
            scores=found.scores[kept],
            labels=found.labels[kept],
            tracks=tracks,
        )
