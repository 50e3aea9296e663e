"""From an image file to the input of a model: pixels, size, padding bucket."""

from __future__ import annotations

import dataclasses
import functools
import io
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.normalization import normalize
from keras_retinanet.options import check_sides
from keras_retinanet.preprocessing.buckets import rounded_up
from keras_retinanet.utils.image_file import read_image_rgb, upright_rgb
from keras_retinanet.utils.resizing import RESIZES, Fit, stretched

if TYPE_CHECKING:
    from keras_retinanet.models import RetinaNet
    from keras_retinanet.parts import Inputs

# long side / short side of usual images; others are padded to the next one
RATIOS = (1, 9 / 8, 5 / 4, 4 / 3, 3 / 2, 8 / 5)


@dataclasses.dataclass(frozen=True, eq=False)
class Prepared:
    """An image and the model's input made from it, before padding."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    pixels: np.ndarray  # (h, w, 3)
    fit: Fit
    bucket: tuple[int, int]  # (width, height) px
    path: str | None
    index: int


@dataclasses.dataclass(frozen=True)
class ModelInput:
    """The preparation of an image for a model.

    Args:
        min_side, max_side: px that images are resized to; None leaves images as they are.
        resize: the rule to resize by, a key of `RESIZES`.
        canvases: "few" pads each image to a bucket, "own" does not pad it.
        preprocess: turns an RGB image (H, W, 3) of 0..255 into the input; None for a model that
            normalizes in its graph.
        size: the only (width, height) px that the model takes; None for any. Images are resized to
            fit in it.
    """

    min_side: int | None
    max_side: int | None
    resize: str = "opencv"
    canvases: str = "few"
    preprocess: Callable[[np.ndarray], np.ndarray] | None = None
    size: tuple[int, int] | None = None

    @classmethod
    def of(
        cls,
        model: RetinaNet | Inputs,
        min_side: int | None = None,
        max_side: int | None = None,
        no_resize: bool = False,
        size: tuple[int, int] | None = None,
    ) -> ModelInput:
        """Return the input of a model, or of its `Inputs`, with other sides if they are given.

        Raises:
            InputError: if `min_side` exceeds `max_side` and they are not the model's sides, or if
                sides are given for a model that takes only one `size`.
        """
        if size is not None:
            if min_side or max_side or no_resize:
                raise InputError(
                    f"The model takes images of {size[0]} x {size[1]} px only; leave out "
                    "image_min_side, image_max_side and no_resize."
                )
            rest = normalize_of(model), size
            return cls(min(size), max(size), model.resize, model.canvases, *rest)
        held = model.image_min_side, model.image_max_side
        low = min_side or held[0] or max_side
        high = max_side or held[1] or low
        check_sides(low, high, held)
        sides = (None, None) if no_resize else (low, high)
        return cls(*sides, model.resize, model.canvases, normalize_of(model))

    def prepare(
        self, source: Any, index: int = 0, read: Callable[[Any], np.ndarray] | None = None
    ) -> Prepared:
        """Read an image, by `read_rgb` unless `read` is given, and resize it for the model."""
        image = (read or read_rgb)(source)
        fit = self.fit(image.shape[1::-1])
        path = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
        return Prepared(image, self.pixels(image, fit), fit, self.bucket(fit), path, index)

    def fit(self, size: tuple[int, int]) -> Fit:
        """Return the `Fit` of an image of `size` (width, height) px to the input."""
        if self.min_side is None:
            return stretched(size, size)
        most = self.max_side
        if self.size is not None:  # an image in portrait format may be as long as the input is high
            most = self.size[0] if size[0] >= size[1] else self.size[1]
        return RESIZES[self.resize].fit(size, self.min_side, most)

    def pixels(self, image: np.ndarray, fit: Fit) -> np.ndarray:
        """Return the input (h, w, 3) of an RGB image (H, W, 3) uint8, not yet padded."""
        resized = RESIZES[self.resize].resample(image, fit)
        return resized if self.preprocess is None else self.preprocess(resized)

    def bucket(self, fit: Fit) -> tuple[int, int]:
        """Return the (width, height) px that an image is padded to.

        Both sides are rounded up to multiples of 32, and the long side further to a usual aspect
        ratio; see `preprocessing.buckets`.

        >>> photo = ModelInput(800, 1333)
        >>> photo.bucket(photo.fit((640, 480))), photo.bucket(photo.fit((640, 490)))
        ((1088, 800), (1088, 800))
        """
        if self.size is not None:
            return self.size
        if self.canvases == "own":
            return fit.frame
        sides = [rounded_up(side) for side in fit.frame]
        if self.min_side is None:
            return sides[0], sides[1]
        long, most = max(sides), rounded_up(self.max_side)
        steps = (rounded_up(round(self.min_side * ratio)) for ratio in RATIOS)
        step = min(next((step for step in steps if step >= long), most), most)
        sides[sides.index(long)] = max(long, step)
        return sides[0], sides[1]

    @staticmethod
    def batch(group: Sequence[Prepared], size: int = 1) -> np.ndarray:
        """Return images of one bucket as a batch (B, H, W, 3), padded with zeros.

        The batch has at least `size` rows, black if there are fewer images.
        """
        width, height = group[0].bucket
        batch = np.zeros((max(size, len(group)), height, width, 3), group[0].pixels.dtype)
        for row, item in zip(batch, group, strict=False):
            row[: item.pixels.shape[0], : item.pixels.shape[1]] = item.pixels
        return batch


def normalize_of(model: RetinaNet | Inputs) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return the function that normalizes RGB images, None if the model does."""
    if model.normalization is not None:
        return None
    return functools.partial(normalize, mode=model.preprocessing)


def read_rgb(source: Any) -> np.ndarray:
    """Return the image (H, W, 3) uint8 RGB of a path, bytes, array or PIL image.

    Raises:
        InputError: names the file that cannot be read, or the shape of an array that is not an
            image.
    """
    if isinstance(source, np.ndarray):
        if source.ndim != 3 or source.shape[2] != 3 or source.dtype != np.uint8 or not source.size:
            raise InputError(
                "An image must be (H, W, 3) of dtype uint8, with pixels, got "
                f"shape {source.shape} of dtype {source.dtype}."
            )
        return source
    if isinstance(source, Image.Image):
        if 0 in source.size:
            raise InputError(f"An image must have pixels, got {source.width} x {source.height}.")
        return upright_rgb(source)
    if not isinstance(source, (str, os.PathLike, bytes, bytearray)):
        kind = type(source).__name__
        raise InputError(f"An image must be a path, bytes, an array or a PIL image, got a {kind}.")
    return read_image_rgb(source if isinstance(source, (str, os.PathLike)) else io.BytesIO(source))
