"""Sanity checks of losses, samplers, assigners and coders with the arguments that a user gave.

Each is tried on a few anchors before anything is downloaded, read or built, so that arguments that
cannot be trained with are refused at once. The defaults are tried by the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import assigners, coders, losses
from ..choices import check_values, written
from ..errors import InputError
from ..losses import sampling
from ..losses.spec import spec_of
from ..models import backbone
from ..models.criterion import Criterion, Outputs
from ..presets import DETECTORS
from .config import BACKBONE, TrainConfig
from .phases import closure_of, planned, with_alpha
from .start import Start

CORNERS = 32.0 * np.stack(np.meshgrid(np.arange(5), np.arange(5)), axis=-1).reshape(25, 2)
ANCHORS = np.hstack([CORNERS, CORNERS + 64])  # (25, 4) xyxy px


def check_choices(config: TrainConfig) -> None:
    """Try every choice of a config that has arguments.

    Raises:
        InputError: names the choice, its arguments and the fault.
    """
    for choice, check in (
        (config.classification_loss, check_classification_loss),
        (config.warmup_loss, check_classification_loss),
        (config.box_loss, check_box_loss),
        (config.sampler, check_sampler),
        (config.coder, check_coder),
        (config.assigner, check_assigner),
    ):
        if choice is not None and len(choice) > 1:
            check(choice)


def check_heads(config: TrainConfig, start: Start) -> None:
    """Check the backbone's name, and that the losses and the sampler go with the heads.

    Args:
        config: settled by the start.

    Raises:
        InputError: names the loss, and the coder or activation that it does not go with.
    """
    if start.kind == "snapshot":
        return
    phases = [planned(config, config.classification_loss)]
    if config.warmup_loss:
        phases.append(planned(config, config.warmup_loss))
    closures, _ = phases[0].made()
    if start.model is not None:
        coder, activation = start.model.coder, start.model.activation
    else:
        backbone(config.backbone or BACKBONE)
        preset = DETECTORS[config.detector].design.coder
        coder = coders.get(config.coder or preset)
        activation = spec_of(closures["classification"]).activation
    outputs = Outputs((), coder, activation, True, lambda shape: ())
    for phase in phases:
        Criterion(outputs, *phase.made())


RANKS = "it does not increase as predictions get worse"
SELECTS = "it selects no background anchors"


def attempt(works: Callable[[], Any], choice: dict, verdict: str, reason: str) -> None:
    """Raise an InputError with the verdict unless `works()` is true."""
    check_values(choice)
    try:
        good = works()
    except Exception:  # each backend has others for types and shapes that do not fit
        good = False
    if not good:
        raise InputError(f"{written(choice)} {verdict}: {reason}.")


def check_classification_loss(choice: dict) -> None:
    """Check that a classification loss ranks scores."""
    loss = closure_of(with_alpha(choice), losses.get)
    alpha = choice.get("alpha")
    count = len(alpha) if isinstance(alpha, (list, tuple)) else 3
    attempt(lambda: ranks_scores(loss, count), choice, "is not a usable loss", RANKS)


def check_box_loss(choice: dict) -> None:
    """Check that a box loss ranks boxes."""
    loss = closure_of(choice, losses.get)
    attempt(lambda: ranks_boxes(loss), choice, "is not a usable loss", RANKS)


def check_sampler(choice: dict) -> None:
    """Check that a sampler selects background anchors."""
    sampler = closure_of(choice, sampling.get)
    attempt(lambda: selects(sampler), choice, "is not a usable sampler", SELECTS)


def check_coder(choice: dict) -> None:
    """Check that a box coder decodes its own codes, and starts from a box with an area."""
    boxes = ANCHORS + np.array([8, 8, -8, -16])  # (25, 4)

    def works() -> bool:
        coder = coders.get(choice)
        again = coder.decode(ANCHORS, coder.encode(ANCHORS, boxes))  # (25, 4)
        start = coder.decode(ANCHORS, np.full((25, coder.size), coder.start))  # (25, 4)
        return np.allclose(again, boxes) and (start[:, 2:] > start[:, :2]).all()

    attempt(works, choice, "is not a usable coder", "it does not give boxes back")


def check_assigner(choice: dict) -> None:
    """Check that boxes that coincide with anchors are matched with anchors."""

    def works() -> bool:
        low = choice.get("negative_overlap", 0.4)
        matches = assigners.get(choice)(ANCHORS, ANCHORS[12:13], None, [25])  # (25,)
        return low <= choice.get("positive_overlap", 0.5) and (matches >= 0).any()

    reason = "boxes get no anchors, or negative_overlap (or 0.4) is above positive_overlap"
    attempt(works, choice, "is not a usable assigner", reason)


def ranks(loss: Callable, y_true: np.ndarray, good: np.ndarray, bad: np.ndarray) -> bool:
    """Return True if a loss is at least 0 and rises from good to half-way to bad predictions."""
    low, middle, high = (float(loss(y_true, v)) for v in (good, (good + bad) / 2, bad))
    return -1e-6 < low < middle < high < np.inf


def ranks_scores(loss: Callable, num_classes: int) -> bool:
    """Return True if a classification loss ranks scores of objects and of background."""
    objects = np.eye(num_classes, dtype="float32")[None]  # (1, K, K)
    found = []
    for labels, state in ((objects, 1), (0 * objects, 0)):
        y_true = np.pad(labels, [[0, 0], [0, 0], [0, 1]], constant_values=state)
        found.append(ranks(loss, y_true, 16 * labels - 8, 8 - 16 * labels))  # logits
    return all(found)


def ranks_boxes(loss: Callable) -> bool:
    """Return True if a box loss ranks the box itself above one that overlaps it."""
    spec = spec_of(loss)
    deltas = np.ones((1, 1, 4), "float32")
    boxes = np.array([[[0, 0, 8, 8]]], "float32")
    bins = np.tile(np.array([[[0, 16]]], "float32"), 4)  # (1, 1, 8) logits of a distance of 1
    good = bins if spec.needs_bins else deltas
    parts = {"deltas": [(deltas, good, 0 * good)], "boxes": [(boxes, boxes, boxes + 4)]}
    parts["both"] = parts["boxes"] + parts["deltas"]
    rows = zip(*parts[spec.compares], strict=True)
    true, good, bad = (np.concatenate(row, axis=-1) for row in rows)
    return ranks(loss, np.pad(true, [[0, 0], [0, 0], [0, 1]], constant_values=1), good, bad)


def selects(sampler: Callable) -> bool:
    """Return True if a sampler selects some of 32 background anchors beside 32 objects."""
    from keras import ops

    state = np.repeat(np.array([[0, 1]], "float32"), 32, axis=1)  # (1, 64)
    corner = 20 * np.arange(64, dtype="float32")[None, :, None]  # (1, 64, 1)
    boxes = corner + np.array([0, 0, 10, 10], "float32")  # far apart
    mask = ops.convert_to_numpy(sampler(2 - state, state, boxes))
    return (mask & (state == 0)).any()
