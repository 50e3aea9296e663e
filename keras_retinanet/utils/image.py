"""Transform and recolour images. Pixel (row r, column c) covers [c, c+1] x [r, r+1]."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np

from keras_retinanet.parts import Inputs
from keras_retinanet.utils.image_file import (  # noqa: F401  part of this module's interface
    read_image_bgr,
    read_image_rgb,
    write_image_bgr,
)
from keras_retinanet.utils.resizing import RESIZES, compute_resize_scale, stretch
from keras_retinanet.utils.transform import change_transform_origin

Range = tuple[float, float]  # (low, high)

IMAGENET_MEAN_BGR = np.array([103.939, 116.779, 123.68], "float32")
BORDER_MODES = {
    "nearest": cv2.BORDER_REPLICATE,
    "constant": cv2.BORDER_CONSTANT,
    "reflect": cv2.BORDER_REFLECT_101,
    "wrap": cv2.BORDER_WRAP,
}
INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos4": cv2.INTER_LANCZOS4,
}


def preprocess_image(x: np.ndarray, mode: str = "caffe") -> np.ndarray:
    """Return pixel values of 0..255 normalized for ImageNet backbones, in a new float32 array.

    `caffe` subtracts the ImageNet mean (of BGR images); `tf` scales to -1..1.
    """
    x = np.asarray(x, "float32")
    if mode == "caffe":
        return x - IMAGENET_MEAN_BGR
    if mode == "tf":
        return x / np.float32(127.5) - np.float32(1)
    raise ValueError(f"Unknown mode {mode!r}; known: caffe, tf.")


def resize_image(
    img: np.ndarray, min_side: int = Inputs.image_min_side, max_side: int = Inputs.image_max_side
) -> tuple[np.ndarray, float]:
    """Return an image (H, W, ...) resized bilinearly, and one scale for both axes, unrounded."""
    resized = stretch(img, RESIZES["opencv"].fit(img.shape[1::-1], min_side, max_side))
    scale = compute_resize_scale(img.shape, min_side, max_side)
    return resized.reshape(*resized.shape[:2], *img.shape[2:]), scale


@dataclasses.dataclass
class TransformParameters:
    """The border and interpolation of `apply_transform`.

    Args:
        fill_mode: `nearest`, `constant`, `reflect` or `wrap`.
        interpolation: `nearest`, `linear`, `cubic`, `area` or `lanczos4`.
        cval: the value of `constant`, 0..255, one for all channels.
        relative_translation: translations are fractions of the image's size instead of px.
    """

    fill_mode: str = "nearest"
    interpolation: str = "linear"
    cval: float = 0
    relative_translation: bool = True

    def cvBorderMode(self) -> int:
        return choose(BORDER_MODES, "fill_mode", self.fill_mode)

    def cvInterpolation(self) -> int:
        return choose(INTERPOLATIONS, "interpolation", self.interpolation)


def choose(choices: Mapping[str, Any], name: str, value: str) -> Any:
    if value not in choices:
        raise ValueError(f"Unknown {name} {value!r}; known: {', '.join(choices)}.")
    return choices[value]


def adjust_transform_for_image(
    transform: np.ndarray, image: np.ndarray, relative_translation: bool
) -> np.ndarray:
    """Return a transform (3, 3) about the centre of an image (H, W, ...), as a new matrix."""
    height, width = image.shape[:2]
    transform = np.array(transform, "float64")
    if relative_translation:
        transform[:2, 2] *= width, height
    return change_transform_origin(transform, (width / 2, height / 2))


def apply_transform(
    matrix: np.ndarray, image: np.ndarray, params: TransformParameters
) -> np.ndarray:
    """Move the content of an image (H, W, C) by a matrix (3, 3) in px; the size stays.

    Boxes moved by `transform_aabb` with the same matrix keep their place on the content.
    """
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # OpenCV's pixel centres are at 0
    matrix = np.linalg.inv(half) @ np.asarray(matrix, "float64") @ half
    moved = cv2.warpAffine(
        image,
        matrix[:2],
        dsize=(image.shape[1], image.shape[0]),
        flags=params.cvInterpolation(),
        borderMode=params.cvBorderMode(),
        borderValue=(params.cval,) * 4,
    )
    return moved.reshape(image.shape)


def lookup(image: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Map each channel of a uint8 image (H, W, 3) by its column of a table (256, 3)."""
    table = np.clip(np.rint(table), 0, 255).astype("uint8")
    return cv2.LUT(image, np.broadcast_to(table, (256, 3)).reshape(256, 1, 3))


LEVELS = np.arange(256, dtype="float32")[:, None]  # (256, 1)


def adjust_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Scale a uint8 image's distance from the mean of each channel."""
    mean = image.mean(axis=(0, 1), dtype="float64")  # (3,)
    return lookup(image, (LEVELS - mean) * factor + mean)


def adjust_brightness(image: np.ndarray, delta: float) -> np.ndarray:
    """Add delta (a fraction of 255) to a uint8 image."""
    return lookup(image, LEVELS + delta * 255)


def adjust_hue(image: np.ndarray, delta: float) -> np.ndarray:
    """Turn the hue of an HSV uint8 image by delta (a fraction of the whole circle)."""
    turned = np.mod(np.rint(LEVELS + delta * 180), 180)
    return lookup(image, np.hstack([turned, LEVELS, LEVELS]))


def adjust_saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """Scale the saturation of an HSV uint8 image."""
    return lookup(image, np.hstack([LEVELS, LEVELS * factor, LEVELS]))


@dataclasses.dataclass(frozen=True)
class VisualEffect:
    """One change of colours, called with a BGR uint8 image (H, W, 3); returns a new one.

    On RGB images the hue turns in the opposite direction.
    """

    contrast_factor: float = 1
    brightness_delta: float = 0
    hue_delta: float = 0
    saturation_factor: float = 1

    def __call__(self, image: np.ndarray) -> np.ndarray:
        image = adjust_contrast(image, self.contrast_factor)
        image = adjust_brightness(image, self.brightness_delta)
        if self.hue_delta == 0 and self.saturation_factor == 1:
            return image  # conversion to HSV and back costs a little precision
        image = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
        image = adjust_saturation(adjust_hue(image, self.hue_delta), self.saturation_factor)
        return cv2.cvtColor(image, cv2.COLOR_HSV2BGR)


def random_visual_effect_generator(
    contrast_range: Range = (0.9, 1.1),
    brightness_range: Range = (-0.1, 0.1),
    hue_range: Range = (-0.05, 0.05),
    saturation_range: Range = (0.95, 1.05),
    prng: Any = None,
) -> Iterator[VisualEffect]:
    """Return an infinite generator of `VisualEffect`s, each value uniform in its range.

    `prng` is a NumPy RandomState or Generator; without one the effects are the same in each run.

    Raises:
        ValueError: if a range is not in order, or contrast or saturation may be below 0.
    """
    ranges = [contrast_range, brightness_range, hue_range, saturation_range]
    for name, (low, high), least in zip(
        ("contrast", "brightness", "hue", "saturation"), ranges, (0, -1, -1, 0), strict=True
    ):
        if not least <= low <= high:
            raise ValueError(f"{name}_range must be {least} <= low <= high, got {low, high}.")
    prng = np.random.default_rng(0) if prng is None else prng

    def effects() -> Iterator[VisualEffect]:
        while True:
            yield VisualEffect(*(prng.uniform(low, high) for low, high in ranges))

    return effects()
