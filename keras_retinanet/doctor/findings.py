"""What the doctor finds: a kind of defect, how often, where first, and what to do."""

import dataclasses

import numpy as np

from keras_retinanet.preprocessing.dataset import place_of

SEVERITIES = ("error", "warning", "note")  # an error spoils the training
MOST_PLACES = 1000  # of a finding that are kept


@dataclasses.dataclass(frozen=True, eq=False)
class Place:
    """Where a defect is, in words, and the picture to show for it, if there is one."""

    text: str
    path: str | None = None
    boxes: np.ndarray = ()  # (n, 4) px of the upright picture: those in question
    others: np.ndarray = ()  # (m, 4): to be seen beside them


@dataclasses.dataclass(frozen=True, eq=False)
class Finding:
    """One kind of defect, `name: count of total unit`."""

    name: str
    severity: str  # one of `SEVERITIES`
    count: int
    total: int | None  # None where a share says nothing
    unit: str
    places: list[Place]  # the first `MOST_PLACES`
    advice: str


def spoils(findings):
    """Whether something was found that spoils the training."""
    return any(finding.severity == "error" for finding in findings)


def in_order(findings):
    """The findings, the most severe first."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def sentence(finding):
    """A finding in a line: what, how many, the first place and advice."""
    total = "" if finding.total is None else f" of {finding.total} {finding.unit}"
    return (
        f"{finding.name}: {finding.count}{total}; the first: {finding.places[0].text}. "
        f"{finding.advice}"
    )


def found(name, severity, cases, total, unit, advice, place=None, count=None):
    """[the `Finding`], or [] where there are no cases.

    Args:
        place: makes the `Place` of a case; by default the cases are places.
        count: where it is not that of the cases.
    """
    if not len(cases):
        return []
    places = [place(case) if place else case for case in cases[:MOST_PLACES]]
    return [Finding(name, severity, count or len(cases), total, unit, places, advice)]


def found_boxes(name, severity, splits, masks, advice):
    """`found` of the boxes that a mask (N,) for each split chooses."""
    cases = [
        (split, index)
        for split, mask in zip(splits, masks, strict=True)
        for index in np.flatnonzero(mask)
    ]
    total = sum(len(mask) for mask in masks)
    return found(name, severity, cases, total, "boxes", advice, lambda case: box_place(*case))


def box_text(box):
    return ", ".join(f"{value:.6g}" for value in box)


def box_place(split, index, more=""):
    """The `Place` of box `index` of the N of a split."""
    record, own = split.box(index)
    width, height = record.size
    box = box_text(record.boxes[own])
    text = f"{place_of(record, own)} (box {box} in {width} x {height} px{more})"
    others = np.delete(record.boxes, own, axis=0)
    return Place(text, record.path, record.boxes[[own]], others)
