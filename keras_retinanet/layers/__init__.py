"""Keras layers of the detector."""

from .anchors import Anchors
from .clip_boxes import ClipBoxes
from .filter_detections import FilterDetections, NonMaxSuppression
from .normalize import Normalize
from .regress_boxes import RegressBoxes
from .scale import Scale
from .top_candidates import TopCandidates
from .upsample_like import UpSampleLike, UpsampleLike

__all__ = [
    "Anchors",
    "ClipBoxes",
    "FilterDetections",
    "NonMaxSuppression",
    "Normalize",
    "RegressBoxes",
    "Scale",
    "TopCandidates",
    "UpSampleLike",
    "UpsampleLike",
]
