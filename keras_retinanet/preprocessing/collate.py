"""From single examples to a batch: images padded and stacked, boxes matched with anchors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np

from keras_retinanet import assigners
from keras_retinanet.choices import ASSIGNERS, lookup
from keras_retinanet.preprocessing.buckets import Size
from keras_retinanet.utils.anchors import AnchorParameters, Grid, grid, guess_shapes

OVERLAP = 0.5  # the default of `assigners.iou`
MOST_SHAPES = 16  # shapes whose anchors are cached: 4 padding buckets at each of a few scales


@dataclass(frozen=True, eq=False)
class Anchoring:
    """The model's anchors, and the rule that matches boxes with them.

    Attributes:
        params: None for `AnchorParameters.default`.
        levels: pyramid levels; None for P3 to P7.
        assigner: a key of `ASSIGNERS`, or {"name": key, **arguments}.
        compute_shapes: gives the feature shapes of an image shape (see `utils.anchors.grid`).
    """

    params: AnchorParameters | None = None
    levels: Sequence[int] | None = None
    assigner: str | dict = "iou"
    compute_shapes: Callable = guess_shapes

    @cached_property
    def assign(self) -> assigners.Assigner:
        return assigners.get(self.assigner)

    @property
    def least_overlap(self) -> float | None:
        """The IoU from which on an anchor is matched with a box; None for a rule without one."""
        rule, arguments = lookup(ASSIGNERS, self.assigner, "assigner")
        if rule is not assigners.iou.assign or arguments.get("best_anchor"):
            return None
        return arguments.get("positive_overlap", OVERLAP)

    def grid(self, shape: Sequence[int]) -> Grid:
        """Return the anchors of a batch of `shape` (H, W, ...), cached for the next call."""
        return _grid(self, tuple(map(int, shape[:2])))

    def match(self, shape: Sequence[int], annotations: dict, size: Size) -> np.ndarray:
        """Match the boxes of an image of `size` px, padded to `shape` (H, W), with the anchors.

        Returns:
            (N,) int32: the row of the matched box, -1 for background, -2 for ignored anchors.
        """
        boxes, ignore = annotations["bboxes"], annotations.get("ignore")
        return assigners.match(self.assign, self.grid(shape), boxes, ignore, size)


@lru_cache(MOST_SHAPES)
def _grid(anchoring: Anchoring, shape: tuple[int, int]) -> Grid:
    return grid(shape, anchoring.levels, anchoring.params, anchoring.compute_shapes)


def stack_images(
    images: Sequence[np.ndarray], size: Size, dtype: str = "uint8", swap: bool = True
) -> np.ndarray:
    """Stack images (h, w, 3) into a batch (B, H, W, 3) of `size` (W, H), padded with zeros.

    Args:
        swap: turn BGR images into RGB.
    """
    width, height = size
    batch = np.zeros((len(images), height, width, 3), dtype)
    for row, image in zip(batch, images, strict=True):
        place = row[: image.shape[0], : image.shape[1]]
        if swap and image.size and image.dtype == batch.dtype:
            cv2.cvtColor(image, cv2.COLOR_BGR2RGB, place)
        else:
            place[...] = image[..., ::-1] if swap else image
    return batch


def compact_targets(
    sizes: Sequence[Size],
    annotations: Sequence[dict],
    shape: tuple[int, int],
    anchoring: Anchoring,
    most_boxes: int,
) -> dict[str, np.ndarray]:
    """Return the targets of a batch.

    Args:
        sizes: (width, height) px of each image without its padding.
        annotations: {"bboxes", "labels", "ignore"} of each image.
        shape: (H, W) px of the batch.
        most_boxes: M, at least the number of boxes of every image.

    Returns:
        {"boxes": (B, M, 4) float32, "labels": (B, M) int32, "matches": (B, N) int32}, see
        `Anchoring.match`.
    """
    boxes = np.zeros((len(sizes), most_boxes, 4), "float32")  # (B, M, 4)
    labels = np.zeros((len(sizes), most_boxes), "int32")  # (B, M)
    matches = np.empty((len(sizes), len(anchoring.grid(shape).anchors)), "int32")  # (B, N)
    for row, (size, rows) in enumerate(zip(sizes, annotations, strict=True)):
        count = len(rows["bboxes"])
        boxes[row, :count] = rows["bboxes"]
        labels[row, :count] = rows["labels"]
        matches[row] = anchoring.match(shape, rows, size)
    return {"boxes": boxes, "labels": labels, "matches": matches}
