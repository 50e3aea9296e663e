"""Small data sets and detections for the tests of the evaluation."""

import numpy as np

from keras_retinanet.detections import Detections
from keras_retinanet.preprocessing.dataset import Dataset, Record

SQUARE = [0, 0, 100, 100]


def record(boxes=(), labels=None, ignore=None, area=None, image_id=1, size=(640, 480)):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    n = len(boxes)
    sides = boxes[:, 2:] - boxes[:, :2]
    return Record(
        path="images/a.jpg",
        image_id=image_id,
        size=size,
        boxes=boxes,
        labels=np.zeros(n, np.int64) if labels is None else np.array(labels, np.int64),
        ignore=np.zeros(n, bool) if ignore is None else np.array(ignore, bool),
        area=sides.prod(axis=1) if area is None else np.array(area, np.float32),
    )


def detection(boxes=(), scores=(), labels=None):
    n = len(scores)
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.array(scores, np.float32),
        labels=np.zeros(n, np.int64) if labels is None else np.array(labels, np.int64),
    )


def dataset(*records, names=("thing",), category_ids=None):
    return Dataset(list(records), list(names), category_ids or list(range(1, len(names) + 1)))


def random_case(seed):
    """Boxes of all sizes and 3 classes, crowds among them, and jittered detections with noise."""
    rng = np.random.default_rng(seed)
    records, detections = [], []
    for image_id in rng.permutation(20):
        n = rng.integers(0, 9)
        corner = rng.uniform(0, 300, (n, 2))
        boxes = np.concatenate([corner, corner + 2 ** rng.uniform(3, 8, (n, 2))], axis=1)
        labels = rng.integers(0, 3, n)
        ignore = rng.random(n) < 0.15
        area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) * rng.uniform(0.4, 1, n)
        records.append(record(boxes, labels, ignore, area, image_id=int(image_id)))
        rows = rng.integers(0, n, 3 * n) if n else np.zeros(0, int)
        noise = rng.uniform(0, 300, (15, 2))
        noise = np.concatenate([noise, noise + rng.uniform(5, 200, (15, 2))], axis=1)
        jittered = boxes[rows] + rng.normal(0, 3, (len(rows), 4))
        order = rng.permutation(len(rows) + 15)
        detections.append(
            detection(
                np.concatenate([jittered, noise])[order],
                np.sort(rng.random(len(order)))[::-1],
                np.concatenate([labels[rows], rng.integers(0, 3, 15)])[order],
            )
        )
    return dataset(*records, names=("a", "b", "c"), category_ids=[9, 2, 5]), detections
