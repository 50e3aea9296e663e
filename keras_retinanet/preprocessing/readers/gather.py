"""From objects under their class names to a data set."""

import dataclasses

from keras_retinanet.errors import collect
from keras_retinanet.preprocessing.dataset import Dataset, default_category_ids, make_record
from keras_retinanet.preprocessing.readers.parsing import class_labels, label_of


@dataclasses.dataclass(frozen=True)
class Found:
    """An image as its annotation has it."""

    path: str
    image_id: str
    origin: str  # the place of an object is f"{origin} {entry}"
    objects: list[tuple]  # (entry, class name, box, whether it is ignored); name None: no class
    stated_size: tuple[int, int] | None = None


def gather(images, classes, faults):
    """The data set of `Found` images.

    `classes` are names in the order of their labels, or {name: label}; None takes those found,
    sorted. An unknown name is an InputError, or a line of the list `faults`.
    """
    names = (name for image in images for _, name, *_ in image.objects if name is not None)
    labels = class_labels(classes, names)
    records = [_record(image, labels, faults) for image in images]
    return Dataset(records, list(labels), default_category_ids(labels))


def _record(image, labels, faults):
    known = []
    for entry, name, box, ignored in image.objects:
        if name is None:
            known += [(entry, 0, box, ignored)] if labels else []
            continue
        with collect(faults):
            label = label_of(labels, name, f"{image.origin} {entry}")
            known.append((entry, label, box, ignored))
    return make_record(
        image.path,
        image.image_id,
        boxes=[box for _, _, box, _ in known],
        labels=[label for _, label, *_ in known],
        ignore=[ignored for *_, ignored in known],
        origin=image.origin,
        entries=[entry for entry, *_ in known],
        stated_size=image.stated_size,
    )
