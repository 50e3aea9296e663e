"""The start of a training, and the options that it settles."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Literal

from ..errors import InputError
from ..models import RetinaNet, backbone_names
from ..models.loading import check_backbone, load_keras, load_retinanet
from ..options import check_sides, options_of
from ..presets import DETECTORS
from ..weights.transfer import raw_outputs
from .config import TrainConfig

CHOSEN = ("classification_loss", "box_loss", "assigner")  # by a preset, if not given


@dataclasses.dataclass(frozen=True)
class Start:
    """A snapshot to resume, a detector to fine-tune, backbone weights, or nothing.

    `model` is the RetinaNet of a snapshot or detector, `path` its file, and `backbone` the name of
    the backbone that a file settles.
    """

    kind: Literal["snapshot", "detector", "pretrained", "scratch"]
    path: str | None = None
    model: RetinaNet | None = None
    backbone: str | None = None


def load_start(config: TrainConfig) -> Start:
    """Load the start of a training; ImageNet weights are downloaded later.

    Raises:
        InputError: for a file that a training cannot start from, or that holds another backbone.
    """
    if config.snapshot:
        model = load_retinanet(config.snapshot, config.backbone)
        if not model.is_training_model:
            raise InputError(
                f"{config.snapshot} is an inference model; resume from a training snapshot."
            )
        model.detection["class_thresholds"] = None  # they hold for the old weights
        return Start("snapshot", config.snapshot, model, model.backbone_name)
    if not config.weights:
        return Start("scratch" if config.no_weights else "pretrained")
    if not config.weights.endswith(".keras"):
        return Start("pretrained", config.weights)
    model = load_keras(config.weights, compile=False)
    if isinstance(model, RetinaNet):
        check_backbone(config.weights, model.backbone_name, config.backbone)
        return Start("detector", config.weights, model, model.backbone_name)
    if model.name not in backbone_names():  # a user's backbone, whose layers have to fit
        return Start("pretrained", config.weights)
    check_backbone(config.weights, model.name, config.backbone)
    return Start("pretrained", config.weights, backbone=model.name)


def settle(
    config: TrainConfig, given: Collection[str], start: Start
) -> tuple[TrainConfig, list[str]]:
    """Complete a config by the start of the training and by its detector.

    Args:
        given: the names of the options that the user gave.

    Returns:
        The config with losses, assigner, sides and backbone filled in, and the given options that
        have no effect because the snapshot or detector settles them.
    """
    held = {"snapshot": ("snapshot", "detector"), "detector": ("detector",)}.get(start.kind, ())
    ignored = [name for name, rule in options_of(config).items() if rule.kept_by in held]
    ignored = [name for name in ignored if name in given]
    sides = (None, None)
    if start.model is not None:
        sides = start.model.image_min_side, start.model.image_max_side
        brought = {**_sides_of(sides, given), **_suiting(start.model)}
        if start.kind == "snapshot":
            brought["assigner"] = start.model.progress.get("assigner", brought["assigner"])
        brought = {n: value for n, value in brought.items() if n not in given or n in ignored}
        config = dataclasses.replace(config, **brought, backbone=start.backbone)
    elif start.backbone:
        config = dataclasses.replace(config, backbone=start.backbone)
    if start.kind != "snapshot":
        check_sides(config.image_min_side, config.image_max_side, sides)
    preset = DETECTORS[config.detector]
    missing = {name: getattr(preset, name) for name in CHOSEN if getattr(config, name) is None}
    return dataclasses.replace(config, **missing), ignored


def _sides_of(sides: tuple[int | None, int | None], given: Collection[str]) -> dict:
    """Return the options that resize images as a detector of these sides does."""
    if sides[0] is None:
        return {"no_resize": not {"image_min_side", "image_max_side"} & set(given)}
    return dict(zip(("image_min_side", "image_max_side"), sides, strict=True))


def _suiting(model: RetinaNet) -> dict:
    preset = DETECTORS["gfl" if model.coder.size > 4 else "retinanet"]
    suiting = {name: getattr(preset, name) for name in CHOSEN}
    if model.activation == "softmax":
        suiting["classification_loss"] = {"name": "softmax_focal"}
    return {**suiting, "iou_branch": "iou" in raw_outputs(model)}
