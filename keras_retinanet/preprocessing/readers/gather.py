"""From objects under their class names to a data set."""

import contextlib
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


@contextlib.contextmanager
def collect_of(image_id, lost, faults):
    """`collect` for what belongs to an image, whose id joins the set `lost` if there is a fault."""
    before = len(faults or ())
    with collect(faults):
        yield
    if len(faults or ()) > before:
        lost.add(image_id)


def without_lost(records, lost):
    """The records less those that have no box, but lost one to a fault: what they show would be
    learnt as background.
    """
    return [record for record in records if len(record.boxes) or record.image_id not in lost]


def gather(images, classes, faults, lost=()):
    """The data set of `Found` images.

    `classes` are names in the order of their labels, or {name: label}; None takes those found,
    sorted. An unknown name is an InputError, or a line of the list `faults`. `lost` are the ids of
    images that have lost an object to a fault already.
    """
    names = (name for image in images for _, name, *_ in image.objects if name is not None)
    labels = class_labels(classes, names)
    lost = set(lost)
    records = [_record(image, labels, lost, faults) for image in images]
    return Dataset(without_lost(records, lost), list(labels), default_category_ids(labels))


def _record(image, labels, lost, faults):
    known = []
    for entry, name, box, ignored in image.objects:
        if name is None:
            known += [(entry, 0, box, ignored)] if labels else []
            continue
        with collect_of(image.image_id, lost, faults):
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
