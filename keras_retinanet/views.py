"""Several views of one image: tiles, mirrored and scaled, whose detections are merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from . import nms_numpy
from .model_input import ModelInput
from .nms_numpy import Found
from .parts import PostProcess


@dataclass(frozen=True)
class Views:
    """The views that a detector takes of each image.

    Attributes:
        tile: px of the side of square tiles, which the model sees besides the whole image; None
            for no tiles.
        overlap: the share of a tile that the next tile overlaps, from 0 to 0.9.
        flip: also see each view mirrored.
        scales: also see the whole image with sides times these factors.
    """

    tile: int | None = None
    overlap: float = 0.2
    flip: bool = False
    scales: tuple[float, ...] = ()

    @property
    def several(self) -> bool:
        """True if there is more than the image itself."""
        return self.tile is not None or self.flip or bool(self.scales)


@dataclass(frozen=True)
class View:
    """A part of an image, perhaps mirrored, and its preparation for the model.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        left, top: px, the place of the part in the image.
    """

    image: np.ndarray
    inputs: ModelInput
    left: int = 0
    top: int = 0
    mirrored: bool = False

    def in_image(self, boxes: np.ndarray) -> np.ndarray:
        """Return boxes (D, 4) xyxy px of the view as boxes of the image."""
        if self.mirrored:
            x1, y1, x2, y2 = boxes.T
            width = np.float32(self.image.shape[1])
            boxes = np.stack([width - x2, y1, width - x1, y2], axis=1)
        return boxes + np.array([self.left, self.top, self.left, self.top], "float32")


def views_of(image: np.ndarray, inputs: ModelInput, views: Views) -> list[View]:
    """Return the views of an RGB image (H, W, 3) uint8."""
    found = [View(image, inputs)]
    for scale in views.scales:
        sides = round(inputs.min_side * scale), round(inputs.max_side * scale)
        found.append(View(image, replace(inputs, min_side=sides[0], max_side=sides[1])))
    if views.tile is not None:
        height, width = image.shape[:2]
        for top in starts(height, views.tile, views.overlap):
            for left in starts(width, views.tile, views.overlap):
                part = image[top : top + views.tile, left : left + views.tile]
                if part.shape != image.shape:
                    found.append(View(part, inputs, left, top))
    if views.flip:
        found += [replace(each, image=each.image[:, ::-1], mirrored=True) for each in found]
    return found


def starts(length: int, tile: int, overlap: float) -> list[int]:
    """Return where tiles begin, so that they cover `length` px and overlap by at least a share.

    >>> starts(100, 40, 0.25), starts(30, 40, 0.25)
    ([0, 30, 60], [0])
    """
    if length <= tile:
        return [0]
    step = max(1, int(tile * (1 - overlap)))
    count = -(-(length - tile) // step) + 1
    return [min(index * step, length - tile) for index in range(count)]


def merged(found: Sequence[Found], postprocess: PostProcess, size: tuple[int, int]) -> Found:
    """Return the detections of all views, in px of the image, suppressed by one NMS.

    Args:
        size: (width, height) px of the image.
    """
    boxes, scores, labels = (np.concatenate(values) for values in zip(*found, strict=True))
    order = np.argsort(-scores, kind="stable")
    return nms_numpy.detections((boxes[order], scores[order], labels[order]), postprocess, size)
