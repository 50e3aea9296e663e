"""The anchors, the model and the optimizer of a training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..choices import LOSSES, lookup
from ..errors import InputError
from ..parts import Design, Freeze
from ..presets import DETECTORS
from ..utils.anchors import AnchorParameters, square_anchors
from ..utils.config import read_anchors
from . import recipes
from .config import BACKBONE, TrainConfig
from .start import Start

if TYPE_CHECKING:
    import keras

    from ..models import Backbone, RetinaNet
    from ..preprocessing.dataset import Dataset

SMALL_BATCH = 16  # below it the statistics of live batch norm are too noisy to train with

Anchors = tuple[AnchorParameters, list[int]]  # and the pyramid levels


def usual_anchors(config: TrainConfig, start: Start) -> Anchors:
    """Return the anchors of `config.config`, else of the model that a training begins from, else
    of the detector's preset."""
    if start.model is not None:
        held = start.model.anchor_params, start.model.pyramid_levels
        return held if config.config is None else placed_as(start, read_anchors(config.config))
    anchors, levels = read_anchors(config.config)
    side = DETECTORS[config.detector].anchor_side
    return (square_anchors(levels, side) if side and not config.config else anchors), levels


def placed_as(start: Start, anchors: Anchors) -> Anchors:
    """Return anchors of other shapes, placed as those of the detector of `start` are."""
    params, levels = anchors
    if start.model is None:
        return anchors
    return replace(start.model.anchor_params, **params.rows()), levels


def fitted_anchors(config: TrainConfig, train: Dataset, start: Start) -> Anchors:
    """Return anchors fitted to a data set, and print how many objects they reach."""
    from ..preprocessing.best_recall import objects_of
    from ..preprocessing.examples import Sizing
    from ..utils.anchor_fit import fit_anchors, reach

    usual = usual_anchors(config, start)
    found = objects_of(train, Sizing(*config.sides))
    counts = len(usual[0].ratios), len(usual[0].scales)
    levels = start.model and start.model.pyramid_levels
    fitted = fit_anchors(found.boxes, found.image_sizes, found.labels, levels, *counts)
    fitted = placed_as(start, fitted)
    before, after = (
        (reach(found.boxes, found.image_sizes, *anchors) >= 0.5).mean()
        for anchors in (usual, fitted)
    )
    print(f"fitted anchors reach {after:.1%} of the objects, the usual ones {before:.1%}")
    rows = {**fitted[0].rows(), "levels": fitted[1]}
    print(", ".join(f"{name} {' '.join(f'{v:.3g}' for v in row)}" for name, row in rows.items()))
    return fitted


def build_model(
    config: TrainConfig, start: Start, class_names: list[str], anchors: Anchors
) -> RetinaNet:
    """Build the model that is trained: the snapshot's, or a new one for these classes.

    Raises:
        InputError: for a snapshot of other classes or anchors, and for what cannot be built.
    """
    if start.kind == "snapshot":
        from ..models.loading import check_classes

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
    chosen = chosen_backbone(config.backbone)
    weights = None
    if start.kind == "pretrained":
        weights = start.path or chosen.download_imagenet()
    scratch_norm = "group" if config.batch_size < SMALL_BATCH else "batch"
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
    """Return the design of `config.detector` with what the options change; `norm` is the
    backbone's."""
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
    from ..models.norms import freeze_batch_norm
    from ..weights.transfer import backbone_of, described, with_classes

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


def chosen_backbone(name: str | None) -> Backbone:
    """Return the Backbone of a name or of `BACKBONE`; InputError for an unknown name."""
    from ..models import backbone

    try:
        return backbone(name or BACKBONE)
    except ValueError as error:
        raise InputError(f"backbone: {error}") from None


def freeze_first(model: RetinaNet, count: int) -> None:
    """Freeze the first stages of a detector's backbone, as `Backbone.freeze_stages` does."""
    from ..models import backbone
    from ..weights.transfer import backbone_of

    try:
        backbone(model.backbone_name).freeze_stages(backbone_of(model), count)
    except InputError:
        raise
    except (AttributeError, ValueError):  # an unknown name, or one of other layers
        raise InputError(
            f"freeze_stages needs a backbone by name, not {model.backbone_name}; "
            "freeze_backbone freezes any."
        ) from None


def check_anchors(path: str | None, model: RetinaNet) -> None:
    """Raise an InputError if an INI file describes other anchors than those of a snapshot."""
    if path is None:
        return
    anchors, levels = read_anchors(path)
    asked = {"levels": levels, **anchors.rows()}
    for name, values in {"levels": model.pyramid_levels, **model.anchor_params.rows()}.items():
        if asked[name] != values:
            raise InputError(
                f"{path}: {name} must be {values} as in the snapshot, got {asked[name]}."
            )


def peak_rate(config: TrainConfig, model: RetinaNet) -> float:
    """Return the peak learning rate: the given one, or the recipe's."""
    width = model.get_layer(f"P{model.pyramid_levels[0]}").output.shape[-1]
    batch = config.batch_size * config.accumulate
    return config.lr or recipes.peak_rate(recipe_of(model), batch, width)


def recipe_of(model: RetinaNet) -> str:
    """Return what the model was begun from, a key of `recipes.RECIPES`."""
    return model.progress.get("start", "pretrained")


def make_optimizer(
    config: TrainConfig, model: RetinaNet, steps: int, first: int
) -> keras.optimizers.Optimizer:
    """Return the optimizer to train with from epoch `first` on; an epoch has `steps` batches.

    A snapshot keeps its optimizer's state, unless that has a schedule and now wants none.

    Raises:
        InputError: when a snapshot accumulates another number of batches.
    """
    rate = peak_rate(config, model)
    if config.reduce_lr_patience is None:
        rate = recipes.cosine(rate, config.epochs * steps, config.accumulate)
    if model.compiled:  # a snapshot
        optimizer = model.optimizer
        held = optimizer.gradient_accumulation_steps or 1
        if held != config.accumulate:
            raise InputError(
                f"accumulate must be {held} as in {config.snapshot}, got {config.accumulate}."
            )
        if config.reduce_lr_patience is None:
            optimizer.learning_rate = rate
            # where the schedule of this run is, should its steps differ from the snapshot's
            next(v for v in optimizer.variables if v.name == "iteration").assign(first * steps)
            return optimizer
        if isinstance(optimizer.get_config()["learning_rate"], float):
            if config.lr:  # else it goes on with what it was reduced to
                optimizer.learning_rate = config.lr
            return optimizer
    decay = recipes.RECIPES[recipe_of(model)]["weight_decay"]
    decay = decay if config.weight_decay is None else config.weight_decay
    return recipes.adamw(rate, decay, config.optimizer_clipnorm, config.accumulate)
