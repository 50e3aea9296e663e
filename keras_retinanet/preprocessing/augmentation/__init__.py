"""Random changes of an image and its boxes together."""

from collections.abc import Callable
from functools import partial

import numpy as np

from ...choices import OPERATIONS, complete
from ...utils.transform import scaling
from .geometry import GEOMETRY, crop
from .mixing import Source, mixup, mosaic
from .pixels import PIXELS, cutout
from .sampling import Annotations, Example, Size, moved, placed

Chosen = dict[str, tuple[np.random.Generator, float]]  # {operation: (rng, strength)}


def augment(
    image: np.ndarray,
    annotations: Annotations,
    rng: np.random.Generator,
    size: Size | None = None,
    other: Callable[[], Example] | None = None,
    **operations: dict[str, float],
) -> Example:
    """Change an image (H, W, 3) uint8 BGR and its annotations by random `operations`.

    Each operation has a separate random stream, so adding or removing one does not change the
    others. The geometry is one matrix, and pixels are interpolated once.

    Args:
        annotations: arrays of n rows: "bboxes" (n, 4) xyxy px, "labels" and more.
        size: (width, height) px of the result, None for the size of the image.
        other: returns another (image, annotations) of the data set; None leaves out mosaic and
            mixup.
        operations: {"chance": 0..1, "strength": 0..} by name, see `OPERATIONS`.

    Each box becomes the upright box around its moved corners, clipped to the image, and is dropped
    if less than `KEPT_SHARE` of its area stays in view.
    """
    operations = complete(operations)
    size = image.shape[1::-1] if size is None else (int(size[0]), int(size[1]))
    chosen = _chosen(operations, rng)
    source = _source(image, annotations, chosen)

    def another(rng: np.random.Generator) -> Source:
        return _source(*other(), _chosen(operations, rng))

    if other is not None and "mosaic" in chosen:
        image, annotations = mosaic(source, another, *chosen["mosaic"], size)
    else:
        image, annotations = source[1](size)
    if other is not None and "mixup" in chosen:
        image, annotations = mixup(image, annotations, another, *chosen["mixup"])
    return image, annotations


def _chosen(operations: dict[str, dict[str, float]], rng: np.random.Generator) -> Chosen:
    """Sample which operations to apply to an image."""
    chosen = {}
    seeds = rng.integers(2**63, size=len(OPERATIONS))
    for name, seed in zip(OPERATIONS, seeds, strict=True):
        arguments = operations.get(name)
        if arguments and arguments["chance"] * arguments["strength"] > 0:
            stream = np.random.default_rng(seed)
            if stream.random() < arguments["chance"]:
                chosen[name] = stream, arguments["strength"]
    return chosen


def _source(image: np.ndarray, annotations: Annotations, chosen: Chosen) -> Source:
    """Return the size of an image, and the function that changes and resizes it."""
    return image.shape[1::-1], partial(_changed, image, annotations, chosen)


def _changed(image: np.ndarray, annotations: Annotations, chosen: Chosen, size: Size) -> Example:
    """Return an image and its annotations at `size`, changed by all but mosaic and mixup."""
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


def _recoloured(image: np.ndarray, chosen: Chosen) -> np.ndarray:
    for name, change in PIXELS.items():
        if name in chosen:
            image = change(image, *chosen[name])
    return image
