"""Run a Keras model, on the backend that Keras runs on."""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np

from ..detector_options import DetectorOptions, usual_scores
from ..export.candidates import candidates_info
from ..model_info import ModelInfo
from ..models import RetinaNet, convert_model
from ..models.inference import candidates_model
from ..models.loading import anchors_for, load_retinanet
from ..parts import PostProcess
from ..typing import StrPath
from .engine import Engine, Outputs, Settings, check_precision


class KerasEngine(Engine):
    """A Keras model of detections, or anything with the same `predict_on_batch`.

    Its weights may change between calls.
    """

    name = "keras"

    def __init__(self, model: Any) -> None:
        self.model = model
        self.info = ModelInfo.of(model) if isinstance(model, RetinaNet) else None

    def __call__(self, images: np.ndarray) -> Outputs:
        if keras.distribution.distribution() is not None:
            images = divided(images)
        boxes, scores, labels = self.model.predict_on_batch(images)[:3]
        return np.asarray(boxes), np.asarray(scores), np.asarray(labels)


class CandidatesEngine(Engine):
    """A Keras model up to its candidates."""

    name = "keras"

    def __init__(self, model: RetinaNet) -> None:
        self.model = model
        self.info = candidates_info(model)
        self.graph = candidates_model(model)

    def __call__(self, images: np.ndarray) -> Outputs:
        boxes, scores, labels = self.graph.predict_on_batch(images)
        return np.asarray(boxes), np.asarray(scores), np.asarray(labels)


def divided(images: np.ndarray) -> Any:
    """Divide a batch over the devices of Keras's distribution, where their number fits."""
    distribution = keras.distribution.distribution()
    if len(images) % distribution.num_model_replicas:
        return images
    layout = distribution.get_data_layout(images.shape)
    return keras.distribution.distribute_tensor(images, layout)


def load(path: StrPath, settings: Settings) -> Engine:
    """Return the engine of a `.keras` file, of an inference model or a training snapshot.

    Raises:
        InputError: if there is no such file, it has no RetinaNet, or a precision is requested.
    """
    check_precision(path, "keras", settings.precision)
    if keras.backend.backend() == "tensorflow":
        from .saved_model import set_threads

        set_threads(settings.threads)
    model = load_retinanet(path, compile=False)
    return CandidatesEngine(inference_model(model, settings.options))


def inference_model(model: Any, options: DetectorOptions) -> Any:
    """Convert a training model, with thresholds low enough for evaluation; return others as is.

    Raises:
        InputError: if the anchors in the options do not fit the model.
    """
    if not (isinstance(model, RetinaNet) and model.is_training_model):
        return model
    held, anchors = PostProcess(**model.detection), options.anchors
    if isinstance(anchors, (str, os.PathLike)):
        anchors = anchors_for(anchors, model)
    return convert_model(
        model,
        anchor_params=anchors,
        nms=options.nms,
        nms_threshold=options.nms_threshold,
        score_threshold=min(held.score_threshold, *usual_scores(options, held)),
        max_detections=max(options.max_detections, held.max_detections),
    )
