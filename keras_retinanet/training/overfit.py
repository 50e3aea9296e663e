"""The overfit check: a model that cannot overfit one batch cannot learn a data set."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ..errors import InputError
from ..models import RetinaNet
from ..optimizers import AdamW, WarmupSchedule
from ..preprocessing.best_recall import Recalls
from ..preprocessing.loader import Batch, Loader
from ..utils.text import listed
from .optimizer import WARMUP
from .phases import LossPhase

Losses = dict[str, np.ndarray]  # {"loss" or output: (steps,)}

STEPS = 40
LEFT = 0.5  # share of the first loss that may remain once a batch is overfitted
SAFE_RATES = {
    "pretrained": 5e-4,
    "scratch": 2e-3,
}  # safe learning rates, to tell a bad rate from bad data
REACHED = 0.5  # least share of a class's boxes that anchors must reach
LOOKED_AT = 50  # batches searched for one with objects


def check_overfit(model: RetinaNet, training: Loader, phase: LossPhase, rate: float) -> None:
    """Train a copy of `model` on one batch of the loader, without augmentation, and print how its
    loss falls.

    Raises:
        InputError: names the cause, if no anchor matches an object or the loss does not fall.
    """
    images, targets = batch_with_objects(dataclasses.replace(training, augmentation={}))
    print("preflight: overfitting one batch ...", flush=True)
    losses = overfit(model, phase, images, targets, rate)
    print(f"preflight: {summary(losses)}", flush=True)
    if fell(losses["loss"]):
        return
    safe = SAFE_RATES[model.progress.get("start", "pretrained")]
    again = overfit(model, phase, images, targets, safe)
    if fell(again["loss"]):
        raise InputError(
            f"preflight: the learning rate of {rate:g} does not train: {summary(losses)}; at "
            f"{safe:g}: {summary(again)}. Pass another lr."
        )
    raise InputError(f"preflight: {summary(again)}: {cause(model, again)}.")


def check_recalls(recalls: Recalls) -> None:
    """Check that the anchors reach most boxes of each class.

    Raises:
        InputError: names the classes that they miss.
    """
    if missed := missed_classes(recalls):
        raise InputError(f"preflight: {missed}")


def missed_classes(recalls: Recalls) -> str | None:
    """Return a sentence that names the classes with less than half of their boxes reached."""
    missed = [
        f"{share:.0%} of the {count} boxes of class {name}"
        for name, (count, share) in recalls.items()
        if share is not None and share < REACHED
    ]
    if not missed:
        return None
    return (
        f"The anchors reach only {listed(missed)}, and boxes without an anchor are "
        "learned poorly; pass fit_anchors, or larger image sides."
    )


def batch_with_objects(loader: Loader) -> Batch:
    """Return the first batch in which anchors match objects."""
    boxes, count = 0, min(len(loader), LOOKED_AT)
    for step in range(count):
        images, targets = loader.batch_at(step)
        if (targets["matches"] >= 0).any():
            return images, targets
        boxes += int((targets["boxes"][..., 2] > 0).sum())
    if not boxes:
        raise InputError(
            f"preflight: the first {count} batches hold no objects; check the annotations."
        )
    raise InputError(
        f"preflight: the anchors miss all {boxes} objects of the first {count} batches; pass "
        "fit_anchors, or another image size."
    )


def overfit(
    model: RetinaNet,
    phase: LossPhase,
    images: np.ndarray,
    targets: dict[str, np.ndarray],
    rate: float,
) -> Losses:
    """Return the losses of a copy of the model that is trained on one batch."""
    twin = twin_of(model)
    schedule = WarmupSchedule("cosine", rate, STEPS, round(WARMUP * STEPS))
    twin.compile(AdamW(schedule, global_clipnorm=10.0), *phase.made())
    found: dict[str, list[float]] = {}
    for _ in range(STEPS):
        twin.reset_metrics()
        for name, value in twin.train_on_batch(images, targets, return_dict=True).items():
            found.setdefault(name.removesuffix("_loss"), []).append(float(value))
    return {name: np.array(found[name]) for name in sorted(found, key="loss".__ne__)}  # sum first


def twin_of(model: RetinaNet) -> RetinaNet:
    """Return a model with the same options and weights, to train on trial."""
    twin = type(model).from_config(model.get_config())
    twin.set_weights(model.get_weights())
    return twin


def fell(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all() and values[-5:].mean() <= LEFT * values[0])


def summary(losses: Losses) -> str:
    parts = [f"{name} {values[0]:.3g} to {values[-1]:.3g}" for name, values in losses.items()]
    return f"in {STEPS} steps on one batch, {', '.join(parts)}"


def cause(model: RetinaNet, losses: Losses) -> str:
    """Return the cause of a loss that does not fall, as its parts show it, and the remedy."""
    if not math.isfinite(losses["loss"][-1]):
        return "the loss is no longer a number; pass a lower lr"
    if not model.trainable_variables:
        return "the whole model is frozen; freeze less"
    stays = [name for name, values in losses.items() if name != "loss" and not fell(values)]
    if stays == ["classification"]:
        return (
            "only the loss of the classes stays; check if like objects have different classes, or "
            "pass another classification_loss"
        )
    if stays == ["regression"]:
        return (
            "only the loss of the boxes stays; look at the boxes with retinanet-debug, or pass "
            "another box_loss"
        )
    return "all losses stay; look at the images and boxes with retinanet-debug"
