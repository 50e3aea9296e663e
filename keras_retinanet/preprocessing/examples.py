"""One training example: an image, its annotations, and the size that the model sees."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from keras_retinanet.errors import InputError
from keras_retinanet.parts import Inputs
from keras_retinanet.preprocessing.buckets import Size
from keras_retinanet.preprocessing.dataset import Record
from keras_retinanet.utils.image import choose, read_image_bgr
from keras_retinanet.utils.resizing import RESIZES, Fit, stretched


@dataclass(frozen=True)
class Sizing:
    """The size to which images are resized for the model.

    Attributes:
        min_side, max_side: px of the short side, and the most px of the long side; with `min_side`
            None, images keep their size.
        rule: a key of `RESIZES`, the project whose rounding is followed.
        multi_scale: short sides in px; each training batch takes one, and its long side changes in
            proportion. () takes `min_side`.
    """

    min_side: int | None = Inputs.image_min_side
    max_side: int | None = Inputs.image_max_side
    rule: str = "opencv"
    multi_scale: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        choose(RESIZES, "rule", self.rule)

    def fit(self, size: Size, side: int | None = None) -> Fit:
        """Return the `Fit` of an image of `size` px, with a short side of `side` px if given."""
        if self.min_side is None:
            return stretched(size, size)
        side = side or self.min_side
        max_side = round(self.max_side * side / self.min_side)
        return RESIZES[self.rule].fit(size, side, max_side)


def annotations_of(record: Record) -> dict[str, np.ndarray]:
    """Return {"bboxes": (n, 4) xyxy px, "labels": (n,), "ignore": (n,) bool}, copies."""
    return {
        "bboxes": record.boxes.copy(),
        "labels": record.labels.copy(),
        "ignore": record.ignore.copy(),
    }


@dataclass(eq=False)
class ImageReader:
    """Read the images of records by index, and leave out broken ones with a warning.

    Attributes:
        strict: raise an InputError at a broken image instead.
        broken: {index: reason} of the images that could not be read so far.
    """

    records: Sequence[Record]
    strict: bool = False
    broken: dict[int, str] = field(default_factory=dict, init=False)

    def read(self, index: int) -> np.ndarray | None:
        """Return an image (H, W, 3) uint8 BGR, or None if it is broken.

        Raises:
            InputError: if the image is broken and `strict`, or if all images are broken.
        """
        try:
            return read_image_bgr(self.records[index].path)
        except InputError as error:
            if self.strict:
                raise
            known = index in self.broken
            self.broken[index] = reason = str(error)
        count, total = len(self.broken), len(self.records)
        if count == total:
            raise InputError(f"Found {count} images, all of them broken; the last: {reason}")
        if not known:
            message = f"Left out {count} of {total} images that are broken; the last: {reason}"
            warnings.warn(message, UserWarning, stacklevel=2)
        return None
