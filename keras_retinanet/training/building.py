"""The anchors, the model and the loaders of a training."""

from __future__ import annotations

from dataclasses import replace

from ..choices import LOSSES, lookup
from ..errors import InputError
from ..model_input import normalize_of
from ..models import RetinaNet, backbone
from ..models.loading import check_classes
from ..models.norms import freeze_batch_norm
from ..parts import Design, Freeze
from ..preprocessing.best_recall import objects_of
from ..preprocessing.collate import Anchoring
from ..preprocessing.dataset import Dataset
from ..preprocessing.epochs import Batching
from ..preprocessing.examples import Sizing
from ..preprocessing.loader import Loader
from ..presets import DETECTORS
from ..utils.anchor_fit import fit_anchors
from ..utils.anchors import AnchorParameters, square_anchors
from ..utils.config import read_anchors
from ..weights.transfer import backbone_of, described, with_classes
from . import hosts
from .config import BACKBONE, TrainConfig
from .start import Start

SMALL_BATCH = 16  # below it the statistics of live batch norm are too noisy to train with

Anchors = tuple[AnchorParameters, list[int]]  # and the pyramid levels


def usual_anchors(config: TrainConfig, start: Start, train: Dataset | None = None) -> Anchors:
    """Return the anchors of `config.config`, else of the start, else of the preset."""
    if start.model is not None:
        held = start.model.anchor_params, start.model.pyramid_levels
        return held if config.config is None else placed_as(start, read_anchors(config.config))
    anchors, levels = read_anchors(config.config)
    side = DETECTORS[config.detector].anchor_side
    return (square_anchors(levels, side) if side and not config.config else anchors), levels


def placed_as(start: Start, anchors: Anchors) -> Anchors:
    """Return anchors of other shapes, placed as the anchors of the detector of `start` are."""
    params, levels = anchors
    if start.model is None:
        return anchors
    return replace(start.model.anchor_params, **params.rows()), levels


def fitted_anchors(config: TrainConfig, start: Start, train: Dataset) -> Anchors:
    """Return anchors fitted to a data set, and print how many objects they reach."""
    usual = usual_anchors(config, start)
    found = objects_of(train, Sizing(*config.sides))
    counts = len(usual[0].ratios), len(usual[0].scales)
    levels = start.model and start.model.pyramid_levels
    fitted = fit_anchors(found.boxes, found.image_sizes, found.labels, levels, *counts)
    fitted = placed_as(start, fitted)
    before, after = (found.reached(*anchors).mean() for anchors in (usual, fitted))
    print(f"fitted anchors reach {after:.1%} of the objects, the usual ones {before:.1%}")
    rows = {**fitted[0].rows(), "levels": fitted[1]}
    print(", ".join(f"{name} {' '.join(f'{v:.3g}' for v in row)}" for name, row in rows.items()))
    return fitted


def build_model(
    config: TrainConfig, start: Start, class_names: list[str], anchors: Anchors
) -> RetinaNet:
    """Build the model that is trained: the snapshot's, or a new one for these classes.

    Raises:
        InputError: for a snapshot of other classes or anchors, and options that cannot be combined.
    """
    if start.kind == "snapshot":
        check_classes(config.snapshot, start.model, class_names)
        check_anchors(config.config, start.model)
        return start.model
    if start.kind == "detector":
        return fine_tuned(config, start, class_names, anchors)
    return new_model(config, start, class_names, anchors)


def new_model(
    config: TrainConfig, start: Start, class_names: list[str], anchors: Anchors
) -> RetinaNet:
    """Build a detector on a new backbone, or one with weights."""
    chosen = backbone(config.backbone or BACKBONE)
    weights = None
    if start.kind == "pretrained":
        weights = start.path or chosen.download_imagenet()
    scratch_norm = "group" if (config.batch_size or 1) < SMALL_BATCH else "batch"
    norm = config.norm or (scratch_norm if weights is None else "batch")
    return chosen.detector(
        class_names,
        weights,
        design_of(config, anchors, norm),
        Freeze(config.freeze_bn, config.freeze_backbone, config.freeze_stages),
        norm,
        progress=first_progress(config, start),
    )


def design_of(config: TrainConfig, anchors: Anchors, norm: str) -> Design:
    """Return the design of `config.detector`, changed by the options.

    `norm` is the backbone's.
    """
    design = DETECTORS[config.detector].design
    loss, _ = lookup(LOSSES, config.classification_loss["name"], "loss")
    head_norm = config.head_norm or ("group" if norm == "group" else design.heads.norm)
    min_side, max_side = config.sides
    return Design(
        replace(
            design.pyramid, levels=tuple(anchors[1]), width=config.feature_size, norm=head_norm
        ),
        replace(
            design.heads,
            width=config.head_size,
            depth=config.head_depth,
            norm=head_norm,
            activation=loss().spec.activation,
            prior_probability=config.prior_probability,
            iou_branch=config.iou_branch,
        ),
        anchors[0],
        config.coder or design.coder,
        replace(design.inputs, image_min_side=min_side, image_max_side=max_side),
        design.postprocess,
    )


def fine_tuned(
    config: TrainConfig, start: Start, class_names: list[str], anchors: Anchors
) -> RetinaNet:
    """Build a detector for other classes, and perhaps anchors, and print which weights it keeps."""
    min_side, max_side = config.sides
    try:
        model, transfer = with_classes(
            start.model,
            class_names,
            *anchors,
            image_min_side=min_side,
            image_max_side=max_side,
            progress=first_progress(config, start),
        )
        model.trainable = True  # also where the detector was trained frozen
        if config.freeze_bn is not False:
            freeze_batch_norm(model)
        if config.freeze_backbone:
            for layer in backbone_of(model).layers:
                layer.trainable = False
        if config.freeze_stages:
            freeze_first(model, config.freeze_stages)
    except InputError as error:
        raise InputError(f"{start.path}: {error}") from None
    print(described(transfer, start.path))
    losses = f"{config.classification_loss['name']} and {config.box_loss['name']}"
    images = "as they are" if config.no_resize else f"{min_side} to {max_side} px"
    print(f"losses {losses}, assigner {config.assigner['name']}, images {images}")
    return model


def first_progress(config: TrainConfig, start: Start) -> dict:
    """Return the `progress` of a model that has not been trained yet."""
    kind = "scratch" if start.kind == "scratch" else "pretrained"
    return {"start": kind, "epoch": 0, "assigner": config.assigner}


def freeze_first(model: RetinaNet, count: int) -> None:
    """Freeze the first stages of a detector's backbone, as `Backbone.freeze_stages` does."""
    unnamed = InputError(
        f"freeze_stages needs a backbone by name, not {model.backbone_name}; freeze_backbone "
        "freezes any."
    )
    try:
        named = backbone(model.backbone_name)
    except InputError:
        raise unnamed from None
    try:
        named.freeze_stages(backbone_of(model), count)
    except InputError:
        raise
    except (AttributeError, ValueError):  # a backbone of that name with other layers
        raise unnamed from None


def check_anchors(path: str | None, model: RetinaNet) -> None:
    """Raise an InputError if an INI file describes other anchors than a snapshot has."""
    if path is None:
        return
    anchors, levels = read_anchors(path)
    asked = {"levels": levels, **anchors.rows()}
    for name, values in {"levels": model.pyramid_levels, **model.anchor_params.rows()}.items():
        if asked[name] != values:
            raise InputError(
                f"{path}: {name} must be {values} as in the snapshot, got {asked[name]}."
            )


def create_loaders(
    config: TrainConfig, train: Dataset, val: Dataset | None, model: RetinaNet
) -> tuple[Loader, Loader | None]:
    """Return the loaders of the batches that `model` trains on and is validated on."""
    min_side = None if config.no_resize else model.image_min_side
    sizing = Sizing(min_side, model.image_max_side, model.resize, config.multi_scale)
    assigner = dict(model.progress.get("assigner", config.assigner))
    anchoring = Anchoring(model.anchor_params, model.pyramid_levels, assigner)
    batching = Batching(
        config.batch_size, config.group_method, repeat_threshold=config.repeat_threshold
    )
    rest = normalize_of(model), config.seed, config.strict
    share = hosts.index(), hosts.count()
    training = Loader(train, sizing, anchoring, batching, config.operations, *rest, share=share)
    training.mixed_until = (config.epochs - config.last_unmixed) * (config.steps or len(training))
    if val is None:
        return training, None
    sizing = replace(sizing, multi_scale=())
    batching = Batching(config.batch_size, shuffle=False)
    return training, Loader(val, sizing, anchoring, batching, "none", *rest, share=share)
