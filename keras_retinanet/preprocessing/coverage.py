"""How many of a data set's boxes the anchors reach."""

from dataclasses import dataclass

import numpy as np

from ..boxes import area
from ..utils.anchor_fit import reach

SIZES = {"small": 0, "medium": 32**2, "large": 96**2}  # px² from which on a box is, as in COCO


@dataclass(frozen=True, eq=False)
class Objects:
    """The M boxes of a data set that training does not ignore, as the model sees them."""

    boxes: np.ndarray  # (M, 4) float32 xyxy px
    labels: np.ndarray  # (M,) int
    image_sizes: np.ndarray  # (M, 2) int, width and height px of the box's image

    @property
    def size_classes(self):
        """Which of `SIZES` each box is: (M,) int."""
        return np.searchsorted(list(SIZES.values()), area(self.boxes), side="right") - 1


def objects_of(dataset, resize):
    """The `Objects` of a `Dataset` whose sizes are known.

    `resize` gives the (width, height) px at which the model sees an image of (width, height).
    """
    return _objects(
        (record.boxes, record.labels, record.ignore, record.size, resize(record.size))
        for record in dataset.records
    )


def _objects(images):
    """`Objects` of images (boxes (n, 4) px, labels (n,), ignore (n,) or None, size, resized)."""
    boxes, labels, image_sizes = [np.zeros((0, 4))], [np.zeros(0, int)], [np.zeros((0, 2), int)]
    for rows, kinds, ignore, size, resized in images:
        known = np.ones(len(kinds), bool) if ignore is None else ~np.asarray(ignore)
        boxes.append(rows[known] * np.tile(np.divide(resized, size), 2))
        labels.append(np.asarray(kinds, int)[known])
        image_sizes.append(np.tile(resized, (known.sum(), 1)))
    return Objects(
        np.concatenate(boxes).astype("float32"),
        np.concatenate(labels),
        np.concatenate(image_sizes),
    )


def anchor_coverage(generator, overlap=0.5):
    """{class name: (number of boxes, share that an anchor reaches at IoU `overlap`)}.

    Measured at the size at which the model sees the images. Ignored boxes do not count; the share
    is None for a class without boxes.
    """

    def images():
        for index in range(generator.size()):
            annotations = generator.load_annotations(index)
            values = (annotations.get(key) for key in ("bboxes", "labels", "ignore"))
            if len(annotations["labels"]):  # else its size need not be known
                yield *values, generator.image_size(index), generator.resized_size(index)

    found = _objects(images())
    params, levels = generator.anchor_params, generator.pyramid_levels
    hit = reach(found.boxes, found.image_sizes, params, levels) >= overlap  # (M,)
    num_classes = generator.num_classes()
    counts = np.bincount(found.labels, minlength=num_classes).tolist()
    reached = np.bincount(found.labels[hit], minlength=num_classes).tolist()
    return {
        generator.label_to_name(label): (count, reached[label] / count if count else None)
        for label, count in enumerate(counts)
    }
