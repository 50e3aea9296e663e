"""The options of a `Detector`, and the inference model that fits them."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

from keras_retinanet.errors import InputError
from keras_retinanet.models import RetinaNet, convert_model
from keras_retinanet.nms import config as nms_config
from keras_retinanet.options import BATCH, DETECTIONS, SHARE, SIDE, check_number
from keras_retinanet.parts import PostProcess
from keras_retinanet.utils.anchors import AnchorParameters


@dataclasses.dataclass(frozen=True)
class DetectorOptions:
    """Options of a `Detector`; None takes the value of the model.

    Args:
        score_threshold: the least score of a detection, in 0..1.
        max_detections: the most detections of an image.
        batch_size: images that `stream` gives to the model at once.
        image_min_side, image_max_side: px that images are resized to.
        no_resize: leave images as they are.
        nms, nms_threshold, anchors: post-processing of a training model, as `convert_model` takes
            them; an inference model has them fixed.

    Raises:
        InputError: for a value that is out of its range.
    """

    score_threshold: float = 0.5
    max_detections: int = 100
    batch_size: int = 1
    image_min_side: int | None = None
    image_max_side: int | None = None
    no_resize: bool = False
    nms: str | dict | None = None
    nms_threshold: float | None = None
    anchors: AnchorParameters | None = None

    def __post_init__(self) -> None:
        check_number("score_threshold", self.score_threshold, SHARE, float)
        check_number("max_detections", self.max_detections, DETECTIONS)
        check_number("batch_size", self.batch_size, BATCH)
        for name in ("image_min_side", "image_max_side"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), SIDE)
        if self.nms_threshold is not None:
            check_number("nms_threshold", self.nms_threshold, SHARE, float)
        if self.nms is not None:
            nms_config(self.nms)


def inference_model(model: RetinaNet, options: DetectorOptions) -> RetinaNet:
    """Convert a training model, with a threshold low enough for evaluation.

    Returns an inference model as it is.

    Raises:
        InputError: an inference model has other post-processing than the options ask for.
    """
    asked: dict[str, Any] = {"nms": options.nms, "nms_threshold": options.nms_threshold}
    asked = {name: value for name, value in asked.items() if value is not None}
    held = model.detection
    if model.is_training_model:
        known = {**vars(PostProcess()), **held}
        asked["score_threshold"] = min(options.score_threshold, known["score_threshold"])
        asked["max_detections"] = max(options.max_detections, known["max_detections"])
        return convert_model(model, anchor_params=options.anchors, **asked)
    for name, value in asked.items():
        value = nms_config(value) if name == "nms" else value
        if held.get(name) != value:
            raise InputError(
                f"{name} {value!r} needs a training model; this inference model has "
                f"{held.get(name)!r}."
            )
    check_threshold(model, options.score_threshold)
    return model


def check_threshold(model: RetinaNet, score_threshold: float) -> None:
    """Warn if the model drops detections that the threshold would keep."""
    held = model.detection.get("score_threshold", 0) if isinstance(model, RetinaNet) else 0
    if score_threshold < held:
        warnings.warn(
            f"The model keeps no detections with a score below {held}; convert it again for the "
            f"threshold {score_threshold}.",
            UserWarning,
            stacklevel=3,
        )
