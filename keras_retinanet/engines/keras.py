"""Run a Keras model, on the backend that Keras runs on."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..detector_options import DetectorOptions
from ..model_info import ModelInfo
from ..models import RetinaNet, convert_model
from ..models.loading import load_retinanet
from ..parts import PostProcess
from .engine import Engine, Outputs


class KerasEngine(Engine):
    """A Keras model of detections, or anything with the same `predict_on_batch`.

    Its weights may change between calls.
    """

    name = "keras"

    def __init__(self, model: Any) -> None:
        self.model = model
        self.info = ModelInfo.of(model) if isinstance(model, RetinaNet) else None

    def __call__(self, images: np.ndarray) -> Outputs:
        boxes, scores, labels = self.model.predict_on_batch(images)[:3]
        return np.asarray(boxes), np.asarray(scores), np.asarray(labels)


def load(path: str | os.PathLike, options: DetectorOptions) -> KerasEngine:
    """Return the engine of a `.keras` file, of an inference model or a training snapshot.

    Raises:
        InputError: there is no such file, or it holds no RetinaNet.
    """
    return KerasEngine(inference_model(load_retinanet(path, compile=False), options))


def inference_model(model: Any, options: DetectorOptions) -> Any:
    """Convert a training model, with thresholds low enough for evaluation; return others as is."""
    if not (isinstance(model, RetinaNet) and model.is_training_model):
        return model
    held = PostProcess(**model.detection)
    return convert_model(
        model,
        anchor_params=options.anchors,
        nms=options.nms,
        nms_threshold=options.nms_threshold,
        score_threshold=min(options.score_threshold, held.score_threshold),
        max_detections=max(options.max_detections, held.max_detections),
    )
