"""Tries what the options name on a few anchors, so that arguments without sense are told at once.

Each `try_` raises an InputError where what is tried fails, or gives what cannot be trained with.
"""

import numpy as np

from ..errors import InputError
from .choices import check_values
from .stages import made


def try_coder(config):
    """Whether the box coder of a dict gives back a box that it coded, and starts from a box."""
    from .. import coders

    anchors, boxes = np.array([[0, 0, 64, 64.0]]), np.array([[8, 8, 56, 48.0]])

    def works():
        coder = coders.get(config)
        again = coder.decode(anchors, coder.encode(anchors, boxes))  # (1, 4)
        start = coder.decode(anchors, np.full((1, coder.size), coder.start))  # (1, 4)
        return np.allclose(again, boxes) and (start[:, 2:] > start[:, :2]).all()

    tried(works, config, "that code boxes")


def try_assigner(config, generator):
    """Whether boxes that are anchors of the generator get anchors."""
    from ..utils.anchors import anchors_per_level

    shape = (256, 256)
    anchors = generator.generate_anchors(shape)  # (N, 4)
    levels = anchors_per_level(shape, generator.pyramid_levels, generator.anchor_params)

    def works():
        boxes = anchors[:: max(1, len(anchors) // 8)]
        return (generator.assign(anchors, boxes, None, levels) >= 0).any()

    def ordered():
        return config.get("negative_overlap", 0.4) <= config.get("positive_overlap", 0.5)

    tried(works, config, "with which boxes get anchors")
    tried(ordered, config, "with negative_overlap (0.4) of at most positive_overlap (0.5)")


def try_stage(model, stage):
    """Whether the losses of a stage are higher for worse predictions, and whether its selector
    selects background anchors. They have to go with the heads of the model, too.
    """
    closures, selector = made(stage)
    model.check_losses(closures, selector)
    count = model.get_layer("classification").output.shape[-1]
    sense = "is 0 or more, and higher for worse predictions"
    scores, boxes = (
        (closures[output], stage["loss"][output]) for output in ("classification", "regression")
    )
    alpha = scores[1].get("alpha")
    if isinstance(alpha, (list, tuple)) and len(alpha) != count:
        raise InputError(
            f"{scores[1]['name']}: expected a number as alpha, or {count} of them, one for each "
            f"class. Received: {alpha}"
        )
    tried(
        lambda: ranks_scores(scores[0], count),
        scores[1],
        f"with which the loss of {count} classes {sense}",
    )
    tried(lambda: ranks_boxes(boxes[0], model.coder), boxes[1], f"with which the loss {sense}")
    if selector:
        chosen = "with which background anchors are selected"
        tried(lambda: selects(selector), stage["selector"], chosen)


def tried(works, config, expected):
    """InputError unless `works()` is true, which depends on the arguments of `config`."""
    check_values(config)
    try:
        good = works()
    except Exception:  # each backend has its own for types and shapes that do not fit
        good = False
    if not good:
        hidden = ("name", "from_logits")
        given = [f"{key}={value!r}" for key, value in config.items() if key not in hidden]
        raise InputError(
            f"Expected arguments of {config['name']} {expected}. Received: {', '.join(given)}"
        )


def ranks(loss, y_true, good, bad):
    """Whether a loss of y_true (1, N, V + 1) grows from the good predictions, where it is 0 or
    more, over those half-way to the bad ones.
    """
    low, middle, high = (float(loss(y_true, v)) for v in (good, (good + bad) / 2, bad))
    return -1e-6 < low < middle < high < np.inf


def ranks_scores(loss, num_classes):
    """Whether a classification loss ranks scores, of an object of each class and of background."""
    from ..models.targets import in_form_of

    objects = np.eye(num_classes, dtype="float32")[None]  # (1, K, K)
    found = []
    for labels, state in ((objects, 1), (0 * objects, 0)):
        y_true = np.pad(labels, [[0, 0], [0, 0], [0, 1]], constant_values=state)
        logits = (16 * labels - 8, 8 - 16 * labels)
        found.append(ranks(loss, y_true, *(in_form_of(loss, x, True) for x in logits)))
    return all(found)


def ranks_boxes(loss, coder):
    """Whether a box loss ranks the box itself above one that overlaps it."""
    deltas = np.ones((1, 1, 4), "float32")
    boxes = np.array([[[0, 0, 8, 8]]], "float32")
    if coder.size > 4:  # logits of the bins, the first of which is for a distance of 0
        good = np.tile(np.eye(coder.size // 4)[1] * 16, 4)[None, None].astype("float32")
    else:
        good = deltas
    parts = {
        "deltas": [(deltas, good, 0 * good)],
        "boxes": [(boxes, boxes, boxes + 4)],
    }
    parts["both"] = parts["boxes"] + parts["deltas"]
    true, good, bad = (np.concatenate(rows, -1) for rows in zip(*parts[loss.space], strict=True))
    return ranks(loss, np.pad(true, [[0, 0], [0, 0], [0, 1]], constant_values=1), good, bad)


def selects(selector):
    """Whether a selector selects some of 32 background anchors beside 32 objects, far apart."""
    from keras import ops

    state = np.repeat(np.array([[0, 1]], "float32"), 32, axis=1)  # (1, 64)
    corner = 20 * np.arange(64, dtype="float32")[None, :, None]  # (1, 64, 1)
    boxes = corner + np.array([0, 0, 10, 10], "float32")
    mask = ops.convert_to_numpy(selector(2 - state, state, boxes))
    return (mask & (state == 0)).any()
