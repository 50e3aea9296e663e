"""Boxes that cannot be right: on their own, beside their picture, or beside each other."""

import dataclasses

import numpy as np

from keras_retinanet import boxes as box_math
from keras_retinanet.doctor.findings import box_place, found, found_boxes

NEAR = 0.9  # IoU above which two boxes of a class in an image are taken for one object
TINY = 2  # px of the model's input
TOLERANCE = 1  # px that a box may stick out of its picture, which is rounding
WHOLE = 0.95  # share of the picture that a box covers which stands for all of it
NEARLY = 0.01  # by which shares of a picture may be below 0 or above 1
FROM_ZERO = "The coordinates seem to count from 0: read Pascal VOC with --zero-based. "

GOOD, UNREAL, INVERTED, EMPTY, OUTSIDE, CUT = range(6)  # what a box is; the first that applies

DEFECTS = {  # state: (name, severity, advice)
    UNREAL: (
        "boxes that are no numbers",
        "error",
        "Mend the tool that wrote NaN or infinity; --fix leaves these boxes out.",
    ),
    INVERTED: (
        "inverted boxes",
        "error",
        "The corners are swapped, or width and height were taken for x2 and y2: look at some; "
        "--fix swaps the corners.",
    ),
    EMPTY: (
        "boxes without width or height",
        "error",
        "They are slips of the mouse, mostly; --fix leaves them out.",
    ),
    OUTSIDE: (
        "boxes outside their picture",
        "error",
        "They belong to another picture, or are in px of another size; --fix leaves them out.",
    ),
    CUT: (
        f"boxes that stick out of their picture by more than {TOLERANCE} px",
        "warning",
        "Training clips them, and so does --fix; many of them mean px of another size.",
    ),
}


def states(boxes, sizes, mismatched=False):
    """What boxes (N, 4) in pictures of `sizes` (N, 2) are: (N,) int, `GOOD` to `CUT`.

    Boxes of `mismatched` (N,) images are not held against their picture.
    """
    x1, y1, x2, y2 = boxes.T
    width, height = sizes.T
    unreal = ~np.isfinite(boxes).all(axis=1)
    outside = (x1 >= width) | (y1 >= height) | (x2 <= 0) | (y2 <= 0)
    low, high = np.minimum(x1, y1), np.maximum(x2 - width, y2 - height)
    return np.select(
        [
            unreal,
            (x2 < x1) | (y2 < y1),
            (x2 == x1) | (y2 == y1),
            outside & ~np.asarray(mismatched),
            ((low < -TOLERANCE) | (high > TOLERANCE)) & ~np.asarray(mismatched),
        ],
        [UNREAL, INVERTED, EMPTY, OUTSIDE, CUT],
        GOOD,
    )


def states_of(split):
    return states(split.boxes, split.sizes[split.image], split.mismatched[split.image])


def defects(splits):
    """Boxes that are none, or that their picture does not hold."""
    every = [states_of(split) for split in splits]
    findings = []
    for state, (name, severity, advice) in DEFECTS.items():
        masks = [each == state for each in every]
        if state == OUTSIDE and _hold_all(masks, [_begins_before(split) for split in splits]):
            advice = FROM_ZERO + "--fix leaves these boxes out."
        findings += found_boxes(name, severity, splits, masks, advice)
    return findings


def from_zero(splits):
    """Boxes that begin 1 px before their picture, as a 0 does that is read as counted from 1."""
    begins = [_begins_before(split) for split in splits]
    masks = [begin & placed(split) for begin, split in zip(begins, splits, strict=True)]
    before = [placed(s) & (s.boxes[:, :2].min(axis=1, initial=np.inf) < 0) for s in splits]
    if not _hold_all(before, begins):
        return []
    advice = FROM_ZERO + "--fix clips these boxes."
    return found_boxes("boxes that begin 1 px before their picture", "note", splits, masks, advice)


def _begins_before(split):
    """Which boxes begin exactly 1 px left of or above their picture, and no further: (N,) bool."""
    return split.boxes[:, :2].min(axis=1, initial=np.inf) == -1


def _hold_all(masks, conditions):
    """Whether the condition (N,) of each split holds for all boxes that its mask (N,) chooses."""
    return all((~mask | holds).all() for mask, holds in zip(masks, conditions, strict=True))


def in_shares(split):
    """Images whose boxes seem to be shares of the picture, not px: (n,) bool.

    All of their coordinates are 0 to 1, or nearly; where those are few, they are small boxes in px.
    """
    fits = ((split.boxes >= -NEARLY) & (split.boxes <= 1 + NEARLY)).all(axis=1)
    count = np.bincount(split.image, minlength=len(split.records))
    images = (count > 0) & (np.bincount(split.image[fits], minlength=len(count)) == count)
    return images & (2 * count[images].sum() > count.sum())


def shares(splits):
    """Boxes that seem to be shares of the picture."""
    return found_boxes(
        "boxes that look like shares of the picture, not px",
        "error",
        splits,
        [in_shares(split)[split.image] for split in splits],
        "Multiply x by the width and y by the height of the picture; the readers of YOLO and Open "
        "Images do so themselves. --fix lists these images and leaves them as they are.",
    )


def learnt(split):
    """Which boxes can be learnt, neither ignored nor dropped: (N,) bool."""
    return split.counted & np.isin(states_of(split), (GOOD, CUT))


def placed(split):
    """Those of the learnt boxes that are in px of their picture, as far as its size tells."""
    return learnt(split) & ~(split.mismatched | in_shares(split))[split.image]


def tiny(splits):
    """Boxes that are next to nothing at the size at which the model sees them."""
    masks = []
    for split in splits:
        sides = split.seen[:, 2:] - split.seen[:, :2]  # (N, 2)
        masks.append(placed(split) & (sides.min(axis=1, initial=np.inf) < TINY))
    return found_boxes(
        f"boxes under {TINY} px at the size that the model sees",
        "warning",
        splits,
        masks,
        "Train with larger images (--image-min-side, --image-max-side), or leave such boxes out.",
    )


def whole(splits):
    """Boxes around all of the picture."""
    masks = []
    for split in splits:
        share = box_math.area(split.boxes) / split.sizes.prod(axis=1)[split.image]
        masks.append(placed(split) & (share > WHOLE))
    return found_boxes(
        "boxes around nearly the whole picture",
        "note",
        splits,
        masks,
        "Fine for close-ups; labels of whole pictures teach a detector little.",
    )


def pairs(split):
    """(a, b) (P,) int: boxes b that repeat a box a before them in the image at IoU above `NEAR`.

    The boxes of an image are walked in the order of x1, each with its next, next but one and so on,
    for as long as these begin within 1 - `NEAR` of its width: those further on overlap too little.
    """
    chosen = np.flatnonzero(learnt(split))
    order = chosen[np.lexsort((split.boxes[chosen, 0], split.image[chosen]))]
    boxes, image = split.boxes[order], split.image[order]
    reach = boxes[:, 0] + (1 - NEAR) * (boxes[:, 2] - boxes[:, 0])  # (n,)
    rows, step, found_pairs = np.arange(len(order)), 0, [np.empty((0, 2), int)]
    while len(rows):
        step += 1
        rows = rows[rows + step < len(order)]
        after = rows + step
        near = (image[rows] == image[after]) & (boxes[after, 0] <= reach[rows])
        rows, after = rows[near], after[near]
        same = box_math.iou(boxes[rows], boxes[after]) > NEAR
        found_pairs.append(np.stack([order[rows[same]], order[after[same]]], axis=1))
    return np.sort(np.concatenate(found_pairs), axis=1).T


def twins(split):
    """{kind: {index of a box: index of one before it in the image}} of boxes drawn twice.

    "equal": the same box and class; "classes": the same box, another class; "near": nearly the same
    box of the same class.
    """
    a, b = pairs(split)
    same_box = (split.boxes[a] == split.boxes[b]).all(axis=1)
    same_class = split.labels[a] == split.labels[b]
    equal = dict(zip(b[same_box & same_class], a[same_box & same_class], strict=True))
    single = ~np.isin(a, list(equal)) & ~np.isin(b, list(equal))
    classes = single & same_box & ~same_class
    near = single & ~same_box & same_class
    return {
        "equal": equal,
        "classes": dict(zip(b[classes], a[classes], strict=True)),
        "near": dict(zip(b[near], a[near], strict=True)),
    }


TWINS = {  # what `twins` tells apart: (name, advice)
    "equal": (
        "boxes written twice",
        "The second copy counts its object twice in training; --fix keeps one.",
    ),
    "classes": (
        "boxes with two classes",
        "One of the two is wrong, unless an object may have several: look at them.",
    ),
    "near": (
        f"boxes of a class that nearly coincide (IoU above {NEAR})",
        "They are one object drawn twice, mostly: look at them.",
    ),
}


def doubled(splits):
    """Objects that have two boxes."""
    every = [(split, twins(split)) for split in splits]
    total = sum(int(split.counted.sum()) for split in splits)
    findings = []
    for kind, (name, advice) in TWINS.items():
        cases = [(s, *pair) for s, kinds in every for pair in sorted(kinds[kind].items())]
        findings += found(name, "warning", cases, total, "boxes", advice, _twin_place)
    return findings


def _twin_place(case):
    split, index, before = case
    record, own = split.box(before)
    names = [split.dataset.class_names[split.labels[i]] for i in (before, index)]
    other = f"as at {record.entries[own]}" if record.entries else "as one before it"
    place = box_place(split, index, f", {' and '.join(dict.fromkeys(names))}, {other}")
    return dataclasses.replace(place, boxes=split.boxes[[before, index]])
