"""Random changes of an image and its boxes together."""

from functools import partial

import numpy as np

from ...utils.image import choose
from ...utils.transform import scaling
from .geometry import GEOMETRY, crop
from .mixing import mixup, mosaic
from .pixels import PIXELS, cutout
from .sampling import KEPT_SHARE, moved, placed, transform_both

__all__ = ["AUGMENTATIONS", "KEPT_SHARE", "OPERATIONS", "augment", "complete", "transform_both"]

# In the order in which they act. Each picture of a mosaic or mixup goes through all the others.
OPERATIONS = {
    **GEOMETRY,  # flip, vertical_flip, scale, large_scale, affine
    "crop": crop,
    **PIXELS,  # colour, blur, noise, jpeg
    "cutout": cutout,
    "mosaic": mosaic,
    "mixup": mixup,
}
DEFAULTS = {"chance": 0.5, "strength": 1.0}  # of every operation that is named
MOST = 10  # as a strength

LIGHT = {"flip": {"chance": 0.5, "strength": 1.0}}
DEFAULT = {
    **LIGHT,
    "scale": {"chance": 1.0, "strength": 1.0},
    "colour": {"chance": 1.0, "strength": 1.0},
}
STRONG = {
    **DEFAULT,
    "scale": {"chance": 1.0, "strength": 2.1},  # factors of 0.63 to 1.6
    "affine": {"chance": 0.5, "strength": 1.0},
    "crop": {"chance": 0.2, "strength": 1.0},
    "blur": {"chance": 0.2, "strength": 1.0},
    "noise": {"chance": 0.2, "strength": 1.0},
    "jpeg": {"chance": 0.2, "strength": 1.0},
    "cutout": {"chance": 0.2, "strength": 1.0},
}
AUGMENTATIONS = {"none": {}, "light": LIGHT, "default": DEFAULT, "strong": STRONG}


def augment(image, annotations, rng, size=None, other=None, **operations):
    """The image (H, W, 3) uint8 BGR and its annotations after random `operations`.

    Each operation draws from a stream of its own, so one more or less changes nothing about the
    others. The geometry is one matrix, and pixels are interpolated once.

    Args:
        annotations: arrays of n rows: "bboxes" (n, 4) xyxy px, "labels" and more.
        rng: a NumPy Generator.
        size: (width, height) px of the result, by default the image's own.
        other: gives another (image, annotations) of the data set; without it there is no mosaic
            and no mixup.
        operations: {"chance": 0..1, "strength": 0..} by name, see `OPERATIONS`.

    Boxes become the upright boxes around their moved corners, are clipped to the image, and are
    dropped when less than `KEPT_SHARE` of them stays in view.
    """
    operations = complete(operations)
    size = image.shape[1::-1] if size is None else tuple(map(int, size))
    chosen = _chosen(operations, rng)
    picture = _picture(image, annotations, chosen)

    def another(rng):
        return _picture(*other(), _chosen(operations, rng))

    if other is not None and "mosaic" in chosen:
        image, annotations = mosaic(picture, another, *chosen["mosaic"], size)
    else:
        image, annotations = picture[1](size)
    if other is not None and "mixup" in chosen:
        image, annotations = mixup(image, annotations, another, *chosen["mixup"])
    return image, annotations


def complete(operations):
    """{name: {"chance", "strength"}} with the defaults for what is not given.

    Raises:
        ValueError: for unknown operations and arguments, and values out of range.
    """
    for name, arguments in operations.items():
        choose(OPERATIONS, "augmentation operations", name)
        if not isinstance(arguments, dict) or not set(arguments) <= set(DEFAULTS):
            known = ", ".join(DEFAULTS)
            raise ValueError(f"Expected {name} as a dict of {known}. Received: {arguments!r}")
    operations = {name: {**DEFAULTS, **arguments} for name, arguments in operations.items()}
    for name, arguments in operations.items():
        numbers = all(isinstance(value, int | float) for value in arguments.values())
        if not (numbers and 0 <= arguments["chance"] <= 1 and 0 <= arguments["strength"] <= MOST):
            raise ValueError(
                f"Expected {name} with a chance of 0 to 1 and a strength of 0 to {MOST}. "
                f"Received: {arguments}"
            )
    return operations


def _chosen(operations, rng):
    """{name: (rng, strength)} of the operations that chance has befall a picture."""
    chosen = {}
    seeds = rng.integers(2**63, size=len(OPERATIONS))
    for name, seed in zip(OPERATIONS, seeds, strict=True):
        arguments = operations.get(name)
        if arguments and arguments["chance"] * arguments["strength"] > 0:
            stream = np.random.default_rng(seed)
            if stream.random() < arguments["chance"]:
                chosen[name] = stream, arguments["strength"]
    return chosen


def _picture(image, annotations, chosen):
    """The (width, height) of an image and what gives it, changed, at another size."""
    return image.shape[1::-1], partial(_changed, image, annotations, chosen)


def _changed(image, annotations, chosen, size):
    """An image and its annotations at `size`, after what is `chosen` but for mosaic and mixup."""
    frame = image.shape[1::-1]
    matrix = np.eye(3)
    for name, move in GEOMETRY.items():
        if name in chosen:
            matrix = move(frame, *chosen[name]) @ matrix
    if "crop" in chosen:
        boxes = moved(annotations, matrix, frame)["bboxes"]
        matrix = crop(frame, boxes, *chosen["crop"]) @ matrix
    matrix = scaling(np.divide(size, frame)) @ matrix
    recolour = partial(_recoloured, chosen=chosen) if chosen.keys() & PIXELS else None
    image, matrix = placed(image, matrix, size, recolour)
    annotations = moved(annotations, matrix, size)
    if "cutout" in chosen:
        image, annotations = cutout(image, annotations, *chosen["cutout"])
    return image, annotations


def _recoloured(image, chosen):
    for name, change in PIXELS.items():
        if name in chosen:
            image = change(image, *chosen[name])
    return image
