"""Classes that are hard or impossible to learn, and images without objects."""

from collections.abc import Sequence

import numpy as np

from ..utils.text import counted
from .findings import Finding, Place, found
from .splits import Split

FEW_BOXES = 10
FEW_IMAGES = 0.01  # share of the training images that show a class
MOSTLY_EMPTY = 0.5  # share of a split's images that have no boxes


def class_counts(split: Split) -> dict[str, np.ndarray]:
    """Count how often each of the K classes is seen: {"boxes", "images", "ignored"}, each (K,)."""
    kinds, known = len(split.dataset.class_names), split.learnt
    pairs = np.unique(np.stack([split.image, split.labels])[:, known], axis=1)  # (2, P)
    return {
        "boxes": np.bincount(split.labels[known], minlength=kinds),
        "images": np.bincount(pairs[1], minlength=kinds),
        "ignored": np.bincount(split.labels[~split.counted], minlength=kinds),
    }


def check_classes(splits: Sequence[Split]) -> list[Finding]:
    """Find classes that are missing or rare in the first split, which is trained on."""
    names, train = splits[0].dataset.class_names, splits[0].name
    count, *others = map(class_counts, splits)
    boxes, images, ignored = count["boxes"], count["images"], count["ignored"]
    if not boxes.any():
        return []  # `check_empty` reports it
    elsewhere = sum((other["boxes"] for other in others), np.zeros_like(boxes))
    nowhere, few = (boxes == 0) & (elsewhere == 0), boxes < FEW_BOXES
    often = [
        f"{name}: {counted(b, 'box')} in {counted(i, 'image')}"
        for name, b, i in zip(names, boxes, images, strict=True)
    ]
    checks = [  # (name, severity, mask of classes, texts, advice)
        (
            f"classes of other splits that {train} never shows",
            "warning",
            (boxes == 0) & (elsewhere > 0),
            [
                f"{name}, boxes in other splits: {n}"
                for name, n in zip(names, elsewhere, strict=True)
            ],
            "They cannot be learnt, and count as 0 in the evaluation: split the images again.",
        ),
        (
            f"classes that {train} shows in ignored boxes only",
            "warning",
            nowhere & (ignored > 0),
            [f"{name}, ignored boxes: {n}" for name, n in zip(names, ignored, strict=True)],
            "Crowds, difficult objects and groups are not learnt: label single objects.",
        ),
        (
            "classes without any box",
            "warning",
            nowhere & (ignored == 0),
            names,
            "They cannot be learnt: remove them from the list of classes, or correct the name.",
        ),
        (
            f"classes with fewer than {FEW_BOXES} boxes in {train}",
            "warning",
            (boxes > 0) & few,
            often,
            "Label more of them, or expect poor results.",
        ),
        (
            f"classes in fewer than {FEW_IMAGES:.0%} of the images of {train}",
            "note",
            ~few & (images < FEW_IMAGES * len(splits[0].records)),
            often,
            "Repeat their images in training: --repeat-threshold.",
        ),
    ]
    findings = []
    for name, severity, mask, texts, advice in checks:
        places = [Place(texts[i]) for i in np.flatnonzero(mask)]
        findings += found(name, severity, places, len(names), "classes", advice)
    return findings


def check_names(splits: Sequence[Split]) -> list[Finding]:
    """Find classes whose names are nearly the same."""
    groups: dict[str, list[str]] = {}
    for name in splits[0].dataset.class_names:
        plain = name.casefold().translate(str.maketrans("", "", " \t_-"))
        groups.setdefault(plain, []).append(repr(name))
    return found(
        "classes whose names differ only by case, spaces or hyphens",
        "warning",
        [Place(" and ".join(group)) for group in groups.values() if len(group) > 1],
        len(splits[0].dataset.class_names),
        "classes",
        "If they are one class, give it one name.",
    )


def check_empty(splits: Sequence[Split]) -> list[Finding]:
    """Find splits without boxes, and images without boxes in the other splits."""
    without = [split for split in splits if not split.learnt.any()]
    others = [split for split in splits if split.learnt.any()]
    findings = found(
        "splits without a usable box",
        "error" if splits[0] in without else "warning",
        [Place(f"{split.name}, images: {len(split.records)}") for split in without],
        len(splits),
        "splits",
        "Nothing can be learnt from or evaluated on them: add boxes, or remove the split.",
    )
    bare = [[r for r in split.records if not len(r.boxes)] for split in others]
    shares = [len(some) / len(split.records) for some, split in zip(bare, others, strict=True)]
    return findings + found(
        "images without any box",
        "warning" if max(shares, default=0) > MOSTLY_EMPTY else "note",
        [record for some in bare for record in some],
        sum(len(split.records) for split in others),
        "images",
        "Fine if they show no object: training uses them as background.",
        lambda record: Place(record.path, record.path),
    )
