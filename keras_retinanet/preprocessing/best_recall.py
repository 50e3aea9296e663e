"""Best possible recall: the share of a data set's boxes that an anchor reaches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_retinanet.boxes import area
from keras_retinanet.preprocessing.collate import Anchoring
from keras_retinanet.preprocessing.dataset import Dataset
from keras_retinanet.preprocessing.examples import Sizing
from keras_retinanet.utils.anchor_fit import reach
from keras_retinanet.utils.anchors import AnchorParameters

Recalls = dict[str, tuple[int, float | None]]  # {class name: (boxes, best possible recall)}
OVERLAP = 0.5  # IoU at which training matches an anchor to an object
SIZES = {"small": 0, "medium": 32**2, "large": 96**2}  # smallest area in px², as in COCO


@dataclass(frozen=True, eq=False)
class Objects:
    """The M boxes of a data set that training does not ignore, as the model sees them."""

    boxes: np.ndarray  # (M, 4) float32 xyxy px
    labels: np.ndarray  # (M,) int
    image_sizes: np.ndarray  # (M, 2) int, width and height px of the box's image

    def reached(
        self,
        params: AnchorParameters | None,
        levels: Sequence[int] | None,
        overlap: float = OVERLAP,
    ) -> np.ndarray:
        """Return a mask (M,) of the boxes that an anchor reaches at an IoU of `overlap`."""
        return reach(self.boxes, self.image_sizes, params, levels) >= overlap

    @property
    def size_classes(self) -> np.ndarray:
        """The index in `SIZES` of each box: (M,) int."""
        areas: np.ndarray = area(self.boxes)
        return np.searchsorted(list(SIZES.values()), areas, side="right") - 1


def objects_of(dataset: Dataset, sizing: Sizing) -> Objects:
    """Return the `Objects` of a checked data set, at the size that the model sees."""
    boxes, labels, image_sizes = [np.zeros((0, 4))], [np.zeros(0, int)], [np.zeros((0, 2), int)]
    for record in dataset.records:
        size = sizing.fit(record.size).size
        counted = ~record.ignore
        boxes.append(record.boxes[counted] * np.tile(np.divide(size, record.size), 2))
        labels.append(record.labels[counted])
        image_sizes.append(np.tile(size, (counted.sum(), 1)))
    return Objects(
        np.concatenate(boxes).astype("float32"),
        np.concatenate(labels),
        np.concatenate(image_sizes),
    )


def best_recalls(dataset: Dataset, sizing: Sizing, anchoring: Anchoring) -> Recalls:
    """Return {class name: (number of boxes, share that an anchor is matched with)}.

    Ignored boxes do not count. The share is None for a class without boxes, and for all classes if
    the assigner has no `least_overlap`, such as ATSS, which finds anchors for every box.
    """
    objects = objects_of(dataset, sizing)
    overlap = anchoring.least_overlap
    hit = objects.reached(anchoring.params, anchoring.levels, overlap or 1)  # (M,)
    counts = np.bincount(objects.labels, minlength=dataset.num_classes).tolist()
    reached = np.bincount(objects.labels[hit], minlength=dataset.num_classes).tolist()
    return {
        name: (count, found / count if count and overlap is not None else None)
        for name, count, found in zip(dataset.class_names, counts, reached, strict=True)
    }


def of_all_classes(recalls: Recalls) -> float | None:
    """Return the share of the boxes of all classes that an anchor is matched with, if known."""
    known = [(count, share) for count, share in recalls.values() if share is not None]
    boxes = sum(count for count, _ in known)
    return sum(count * share for count, share in known) / boxes if boxes else None
