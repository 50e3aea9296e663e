"""The options of a `Detector`, and the checks that a model fits them."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import field, replace

import numpy as np

from keras_retinanet.choices import nms_config
from keras_retinanet.errors import InputError
from keras_retinanet.options import BATCH, DETECTIONS, SHARE, SIDE, check_number
from keras_retinanet.parts import PostProcess
from keras_retinanet.typing import StrPath
from keras_retinanet.utils.anchors import AnchorParameters
from keras_retinanet.utils.text import listed, quoted
from keras_retinanet.views import Views

USUAL = 0.5  # least score of a detection


@dataclasses.dataclass(frozen=True)
class DetectorOptions:
    """Options of a `Detector`; None takes the value of the model.

    Args:
        score_threshold: the minimum score of a detection, in 0..1; None takes the model's
            thresholds, or 0.5 if it has none.
        max_detections: the maximum number of detections in an image.
        batch_size: images that `stream` gives to the model at once.
        image_min_side, image_max_side: px that images are resized to.
        no_resize: leave images as they are.
        classes: the names of the classes to find; None for all.
        class_thresholds: {class name: minimum score} of classes that do not use `score_threshold`.
        views: tiles, mirrored and scaled views of each image.
        nms, nms_threshold: see `convert_model`; fixed in a model with NMS in its graph.
        anchors: see `convert_model`, or the path of an INI file; fixed in all but training models.

    Raises:
        InputError: for a value out of its range.
    """

    score_threshold: float | None = None
    max_detections: int = 100
    batch_size: int = 1
    image_min_side: int | None = None
    image_max_side: int | None = None
    no_resize: bool = False
    classes: tuple[str, ...] | None = None
    class_thresholds: Mapping[str, float] = field(default_factory=dict)
    views: Views = Views()
    nms: str | dict | None = None
    nms_threshold: float | None = None
    anchors: AnchorParameters | StrPath | None = None

    def __post_init__(self) -> None:
        if self.score_threshold is not None:
            check_number("score_threshold", self.score_threshold, SHARE, float)
        for name, value in self.class_thresholds.items():
            check_number(f"The threshold of {name}", value, SHARE, float)
        check_number("max_detections", self.max_detections, DETECTIONS)
        check_number("batch_size", self.batch_size, BATCH)
        for name in ("image_min_side", "image_max_side"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), SIDE)
        if self.nms_threshold is not None:
            check_number("nms_threshold", self.nms_threshold, SHARE, float)
        if self.nms is not None:
            nms_config(self.nms)


def usual_scores(options: DetectorOptions, held: PostProcess | None) -> Sequence[float]:
    """Return the minimum score of each label, or of all: the user's or the model's."""
    if options.score_threshold is not None:
        return (options.score_threshold,)
    if held is None or held.class_thresholds is None:
        return (USUAL,)
    return held.class_thresholds


def least_scores(
    options: DetectorOptions, names: Sequence[str] | None, held: PostProcess | None = None
) -> np.ndarray:
    """Return the least score of each label, above 1 for classes that are not to be found: (K,), or
    (1,) if all classes are alike.

    Args:
        held: the post-processing of the model.

    Raises:
        InputError: if a class name is unknown, or the detector has no class names.
    """
    asked = [*(options.classes or ()), *options.class_thresholds]
    usual = usual_scores(options, held)
    if not asked:
        return np.array(usual, "float32")
    names = list(names or ())
    if unknown := [name for name in asked if name not in names]:
        known = listed(names) if names else "none, for the model has no class names"
        raise InputError(f"Unknown class {quoted(unknown[0])}; known: {known}.")
    wanted = set(options.classes or names)
    usual = usual if len(usual) == len(names) else [usual[0]] * len(names)
    pairs = [
        (name, options.class_thresholds.get(name, score))
        for name, score in zip(names, usual, strict=True)
    ]
    return np.array([score if name in wanted else 2 for name, score in pairs], "float32")


def sufficient(scores: np.ndarray, labels: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Return True for the scores (n,) that reach those of `least_scores`, (n,)."""
    return scores >= (least[0] if len(least) == 1 else least[labels])


def chosen(held: PostProcess, options: DetectorOptions) -> PostProcess:
    """Return the post-processing of candidates: the model's, changed by the options."""
    return replace(
        held,
        nms=held.nms if options.nms is None else nms_config(options.nms),
        nms_threshold=(
            held.nms_threshold if options.nms_threshold is None else options.nms_threshold
        ),
        score_threshold=min(
            held.score_threshold, *usual_scores(options, held), *options.class_thresholds.values()
        ),
        max_detections=max(options.max_detections, held.max_detections),
    )


def check_fixed(held: PostProcess, options: DetectorOptions) -> None:
    """Check that a model with post-processing in its graph agrees with the options.

    Raises:
        InputError: if its NMS or NMS threshold differs.
    """
    asked = None if options.nms is None else nms_config(options.nms)
    for name, value, has in (
        ("nms", asked, nms_config(held.nms)),
        ("nms_threshold", options.nms_threshold, held.nms_threshold),
    ):
        if value not in (None, has):
            raise InputError(
                f"{name} {value!r} needs a training model; this inference model has {has!r}."
            )
    check_threshold(held, min(usual_scores(options, held)))


def check_threshold(held: PostProcess, score_threshold: float) -> None:
    """Warn if the model drops detections that the threshold would keep."""
    if score_threshold < held.score_threshold:
        warnings.warn(
            f"The model keeps no detections with a score below {held.score_threshold}; convert it "
            f"again for the threshold {score_threshold}.",
            UserWarning,
            stacklevel=4,
        )
