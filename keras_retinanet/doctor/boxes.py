"""Boxes that cannot be right: in themselves, in their image, or beside each other."""

from collections.abc import Sequence

import numpy as np

from .. import boxes as box_math
from ..preprocessing.box_faults import CUT, EMPTY, INVERTED, NOT_FINITE, OUTSIDE, TOLERANCE
from .findings import Finding, box_place, found
from .splits import Split

NEAR = 0.9  # IoU above which two boxes of a class in an image are taken for one object
TINY = 2  # px of the model's input
WHOLE = 0.95  # share of the image from which on a box counts as the whole of it
SHARES, FROM_ZERO, SMALL, LARGE = "shares", "from zero", "small", "large"
COUNTED_FROM_ZERO = "The coordinates seem to count from 0: read Pascal VOC with --zero-based. "

DEFECTS: dict[int | str, tuple[str, str, str]] = {  # state or other key: (name, severity, advice)
    NOT_FINITE: (
        "boxes that are no numbers",
        "error",
        "Repair the tool that wrote NaN or infinity; --fix leaves these boxes out.",
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
        "boxes outside their image",
        "error",
        "They belong to another image, or are in px of another size; --fix leaves them out.",
    ),
    CUT: (
        f"boxes that stick out of their image by more than {TOLERANCE} px",
        "warning",
        "Training clips them, and so does --fix; many of them mean px of another size.",
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
        "They are one object drawn twice, mostly: look at them.",
    ),
}


def check_boxes(splits: Sequence[Split]) -> list[Finding]:
    """Find boxes that are malformed, misplaced, tiny, huge, or drawn twice."""
    every = [(split, masks_of(split)) for split in splits]
    findings = []
    for kind, (name, severity, advice) in DEFECTS.items():
        # a 0 that is read as counted from 1 becomes -1, and nothing lies further out
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
    """Return {key of `DEFECTS`: which boxes it concerns, (N,) bool}."""
    states = {state: split.states == state for state in (NOT_FINITE, INVERTED, EMPTY, OUTSIDE, CUT)}
    sides = (split.seen[:, 2:] - split.seen[:, :2]).min(axis=1, initial=np.inf)  # (N,)
    share = box_math.area(split.boxes) / split.sizes.prod(axis=1)[split.image]  # (N,)
    return states | {
        SHARES: split.in_shares[split.image],
        FROM_ZERO: split.placed & (split.begin < 0),
        SMALL: split.placed & (sides < TINY),
        LARGE: split.placed & (share > WHOLE),
    }


def pairs(split: Split) -> np.ndarray:
    """Return (2, P) int: boxes a, and boxes b of the same image after them at IoU above `NEAR`.

    The boxes of an image are walked in the order of x1, each with its next, next but one and so on,
    for as long as these begin within 1 - `NEAR` of its width: those further on overlap too little.
    """
    chosen = np.flatnonzero(split.learnt)
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


def twins(split: Split) -> dict[str, dict[int, int]]:
    """Return {kind: {index of a box: index of one before it in the image}} of boxes drawn twice.

    "equal": the same box and class; "classes": the same box, another class; "near": nearly the same
    box of the same class.
    """
    a, b = pairs(split)
    same_box = (split.boxes[a] == split.boxes[b]).all(axis=1)
    same_class = split.labels[a] == split.labels[b]
    equal = same_box & same_class
    single = ~np.isin(a, b[equal]) & ~np.isin(b, b[equal])
    kinds = {
        "equal": equal,
        "classes": single & same_box & ~same_class,
        "near": single & ~same_box & same_class,
    }
    return {kind: dict(zip(b[mask], a[mask], strict=True)) for kind, mask in kinds.items()}
