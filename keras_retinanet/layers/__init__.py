"""Keras layers of the detector."""

from .anchors import Anchors
from .clip_boxes import ClipBoxes, ClipDetections
from .filter_detections import FilterDetections, NonMaxSuppression
from .normalize import Normalize
from .pad_to_multiple import PadToMultiple
from .regress_boxes import RegressBoxes
from .scale import Scale
from .top_candidates import TopCandidates
from .upsample_like import UpSampleLike, UpsampleLike

__all__ = [
    "Anchors",
    "ClipBoxes",
    "ClipDetections",
    "FilterDetections",
    "NonMaxSuppression",
    "Normalize",
    "PadToMultiple",
    "RegressBoxes",
    "Scale",
    "TopCandidates",
    "UpSampleLike",
    "UpsampleLike",
]
