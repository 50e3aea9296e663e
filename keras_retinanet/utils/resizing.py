"""How an image is brought to the size that a model takes: one rule for each project's detectors."""

from collections import namedtuple

import cv2
import numpy as np
from PIL import Image

from keras_retinanet.errors import InputError

# How an image of (width, height) px lies in what the model sees: it is resized to `size`, by which
# its boxes grow by `scale` (x, y), and begins at `offset` (x, y) px of the `picture` (w, h).
Fit = namedtuple("Fit", ["size", "scale", "offset", "picture"])

# `fit(size_wh, min_side, max_side)` gives the Fit of an image, `resample(image, fit)` the picture
# of a uint8 image (H, W, 3), in any order of channels, as `dtype`.
Rule = namedtuple("Rule", ["fit", "resample", "dtype"])


def scale_fraction(size_wh, min_side, max_side):
    """`(target, side)`, with scale = target / side: the short side to min_side, or less when the
    long side would exceed max_side."""
    short, long = _sides(size_wh)
    return (min_side, short) if min_side * long <= max_side * short else (max_side, long)


def compute_resize_scale(image_shape, min_side=800, max_side=1333):
    """The factor that brings an image of shape (H, W, ...) to min_side / max_side."""
    target, side = scale_fraction(image_shape[1::-1], min_side, max_side)
    return target / side


def resized_size(size_wh, min_side=800, max_side=1333):
    """The integer `(width, height)` after resizing: max(1, round(width * target / side)).

    Halves round to even. Multiplied before it is divided, so that float32 arithmetic in a graph
    gives the same integers (for sides up to 8,000 px).
    """
    target, side = scale_fraction(size_wh, min_side, max_side)
    width, height = (max(1, round(int(length) * target / side)) for length in size_wh)
    return width, height


def stretched(size_wh, resized, scale=None):
    """The `Fit` of an image of `size_wh` that becomes `resized` (width, height) px, but 1 at least.

    `scale` (x, y) is what its boxes grow by, by default as much as its sides.
    """
    size = tuple(max(1, int(side)) for side in resized)
    scale = scale or tuple(new / int(old) for new, old in zip(size, size_wh, strict=True))
    return Fit(size, scale, (0.0, 0.0), size)


def fit_opencv(size_wh, min_side, max_side):
    return stretched(size_wh, resized_size(size_wh, min_side, max_side))


def fit_keras_retinanet(size_wh, min_side, max_side):
    """Sizes round, and boxes are divided by the scale from before that."""
    short, long = _sides(size_wh)
    scale = min_side / short
    scale = max_side / long if long * scale > max_side else scale
    resized = [round(side * scale) for side in size_wh]
    return stretched(size_wh, resized, (scale, scale))


def fit_torchvision(size_wh, min_side, max_side):
    """Sizes are cut to whole px."""
    scale = _within(size_wh, min_side, max_side)
    return stretched(size_wh, [int(side * scale) for side in size_wh])


def fit_mmdetection(size_wh, min_side, max_side):
    scale = _within(size_wh, min_side, max_side)
    return stretched(size_wh, [int(side * scale + 0.5) for side in size_wh])


def fit_detectron2(size_wh, min_side, max_side):
    """The short side to `min_side`, then both down until the long one is `max_side`."""
    short, _ = _sides(size_wh)
    grown = [min_side if side == short else side * (min_side / short) for side in size_wh]
    if max(grown) > max_side:
        scale = max_side / max(grown)
        grown = [side * scale for side in grown]
    return stretched(size_wh, [int(side + 0.5) for side in grown])


def fit_kerashub(size_wh, min_side, max_side):
    """Black borders bring the image to the shape of the picture, `min_side` px high and `max_side`
    wide, to less than two px; then both are stretched to it.
    """
    _sides(size_wh)
    borders = borders_kerashub(size_wh, (max_side, min_side))
    bordered = np.add(size_wh, np.multiply(2, borders))  # (2,)
    scale = np.divide((max_side, min_side), bordered)  # (2,)
    size = np.maximum(np.rint(scale * size_wh), 1).astype(int)
    offset = scale * borders
    return Fit(*(tuple(row.tolist()) for row in (size, scale, offset)), (max_side, min_side))


def borders_kerashub(size_wh, picture):
    """What KerasHub puts on the left and on the right, above and below: (x, y) px of the image."""
    width, height = size_wh
    wide = np.float32(height * picture[0]) / np.float32(picture[1])
    high = np.float32(width * picture[1]) / np.float32(picture[0])
    return max(0, int(wide) - width) // 2, max(0, int(high) - height) // 2


def stretch(image, fit):
    return cv2.resize(image, fit.size, interpolation=cv2.INTER_LINEAR)


def stretch_unrounded(image, fit):
    return stretch(image.astype("float32"), fit)


def stretch_nominally(image, fit):
    """Sampled at steps of 1 / scale, though the rounded size has others."""
    image = image.astype("float32")
    sides = [round(side * scale) for side, scale in zip(image.shape[1::-1], fit.scale, strict=True)]
    if tuple(sides) != fit.size:  # a side of less than half a px
        return stretch(image, fit)
    return cv2.resize(image, None, None, *fit.scale, cv2.INTER_LINEAR)


def stretch_smoothly(image, fit):
    """Pillow's: every px has its share in an image that shrinks."""
    return np.asarray(Image.fromarray(image).resize(fit.size, Image.Resampling.BILINEAR))


def letterbox(image, fit):
    left, top = borders_kerashub(image.shape[1::-1], fit.picture)
    bordered = np.pad(image.astype("float32"), ((top, top), (left, left), (0, 0)))
    return cv2.resize(bordered, fit.picture, interpolation=cv2.INTER_LINEAR)


RESIZES = {
    "opencv": Rule(fit_opencv, stretch, "uint8"),
    "keras-retinanet": Rule(fit_keras_retinanet, stretch_nominally, "float32"),
    "torchvision": Rule(fit_torchvision, stretch_unrounded, "float32"),
    "detectron2": Rule(fit_detectron2, stretch_smoothly, "uint8"),
    "mmdetection": Rule(fit_mmdetection, stretch, "uint8"),
    "kerashub": Rule(fit_kerashub, letterbox, "float32"),
}


def _sides(size_wh):
    """The short and the long side of an image; InputError where it has no pixels."""
    short, long = sorted(int(side) for side in size_wh)
    if short < 1:
        raise InputError(f"Expected an image with pixels. Received: width, height = {size_wh}")
    return short, long


def _within(size_wh, min_side, max_side):
    short, long = _sides(size_wh)
    return min(min_side / short, max_side / long)
