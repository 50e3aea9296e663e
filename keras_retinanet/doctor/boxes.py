"""Boxes that cannot be right: in themselves, in their image, or beside each other."""

from collections.abc import Sequence

import numpy as np

from .. import boxes as box_math
from ..preprocessing.box_faults import CUT, EMPTY, INVERTED, NOT_FINITE, OUTSIDE, TOLERANCE
from .findings import Finding, box_place, found
from .splits import Split

NEAR = 0.9  # IoU above which two boxes of a class in an image count as one object
TINY = 2  # px of the model's input
WHOLE = 0.95  # share of the image above which a box counts as the whole image
SHARES, FROM_ZERO, SMALL, LARGE = "shares", "from zero", "small", "large"
COUNTED_FROM_ZERO = "The coordinates seem to count from 0: read Pascal VOC with --zero-based. "

DEFECTS: dict[int | str, tuple[str, str, str]] = {  # state or other key: (name, severity, advice)
    NOT_FINITE: (
        "boxes with NaN or infinite coordinates",
        "error",
        "Repair the tool that wrote them; --fix leaves these boxes out.",
    ),
    INVERTED: (
        "inverted boxes",
        "error",
        "The corners are swapped, or x2 and y2 hold the width and height: look at some boxes; "
        "--fix swaps the corners.",
    ),
    EMPTY: (
        "boxes without width or height",
        "error",
        "Most are accidental clicks; --fix leaves them out.",
    ),
    OUTSIDE: (
        "boxes outside their image",
        "error",
        "They belong to another image, or are in px of another size; --fix leaves them out.",
    ),
    CUT: (
        f"boxes that stick out of their image by more than {TOLERANCE} px",
        "warning",
        "Training clips them, and so does --fix; if there are many, check the unit of the boxes.",
    ),
    SHARES: (
        "boxes that look like shares of the image, not px",
        "error",
        "Multiply x by the width and y by the height of the image; the readers of YOLO and Open "
        "Images do so already. --fix lists these images and leaves them as they are.",
    ),
    FROM_ZERO: (
        "boxes that begin 1 px before their image",
        "note",
        f"{COUNTED_FROM_ZERO}--fix clips these boxes.",
    ),
    SMALL: (
        f"boxes under {TINY} px at the size that the model sees",
        "warning",
        "Train with larger images (--image-min-side, --image-max-side), or leave such boxes out.",
    ),
    LARGE: (
        "boxes around nearly the whole image",
        "note",
        "Fine for close-ups; labels of whole images teach a detector little.",
    ),
}
TWINS = {  # kind of `twins`: (name, advice)
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
        "Most are one object drawn twice: look at them.",
    ),
}


def check_boxes(splits: Sequence[Split]) -> list[Finding]:
    """Find boxes that are malformed, misplaced, tiny, huge, or drawn twice."""
    every = [(split, masks_of(split)) for split in splits]
    findings = []
    for kind, (name, severity, advice) in DEFECTS.items():
        # a coordinate of 0 becomes -1 if the reader counts from 1; no box may begin further out
        from_zero = not any((masks[kind] & (split.begin != -1)).any() for split, masks in every)
        if kind == FROM_ZERO and not from_zero:
            continue
        if kind == OUTSIDE and from_zero:
            advice = f"{COUNTED_FROM_ZERO}--fix leaves these boxes out."
        cases = [(split, i) for split, masks in every for i in np.flatnonzero(masks[kind])]
        total = sum(len(split.boxes) for split in splits)
        findings += found(name, severity, cases, total, "boxes", advice, box_place)
    pairs_of = [(split, twins(split)) for split in splits]
    counted = sum(int(split.counted.sum()) for split in splits)
    for kind, (name, advice) in TWINS.items():
        twice = [(s, *pair) for s, kinds in pairs_of for pair in sorted(kinds[kind].items())]
        findings += found(name, "warning", twice, counted, "boxes", advice, box_place)
    return findings


def masks_of(split: Split) -> dict[int | str, np.ndarray]:
    """Return {key of `DEFECTS`: the boxes with this defect, (N,) bool}."""
    states = {state: split.states == state for state in (NOT_FINITE, INVERTED, EMPTY, OUTSIDE, CUT)}
    sides = (split.seen[:, 2:] - split.seen[:, :2]).min(axis=1, initial=np.inf)  # (N,)
    share = box_math.area(split.boxes) / split.sizes.prod(axis=1)[split.image]  # (N,)
    return states | {
        SHARES: split.in_shares[split.image],
        FROM_ZERO: split.placed & (split.begin < 0),
        SMALL: split.placed & (sides < TINY),
        LARGE: split.placed & (share > WHOLE),
    }


def twins(split: Split) -> dict[str, dict[int, int]]:
    """Return {kind: {index of a box: index of an earlier box of the image}} of boxes drawn twice.

    "equal": the same box and class; "classes": the same box, another class; "near": nearly the same
    box, the same class. An "equal" box is not listed under the other kinds.
    """
    chosen = np.flatnonzero(split.learnt)
    columns = [*split.boxes[chosen].T, split.image[chosen]]
    same_box = chosen[_first(columns)]
    equal = chosen[_first([*columns, split.labels[chosen]])]
    single = chosen[equal == chosen]
    found: dict[str, dict[int, int]] = {
        "equal": dict(zip(chosen.tolist(), equal.tolist(), strict=True)),
        "classes": dict(zip(single.tolist(), same_box[equal == chosen].tolist(), strict=True)),
    }
    found = {kind: {b: a for b, a in each.items() if a != b} for kind, each in found.items()}
    return {**found, "near": _near(split, single)}


def _first(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Return the index of the first row with the same values, for each of n rows: (n,) int."""
    order = np.lexsort(columns)  # stable, so that the first of equal rows comes first
    begins = np.ones(len(order), bool)
    begins[1:] = np.any([column[order][1:] != column[order][:-1] for column in columns], axis=0)
    first = np.empty(len(order), int)
    first[order] = order[begins][np.cumsum(begins) - 1]
    return first


def _near(split: Split, chosen: np.ndarray) -> dict[int, int]:
    """Return {index: an earlier index} of boxes of a class and image at IoU above `NEAR`.

    The boxes are sorted by x1. Each is compared with the following boxes that begin within (1 -
    `NEAR`) of its width, because boxes that begin later overlap it too little.
    """
    keys = split.boxes[chosen, 0], split.labels[chosen], split.image[chosen]
    order = chosen[np.lexsort(keys)]
    boxes, image, labels = split.boxes[order], split.image[order], split.labels[order]
    limit = boxes[:, 0] + (1 - NEAR) * (boxes[:, 2] - boxes[:, 0])  # (n,)
    rows, step = np.arange(len(order)), 0
    found: dict[int, int] = {}
    done = np.zeros(len(split.boxes), bool)
    while len(rows):
        step += 1
        rows = rows[rows + step < len(order)]
        after = rows + step
        beside = (boxes[after, 0] <= limit[rows]) & (labels[rows] == labels[after])
        beside &= image[rows] == image[after]
        rows, after = rows[beside], after[beside]
        open_ = ~done[np.maximum(order[rows], order[after])]  # one twin of a box is enough
        a, b = rows[open_], after[open_]
        same = box_math.iou(boxes[a], boxes[b]) > NEAR
        pairs = np.sort(np.stack([order[a[same]], order[b[same]]]), axis=0)  # (2, P)
        done[pairs[1]] = True
        found.update(zip(pairs[1].tolist(), pairs[0].tolist(), strict=True))
    return found
