"""Pictures that cannot be read, are of another size than stated, or are there twice."""

import numpy as np

from keras_retinanet.doctor.findings import Place, found
from keras_retinanet.preprocessing.dataset import place_of

SAME = 1  # px by which boxes of identical pictures may differ


def entries(splits):
    """What the reader could not read."""
    return found(
        "entries that cannot be read",
        "error",
        [Place(fault) for split in splits for fault in split.faults],
        None,
        "entries",
        "Mend these lines; --fix leaves them out.",
    )


def unreadable(splits):
    """Pictures that are missing or broken."""
    total = sum(len(split.records) + len(split.broken) for split in splits)
    findings = found(
        "pictures that are missing, unreadable or truncated",
        "error",
        [case for split in splits for case in split.broken],
        total,
        "images",
        "Fetch them again, or mend their paths; --fix leaves them out.",
        lambda case: Place(_with_place(case[0], case[1])),
    )
    damaged = {
        record.path: (record, split.damaged[record.path])
        for split in splits
        for record in split.records
        if record.path in split.damaged
    }
    return findings + found(
        "pictures with damage amid their data",
        "warning",
        list(damaged.values()),
        total,
        "images",
        "They can be read, but in part may be garbled: look at them, and fetch them again.",
        lambda case: Place(f"{case[0].path}: {case[1]}", case[0].path),
    )


def _with_place(record, text):
    return f"{text} ({place_of(record)})" if record.entries else text


def sizes(splits):
    """Pictures that are not of the size that the annotation states."""
    cases = [s.records[i] for s in splits for i in np.flatnonzero(s.mismatched)]

    def place(record):
        stated, size = ("{} x {}".format(*wh) for wh in (record.stated_size, record.size))
        text = _with_place(record, f"{record.path}: {size} px, stated {stated}")
        return Place(text, record.path, record.boxes)

    return found(
        "pictures of another size than their annotation states",
        "error",
        cases,
        sum(len(split.records) for split in splits),
        "images",
        "Their boxes are probably in px of the stated size; --fix scales them where the shape is "
        "the same, and leaves out the others.",
        place,
    )


def copies(split):
    """[records of one picture], for each picture that a split holds more than once."""
    groups = {}
    for key, record in zip(split.keys, split.records, strict=True):
        groups.setdefault(key, []).append(record)
    return [group for group in groups.values() if len(group) > 1]


def shared(splits):
    """{key of a picture: [(split, record)]} of the pictures that are in more than one split."""
    holders = {}
    for split in splits:
        for key, record in zip(split.keys, split.records, strict=True):
            holders.setdefault(key, []).append((split, record))
    return {
        key: cases
        for key, cases in holders.items()
        if any(split is not cases[0][0] for split, _ in cases)
    }


def agree(record, other):
    """Whether two images have the same boxes of the same classes, in any order."""
    apart = np.abs(record.boxes[:, None] - other.boxes[None]).max(axis=-1, initial=0)  # (n, m)
    same = (apart <= SAME) & (record.labels[:, None] == other.labels[None])
    as_many = len(record.boxes) == len(other.boxes)
    return bool(as_many and same.any(axis=0).all() and same.any(axis=1).all())


def identical(splits):
    """Pictures that are there more than once, in a set or in two."""
    groups = [group for split in splits for group in copies(split)]
    agreeing, differing = [], []
    for group in groups:
        same = all(agree(group[0], other) for other in group[1:])
        (agreeing if same else differing).append(group)
    total = sum(len(split.records) for split in splits)

    def again(name, severity, chosen, advice):
        extra = sum(len(group) - 1 for group in chosen)
        return found(name, severity, chosen, total, "images", advice, _copies_place, extra)

    return [
        *found(
            "pictures in more than one set",
            "error",
            list(shared(splits).values()),
            total,
            "images",
            "What is evaluated on them was learnt by heart: keep each in one set; --fix leaves "
            "them in the one that is evaluated on.",
            _shared_place,
        ),
        *again(
            "pictures that are there again with other boxes",
            "error",
            differing,
            "At least one of them lacks boxes or has wrong ones; --fix keeps the one with most.",
        ),
        *again(
            "pictures that are there again",
            "warning",
            agreeing,
            "They count more than others, in training and in the evaluation; --fix keeps one.",
        ),
    ]


def _shared_place(cases):
    where = {split.name: record.path for split, record in cases}
    text = ", ".join(f"{name}: {path}" for name, path in where.items())
    _, first = cases[0]
    return Place(text, first.path, others=first.boxes)


def _copies_place(group):
    first, other = group[0], next((r for r in group[1:] if not agree(group[0], r)), group[1])
    text = " and ".join(dict.fromkeys(record.path for record in group))
    if len({record.path for record in group}) == 1:
        entries = [place_of(r) if r.entries else f"image {r.image_id}" for r in group]
        text = f"{first.path}: " + " and ".join(entries)
    boxes = () if agree(first, other) else other.boxes
    return Place(text, first.path, boxes, first.boxes)
