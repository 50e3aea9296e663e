"""The detections of a data set, made once; every metric is computed from them."""

import dataclasses
import time
from functools import partial

import numpy as np
from tqdm import tqdm

from .. import boxes as box_math
from ..preprocessing.dataset import Dataset, default_category_ids, make_record
from ..preprocessing.feed import prefetch


def input_options(model):
    """The options of a `Generator` whose images are what `model` takes."""
    options = {
        name: getattr(model, name)
        for name in ("image_min_side", "image_max_side", "resize", "canvases")
    }
    if model.normalization is not None:
        return {**options, "preprocess_image": None}
    from ..layers.normalize import normalize_bgr

    return {**options, "preprocess_image": partial(normalize_bgr, mode=model.preprocessing)}


def detect(model, generator, score_threshold=0.05, max_detections=100, label="detect"):
    """What an inference model finds in each image of a generator, and the seconds an image took.

    Returns a list of {"boxes": (n, 4) float32 xyxy px of the original image, "scores": (n,)
    descending, "labels": (n,)} in the generator's order. The first batch of a shape, which the
    backend compiles, is left out of the time: 0 if there is no other.
    """
    found = [None] * generator.size()
    seconds, timed, shapes = 0.0, 0, set()
    groups = generator.groups
    for group, inputs in tqdm(
        zip(groups, prefetch(generator.inputs_of, groups, ahead=4), strict=True),
        desc=label,
        total=len(groups),
        unit="batch",
        mininterval=1,
    ):
        start = time.perf_counter()
        boxes, scores, labels = (np.asarray(out) for out in model.predict_on_batch(inputs)[:3])
        if inputs.shape in shapes:
            seconds += time.perf_counter() - start
            timed += len(group)
        shapes.add(inputs.shape)
        for row, index in enumerate(group):
            if found[index] is None:
                found[index] = in_image(
                    boxes[row],
                    scores[row],
                    labels[row],
                    generator.image_size(index),
                    generator.fit_of(index),
                    score_threshold,
                    max_detections,
                )
    return found, seconds / max(1, timed)


def readable(generator, dataset, detections):
    """The data set and its detections without the images that `generator` found to be broken."""
    kept = [i for i in range(len(detections)) if i not in generator.unreadable]
    records = [dataset.records[i] for i in kept]
    return dataclasses.replace(dataset, records=records), [detections[i] for i in kept]


def in_image(boxes, scores, labels, size, fit, score_threshold=0.05, max_detections=100):
    """Detections (D, ...) of one padded image as boxes of the original, best first.

    Boxes are brought back by the image's `Fit` (`utils.resizing`) and clipped to the image of
    `size` (w, h) px; padding rows, and detections centred in the padding beyond its picture, are
    dropped.
    """
    center = (boxes[:, :2] + boxes[:, 2:]) / 2  # (D, 2)
    kept = (labels >= 0) & (scores >= score_threshold) & (center <= fit.picture).all(axis=1)  # (D,)
    order = np.flatnonzero(kept)[np.argsort(-scores[kept], kind="stable")][:max_detections]
    scale, offset = (np.tile(np.float32(pair), 2) for pair in (fit.scale, fit.offset))  # (4,)
    boxes = box_math.clip((boxes[order] - offset) / scale, *size).astype("float32")
    return {"boxes": boxes, "scores": scores[order], "labels": labels[order]}


def name_of(generator, label):
    """The name of a label; its number where a generator has no names."""
    try:
        return str(generator.label_to_name(label))
    except NotImplementedError:
        return str(label)


def dataset_of(generator):
    """The `Dataset` of a generator, put together from its methods where a subclass has none."""
    if generator.dataset is not None:
        return generator.dataset
    records = []
    for index in range(generator.size()):
        annotations = generator.load_annotations(index)
        size = tuple(int(side) for side in generator.image_size(index))
        path = str(generator.image_path(index))
        boxes, labels = annotations["bboxes"], annotations["labels"]
        records.append(
            make_record(path, index, boxes, labels, annotations.get("ignore"), size=size)
        )
    names = [name_of(generator, label) for label in range(generator.num_classes())]
    return Dataset(records, names, default_category_ids(names))
