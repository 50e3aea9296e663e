"""Resize images: one rule for each project's detectors.

A rule is a formula for the sizes, written once over an array module (`utils.rounding`), and a
resampler for the pixels of NumPy images; `export.resizing` has resamplers of a graph. Sizes are
(width, height) px.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

from keras_retinanet import boxes as box_math
from keras_retinanet.errors import InputError
from keras_retinanet.parts import Inputs
from keras_retinanet.utils.rounding import PLAIN, drift, floor, half_even, half_up

Pair = tuple[Any, Any]  # (x, y), Python numbers or scalar tensors


class Fit(NamedTuple):
    """The place of an image in the resized one: its boxes grow by `scale` and move by `offset`.

    Each field is a pair (x, y): Python numbers, or scalar tensors in a graph.

    Attributes:
        size: px of the image after resizing, without borders.
        scale: resized px per original px.
        offset: px from the corner of the frame to the corner of the image.
        frame: px of the resized image with its borders, before any padding to a batch.
    """

    size: tuple[int, int]
    scale: tuple[float, float]
    offset: tuple[float, float]
    frame: tuple[int, int]


@dataclass(frozen=True)
class Rule:
    """The rule by which a project resizes images.

    Attributes:
        formula: `(size, min_side, max_side, xp)` -> `Fit`, of the sizes.
        resample: `(image (H, W, 3) uint8 in any order of channels, Fit)` -> the resized image, of
            the fit's frame and this `dtype`.
        dtype: "uint8", or "float32" if the project does not round pixels.
    """

    formula: Callable[..., Fit]
    resample: Callable[[np.ndarray, Fit], np.ndarray]
    dtype: str

    def fit(self, size_wh: tuple[int, int], min_side: int, max_side: int) -> Fit:
        """Return the `Fit` of an image. Raises InputError if it has no pixels."""
        return self.formula(checked_size(size_wh), min_side, max_side)


def checked_size(size_wh: Sequence[int]) -> tuple[int, int]:
    """Return (width, height) px as ints. Raises InputError if the image has no pixels."""
    width, height = (int(side) for side in size_wh)
    if min(width, height) < 1:
        raise InputError(f"An image of {width} x {height} px has no pixels.")
    return width, height


def resized_size(
    size_wh: tuple[int, int],
    min_side: int = Inputs.image_min_side,
    max_side: int = Inputs.image_max_side,
) -> tuple[int, int]:
    """Return (width, height) px after resizing by the rule "opencv". Raises as `Rule.fit` does."""
    return RESIZES["opencv"].fit(size_wh, min_side, max_side).size


def compute_resize_scale(
    image_shape: tuple[int, ...],
    min_side: int = Inputs.image_min_side,
    max_side: int = Inputs.image_max_side,
) -> float:
    """Return the factor that brings an image (H, W, ...) to min_side or max_side, unrounded.

    Raises:
        InputError: if the image has no pixels.
    """
    target, side = scale_fraction(checked_size(image_shape[1::-1]), min_side, max_side)
    return target / side


def scale_fraction(size_wh: Pair, min_side: int, max_side: int, xp: Any = PLAIN) -> Pair:
    """Return (target, side) with scale = target / side.

    The short side comes to `min_side`, or to less if the long one would exceed `max_side`.
    """
    short, long = xp.minimum(*size_wh), xp.maximum(*size_wh)
    by_short = min_side * long <= max_side * short
    return xp.where(by_short, min_side, max_side), xp.where(by_short, short, long)


def stretched(size_wh: Pair, resized: Iterable, scale: Pair | None = None, xp: Any = PLAIN) -> Fit:
    """Return the `Fit` of an image that is resized to `resized` px, but to 1 at least.

    `scale` (x, y) is by default the scale of the rounded sides.
    """
    size = tuple(xp.maximum(xp.int32(side), 1) for side in resized)
    if scale is None:
        scale = tuple(xp.divide(*sides) for sides in zip(size, size_wh, strict=True))
    return Fit(size, scale, (0.0, 0.0), size)


def fit_opencv(size_wh: Pair, min_side: int, max_side: int, xp: Any = PLAIN) -> Fit:
    """Round the exact quotients, halves to the even neighbour."""
    fraction = scale_fraction(size_wh, min_side, max_side, xp)
    return stretched(size_wh, [half_even(side, *fraction, xp) for side in size_wh], None, xp)


def fit_keras_retinanet(size_wh: Pair, min_side: int, max_side: int, xp: Any = PLAIN) -> Fit:
    """Round as OpenCV does given a scale; boxes grow by that scale, not by the rounded sides."""
    fraction = scale_fraction(size_wh, min_side, max_side, xp)
    resized = [half_even(side, *fraction, xp, drift(side, *fraction, xp)) for side in size_wh]
    scale = xp.divide(*fraction)
    return stretched(size_wh, resized, (scale, scale), xp)


def fit_torchvision(size_wh: Pair, min_side: int, max_side: int, xp: Any = PLAIN) -> Fit:
    """Cut sizes to whole px."""
    fraction = scale_fraction(size_wh, min_side, max_side, xp)
    return stretched(size_wh, [floor(side, *fraction, xp) for side in size_wh], None, xp)


def fit_mmdetection(size_wh: Pair, min_side: int, max_side: int, xp: Any = PLAIN) -> Fit:
    """Round halves up."""
    fraction = scale_fraction(size_wh, min_side, max_side, xp)
    return stretched(size_wh, [half_up(side, *fraction, xp) for side in size_wh], None, xp)


def fit_detectron2(size_wh: Pair, min_side: int, max_side: int, xp: Any = PLAIN) -> Fit:
    """Round halves up.

    Detectron2 brings the short side to `min_side` and then, by a second scale, the long one to
    `max_side`. Float64 rounds four times in this computation; here the quotient is exact, and
    halves
    always go up: 1 px more in 1 of 5,000 sizes that `max_side` limits.
    """
    target, side = scale_fraction(size_wh, min_side, max_side, xp)
    limited = min_side * xp.maximum(*size_wh) > max_side * xp.minimum(*size_wh)
    resized = [
        xp.where(
            limited,
            (2 * length * target // side + 1) // 2,
            half_up(length, target, side, xp),
        )
        for length in size_wh
    ]
    return stretched(size_wh, resized, None, xp)


def fit_kerashub(size_wh: Pair, min_side: int, max_side: int, xp: Any = PLAIN) -> Fit:
    """Stretch to `max_side` x `min_side` px (width x height).

    Black borders first bring the image to that aspect ratio, to within two px.
    """
    frame = (max_side, min_side)
    borders = borders_kerashub(size_wh, frame, xp)
    axes = [
        (side, border, side + 2 * border, target)
        for side, border, target in zip(size_wh, borders, frame, strict=True)
    ]
    return Fit(
        tuple(xp.maximum(half_even(side, goal, whole, xp), 1) for side, _, whole, goal in axes),
        tuple(xp.divide(goal, whole) for _, _, whole, goal in axes),
        tuple(xp.divide(border * goal, whole) for _, border, whole, goal in axes),
        frame,
    )


def borders_kerashub(size_wh: Pair, frame: Pair, xp: Any = PLAIN) -> Pair:
    """Return the px (x, y) that KerasHub adds to each side of an image.

    It divides in float32, which first differs from these integers for sides of 12,803 px.
    """
    width, height = size_wh
    wide = height * frame[0] // frame[1]
    high = width * frame[1] // frame[0]
    return xp.maximum(wide - width, 0) // 2, xp.maximum(high - height, 0) // 2


def stretch(image: np.ndarray, fit: Fit) -> np.ndarray:
    return cv2.resize(image, fit.size, interpolation=cv2.INTER_LINEAR)


def stretch_unrounded(image: np.ndarray, fit: Fit) -> np.ndarray:
    return stretch(image.astype("float32"), fit)


def stretch_nominally(image: np.ndarray, fit: Fit) -> np.ndarray:
    """Sample at steps of 1 / scale, not at the rounded size's steps."""
    image = image.astype("float32")
    sides = [round(side * scale) for side, scale in zip(image.shape[1::-1], fit.scale, strict=True)]
    if tuple(sides) != fit.size:  # a side of less than half a px
        return stretch(image, fit)
    return cv2.resize(image, None, None, *fit.scale, cv2.INTER_LINEAR)


def stretch_smoothly(image: np.ndarray, fit: Fit) -> np.ndarray:
    """Resize as Pillow does: when an image shrinks, every px contributes."""
    return np.asarray(Image.fromarray(image).resize(fit.size, Image.Resampling.BILINEAR))


def letterbox(image: np.ndarray, fit: Fit) -> np.ndarray:
    left, top = borders_kerashub(image.shape[1::-1], fit.frame)
    bordered = np.pad(image.astype("float32"), ((top, top), (left, left), (0, 0)))
    return cv2.resize(bordered, fit.frame, interpolation=cv2.INTER_LINEAR)


RESIZES = {
    "opencv": Rule(fit_opencv, stretch, "uint8"),
    "keras-retinanet": Rule(fit_keras_retinanet, stretch_nominally, "float32"),
    "torchvision": Rule(fit_torchvision, stretch_unrounded, "float32"),
    "detectron2": Rule(fit_detectron2, stretch_smoothly, "uint8"),
    "mmdetection": Rule(fit_mmdetection, stretch, "uint8"),
    "kerashub": Rule(fit_kerashub, letterbox, "float32"),
}


def to_original(boxes: Any, fit: Fit, size_wh: Pair, xp: Any = np) -> Any:
    """Return boxes (..., 4) px of the resized image in px of the original of `size_wh`, clipped."""
    corners = [(boxes[..., i] - fit.offset[i % 2]) / fit.scale[i % 2] for i in range(4)]
    width, height = map(xp.float32, size_wh)
    return box_math.clip(xp.stack(corners, axis=-1), width, height, xp)  # (..., 4)


def within_frame(boxes: Any, fit: Fit, xp: Any = np) -> Any:
    """Return (...) bool, False for boxes (..., 4) centred in the padding beyond the frame."""
    x, y = ((boxes[..., i] + boxes[..., i + 2]) / 2 for i in range(2))  # (...)
    return (x <= xp.float32(fit.frame[0])) & (y <= xp.float32(fit.frame[1]))  # (...)
