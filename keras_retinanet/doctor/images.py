"""Images that cannot be read, have a size other than stated, or occur twice."""

from collections.abc import Sequence

import numpy as np

from ..preprocessing.dataset import Record, place_of
from .findings import Finding, Place, found
from .splits import Split

SAME = 1  # px by which boxes of identical images may differ


def check_images(splits: Sequence[Split]) -> list[Finding]:
    """Find unreadable entries and images, damaged images, and images of an unexpected size."""
    records = [record for split in splits for record in split.records]
    broken = [case for split in splits for case in split.broken]
    damaged = {path: how for split in splits for path, how in split.damaged.items()}
    mismatched = [s.records[i] for s in splits for i in np.flatnonzero(s.mismatched)]
    return [
        *found(
            "entries that cannot be read",
            "error",
            [Place(fault) for split in splits for fault in split.faults],
            None,
            "entries",
            "Correct these lines; --fix leaves them out.",
        ),
        *found(
            "images that are missing, unreadable or truncated",
            "error",
            broken,
            len(records) + len(broken),
            "images",
            "Download them again, or correct their paths; --fix leaves them out.",
            lambda case: Place(_with_place(*case)),
        ),
        *found(
            "images with damaged data",
            "warning",
            [Place(f"{path}: {how}", path) for path, how in damaged.items()],
            len(records) + len(broken),
            "images",
            "They can be read, but parts may be garbled: look at them, or download them again.",
        ),
        *found(
            "images whose size differs from the annotation",
            "error",
            mismatched,
            len(records),
            "images",
            "Their boxes are probably in px of the stated size; --fix scales them if the shape is "
            "the same, and leaves out the others.",
            _size_place,
        ),
    ]


def _with_place(record: Record, text: str) -> str:
    return f"{text} ({place_of(record)})" if record.entries else text


def _size_place(record: Record) -> Place:
    stated, size = ("{} x {}".format(*wh) for wh in (record.stated_size, record.size))
    text = _with_place(record, f"{record.path}: {size} px, stated {stated}")
    return Place(text, record.path, record.boxes)


def agree(record: Record, other: Record) -> bool:
    """Return True if two records of one image have the same boxes."""
    if len(record.boxes) != len(other.boxes):
        return False
    matched = np.zeros(len(other.boxes), bool)
    for start in range(0, len(record.boxes), 100):  # all at once would take too much memory
        rows = slice(start, start + 100)
        far = np.abs(record.boxes[rows, None] - other.boxes[None]).max(axis=-1)
        same = (far <= SAME) & (record.labels[rows, None] == other.labels[None])
        if not same.any(axis=1).all():
            return False
        matched |= same.any(axis=0)
    return bool(matched.all())


def check_copies(splits: Sequence[Split]) -> list[Finding]:
    """Find images that occur more than once, in one split or in two."""
    holders: dict[str, dict[str, list[Record]]] = {}  # by key, then by name of a split
    for split in splits:
        for key, record in zip(split.keys, split.records, strict=True):
            holders.setdefault(key, {}).setdefault(split.name, []).append(record)
    total = sum(len(split.records) for split in splits)
    findings = found(
        "images in more than one split",
        "error",
        [by_split for by_split in holders.values() if len(by_split) > 1],
        total,
        "images",
        "Evaluation would use images that training has seen: keep each image in one split; --fix "
        "keeps it in the split to evaluate on.",
        _shared_place,
    )
    groups = [group for by_split in holders.values() for group in by_split.values()]
    groups = [group for group in groups if len(group) > 1]
    same = [all(agree(group[0], other) for other in group[1:]) for group in groups]
    for name, severity, wanted, advice in (
        (
            "images that occur twice with different boxes",
            "error",
            False,
            "At least one copy lacks boxes or has wrong ones; --fix keeps the one with most boxes.",
        ),
        (
            "images that occur twice",
            "warning",
            True,
            "They count double in training and evaluation; --fix keeps one.",
        ),
    ):
        chosen = [group for group, is_same in zip(groups, same, strict=True) if is_same is wanted]
        extra = sum(len(group) - 1 for group in chosen)
        findings += found(name, severity, chosen, total, "images", advice, _copies_place, extra)
    return findings


def _shared_place(by_split: dict[str, list[Record]]) -> Place:
    text = ", ".join(f"{name}: {records[0].path}" for name, records in by_split.items())
    first = next(iter(by_split.values()))[0]
    return Place(text, first.path, others=first.boxes)


def _copies_place(group: list[Record]) -> Place:
    first, other = group[0], next((r for r in group[1:] if not agree(group[0], r)), group[1])
    text = " and ".join(dict.fromkeys(record.path for record in group))
    if len({record.path for record in group}) == 1:
        entries = [place_of(r) if r.entries else f"image {r.image_id}" for r in group]
        text = f"{first.path}: " + " and ".join(entries)
    boxes = () if agree(first, other) else other.boxes
    return Place(text, first.path, boxes, first.boxes)
