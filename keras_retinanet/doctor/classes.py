"""Classes that cannot be learnt, or hardly, and images that show none."""

import numpy as np

from keras_retinanet.doctor.boxes import learnt
from keras_retinanet.doctor.findings import Place, found

FEW_BOXES = 10
FEW_IMAGES = 0.01  # of the training images
MOSTLY_EMPTY = 0.5  # of the images of a set


def class_counts(split):
    """How often each of the K classes is seen: {"boxes", "images", "ignored"}, each (K,) int."""
    kinds = len(split.dataset.class_names)
    known = learnt(split)
    pairs = np.unique(np.stack([split.image, split.labels])[:, known], axis=1)  # (2, P)
    return {
        "boxes": np.bincount(split.labels[known], minlength=kinds),
        "images": np.bincount(pairs[1], minlength=kinds),
        "ignored": np.bincount(split.labels[~split.counted], minlength=kinds),
    }


def classes(splits):
    """Classes that the first set, which is trained on, shows never or rarely."""
    counts = [class_counts(split) for split in splits]
    if not counts[0]["boxes"].any():
        return []  # which is a finding of its own
    return _never(splits, counts) + _rarely(splits[0], counts[0])


def _never(splits, counts):
    """Classes that the first set never shows, by where they are seen instead."""
    names, train = splits[0].dataset.class_names, splits[0].name
    boxes, ignored = counts[0]["boxes"], counts[0]["ignored"]
    elsewhere = sum((count["boxes"] for count in counts[1:]), np.zeros_like(boxes))
    never = boxes == 0
    alone = never & (elsewhere == 0)
    return [
        *_some(
            f"classes of other sets that {train} never shows",
            "warning",
            never & (elsewhere > 0),
            "They cannot be learnt, and count as 0 in the evaluation: divide the images anew.",
            lambda i: f"{names[i]}, boxes in other sets: {elsewhere[i]}",
        ),
        *_some(
            f"classes that {train} shows in ignored boxes alone",
            "warning",
            alone & (ignored > 0),
            "Boxes that are a crowd, difficult or a group are not learnt: label single objects.",
            lambda i: f"{names[i]}, ignored boxes: {ignored[i]}",
        ),
        *_some(
            "classes without any box",
            "warning",
            alone & (ignored == 0),
            "They cannot be learnt: leave them out of the list of classes, or mend their name.",
            lambda i: names[i],
        ),
    ]


def _rarely(split, counts):
    """Classes that a set shows, but in few boxes or few images."""
    names, boxes, images = split.dataset.class_names, counts["boxes"], counts["images"]

    def often(i):
        box, image = "box" if boxes[i] == 1 else "boxes", "image" if images[i] == 1 else "images"
        return f"{names[i]}: {boxes[i]} {box} in {images[i]} {image}"

    return [
        *_some(
            f"classes with fewer than {FEW_BOXES} boxes in {split.name}",
            "warning",
            (boxes > 0) & (boxes < FEW_BOXES),
            "Label more of them, or expect little.",
            often,
        ),
        *_some(
            f"classes in under {FEW_IMAGES:.0%} of the images of {split.name}",
            "note",
            (boxes >= FEW_BOXES) & (images < FEW_IMAGES * len(split.records)),
            "Train on their images more often than on others: --repeat-threshold.",
            often,
        ),
    ]


def _some(name, severity, chosen, advice, text):
    """The finding of the classes that a mask (K,) chooses, each as `text(index)` has it."""
    cases = np.flatnonzero(chosen)
    return found(name, severity, cases, len(chosen), "classes", advice, lambda i: Place(text(i)))


def alike(splits):
    """Classes whose names are next to the same."""
    groups = {}
    for name in splits[0].dataset.class_names:
        plain = "".join(letter for letter in name.casefold() if letter not in " \t_-")
        groups.setdefault(plain, []).append(name)
    return found(
        "classes whose names differ by case, spaces or hyphens alone",
        "warning",
        [group for group in groups.values() if len(group) > 1],
        len(splits[0].dataset.class_names),
        "classes",
        "If they are one class, give it one name.",
        lambda group: Place(" and ".join(map(repr, group))),
    )


def empty(splits):
    """Sets without any box, and images without any in the others."""
    without = [split for split in splits if not learnt(split).any()]
    findings = found(
        "sets without a box that counts",
        "error" if splits[0] in without else "warning",
        without,
        len(splits),
        "sets",
        "There is nothing to learn from, or to be measured by, in them.",
        lambda split: Place(f"{split.name}, images: {len(split.records)}"),
    )
    others = [split for split in splits if split not in without]
    cases, shares = [], []
    for split in others:
        bare = [record for record in split.records if not len(record.boxes)]
        cases += bare
        shares.append(len(bare) / len(split.records))
    return findings + found(
        "images without any box",
        "warning" if max(shares, default=0) > MOSTLY_EMPTY else "note",
        cases,
        sum(len(split.records) for split in others),
        "images",
        "Right where they show no object, for they are learnt as background.",
        lambda record: Place(record.path, record.path),
    )
