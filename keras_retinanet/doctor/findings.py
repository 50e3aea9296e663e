"""Findings: a kind of defect, its count, its first places, and advice."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..preprocessing import dataset
from .splits import Split

SEVERITIES = ("error", "warning", "note")  # an error spoils the training
MOST_PLACES = 1000  # kept for each finding


@dataclasses.dataclass(frozen=True, eq=False)
class Place:
    """The place of a defect in words, and the image to show for it, if there is one."""

    text: str
    path: str | None = None
    boxes: np.ndarray | Sequence = ()  # (n, 4) px of the upright image: the boxes in question
    others: np.ndarray | Sequence = ()  # (m, 4): other boxes of the image


@dataclasses.dataclass(frozen=True, eq=False)
class Finding:
    """One kind of defect, `name: count of total unit`."""

    name: str
    severity: str  # one of `SEVERITIES`
    count: int
    total: int | None  # None if a share has no meaning
    unit: str
    places: list[Place]  # the first `MOST_PLACES`
    advice: str


def spoils(findings: Sequence[Finding]) -> bool:
    """Return True if a finding spoils the training."""
    return any(finding.severity == "error" for finding in findings)


def sentence(finding: Finding) -> str:
    """Return a finding as one line: name, count, first place and advice."""
    total = "" if finding.total is None else f" of {finding.total} {finding.unit}"
    count = f"{finding.name}: {finding.count}{total}"
    return f"{count}; the first: {finding.places[0].text}. {finding.advice}"


def found(
    name: str,
    severity: str,
    cases: Sequence,
    total: int | None,
    unit: str,
    advice: str,
    place: Callable[[Any], Place] | None = None,
    count: int | None = None,
) -> list[Finding]:
    """Return [the `Finding`], or [] without cases.

    Args:
        place: makes the `Place` of a case; None if the cases are places.
        count: the number to report, if a case covers several defects.
    """
    if not len(cases):
        return []
    places = [place(case) if place else case for case in cases[:MOST_PLACES]]
    return [Finding(name, severity, count or len(cases), total, unit, places, advice)]


def box_place(case: tuple[Split, int] | tuple[Split, int, int]) -> Place:
    """Return the `Place` of a box.

    Args:
        case: the split, the index of the box, and perhaps of an earlier box of the same object.
    """
    split, index, *before = case
    record, row = split.records[split.image[index]], split.row[index]
    more = ""
    if before:
        earlier, names = split.row[before[0]], split.dataset.class_names
        classes = dict.fromkeys(names[split.labels[i]] for i in (*before, index))
        other = f"same as {record.entries[earlier]}" if record.entries else "same as an earlier box"
        more = f", {' and '.join(classes)}, {other}"
    text = dataset.box_place(record, row, more)
    return Place(text, record.path, split.boxes[[*before, index]], record.boxes)
