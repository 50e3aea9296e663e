"""The overfit check of `--preflight`: what cannot learn one batch by heart learns no data set."""

import copy
import math

import numpy as np

from ..errors import InputError

STEPS = 40
LEARNT = 0.5  # of the loss at the start, at most, that a batch learnt by heart may leave
SAFE_RATES = {"pretrained": 5e-4, "scratch": 2e-3}  # to tell a bad rate from bad data
REACHED = 0.5  # of the objects of a class, at least
LOOKED_AT = 50  # batches, for one with objects


def preflight(model, training, stage, rate):
    """Trains a copy of `model` on one batch of the generator, without augmentation, and prints how
    its loss falls.

    Raises:
        InputError: names the cause, where no anchor matches an object or the loss stays.
    """
    images, targets = batch_with_objects(training)
    print("preflight: learning one batch by heart ...", flush=True)
    losses = overfit(model, stage, images, targets, rate)
    print(f"preflight: {told(losses)}", flush=True)
    if fell(losses["loss"]):
        return
    safe = SAFE_RATES[model.progress.get("start", "pretrained")]
    again = overfit(model, stage, images, targets, safe)
    if fell(again["loss"]):
        raise InputError(
            f"--preflight: the learning rate of {rate:g} does not train: {told(losses)}; at "
            f"{safe:g}: {told(again)}. Pass another --lr"
        )
    raise InputError(f"--preflight: {cause(model, again)}: {told(again)}")


def check_coverage(coverage):
    """InputError where the anchors miss most objects of a class, which are then in no loss.

    `coverage` is that of `preprocessing.coverage.anchor_coverage`.
    """
    for name, (count, share) in coverage.items():
        if count and share < REACHED:
            raise InputError(
                f"--preflight: the anchors miss {1 - share:.0%} of the {count} objects of class "
                f"{name}: pass --fit-anchors, or another image size"
            )


def batch_with_objects(training):
    """The first batch, as at inference, in which anchors stand for objects."""
    plain = copy.copy(training)
    plain.augmentation = {}
    boxes = 0
    for index, group in enumerate(plain.groups_of(0)[:LOOKED_AT]):
        images, targets = plain.batch_of(group, 0, index)
        if (targets["matches"] >= 0).any():
            return images, targets
        boxes += int((targets["boxes"][..., 2] > 0).sum())
    if not boxes:
        raise InputError(
            f"--preflight: the first {index + 1} batches hold no objects to learn from"
        )
    raise InputError(
        f"--preflight: the anchors miss all {boxes} objects of the first {index + 1} batches: pass "
        "--fit-anchors, or another image size"
    )


def overfit(model, stage, images, targets, rate):
    """{"loss": (steps,), output: (steps,)} of a copy of the model that is trained on one batch."""
    from .. import recipes
    from .stages import made

    twin = type(model).from_config(model.get_config())
    twin.set_weights(model.get_weights())
    twin.compile(recipes.adamw(recipes.cosine(rate, STEPS), 0.0, 10.0), *made(stage))
    found = {}
    for _ in range(STEPS):
        twin.reset_metrics()
        for name, value in twin.train_on_batch(images, targets, return_dict=True).items():
            found.setdefault(name.removesuffix("_loss"), []).append(float(value))
    return {name: np.array(found[name]) for name in sorted(found, key="loss".__ne__)}  # sum first


def fell(values):
    return bool(np.isfinite(values).all() and values[-5:].mean() <= LEARNT * values[0])


def told(losses):
    parts = [f"{name} {values[0]:.3g} to {values[-1]:.3g}" for name, values in losses.items()]
    return f"in {STEPS} steps on one batch, {', '.join(parts)}"


def cause(model, losses):
    """Why the loss stays, as far as its parts tell."""
    if not math.isfinite(losses["loss"][-1]):
        return "the loss is no longer a number"
    if not model.trainable_variables:
        return "nothing of the model is trained"
    stays = [name for name, values in losses.items() if name != "loss" and not fell(values)]
    if stays == ["classification"]:
        return (
            "boxes are learnt but not their classes; look whether like objects have different "
            "classes, or pass another --classification-loss"
        )
    if stays == ["regression"]:
        return (
            "classes are learnt but not their boxes; look at them with retinanet-debug, or pass "
            "another --box-loss"
        )
    return "nothing is learnt; look at the pictures and boxes with retinanet-debug"
