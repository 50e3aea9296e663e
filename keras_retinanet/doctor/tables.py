"""Tables and sentences that the report on the terminal and the page share."""

import os
from collections.abc import Callable, Sequence

import numpy as np

from ..preprocessing.best_recall import SIZES
from ..utils.terminal import one_line
from .anchors import Suggestion
from .checks import Examination
from .classes import class_counts
from .findings import SEVERITIES, Finding, spoils
from .histograms import percent
from .splits import Split

MOST_OF_NAME = 30  # characters of a class name


def verdict(findings: Sequence[Finding]) -> tuple[str, str]:
    """Return the highest severity, or "good", and a sentence on all findings."""
    severities = [finding.severity for finding in findings]
    counts = {severity: severities.count(severity) for severity in SEVERITIES}
    named = [f"{n} {severity}{'s' * (n > 1)}" for severity, n in counts.items() if n]
    if not findings:
        return "good", "No problems found"
    end = "this would spoil the training" if spoils(findings) else "nothing spoils the training"
    return findings[0].severity, f"{', '.join(named)}: {end}"


def first_step(findings: Sequence[Finding]) -> str:
    """Return a sentence on what to do first."""
    if not findings or findings[0].severity == "note":
        return "Next: retinanet-train with the same data set."
    first, most = findings[0], len(findings) > 1
    if first.severity == "error":
        return f"Do this first: {first.name}. {first.advice}{' Then look at the rest.' * most}"
    return f"You can train, but look at this first: {first.name}. {first.advice}"


def split_rows(splits: Sequence[Split]) -> list[list[str]]:
    """Return a head, and a row for each split."""
    rows = [["split", "images", "boxes", "ignored", "without boxes", "size, px"]]
    for split in splits:
        bare = sum(not len(record.boxes) for record in split.records)
        counts = len(split.records), len(split.boxes), int((~split.counted).sum()), bare
        rows.append(
            [
                one_line(split.name, MOST_OF_NAME),
                *(f"{count:,}" for count in counts),
                _size_range(split.sizes),
            ]
        )
    return rows


def _size_range(sizes: np.ndarray) -> str:
    """Return the smallest and the largest width and height of sizes (n, 2) in words."""
    if not len(sizes):
        return "-"
    ends = ["{:.0f} x {:.0f}".format(*end(axis=0)) for end in (sizes.min, sizes.max)]
    return " to ".join(dict.fromkeys(ends))


def at_size(split: Split) -> str:
    """Return the size of the model's input in words, "" if it is the size of the images."""
    return "" if split.sides is None else ", at {} x {} px".format(*split.sides)


def class_rows(examination: Examination, most: int | None = None) -> list[list[str]]:
    """Return a head, and a row for each class and for all classes.

    A row has the number of boxes in each split, and the best possible recall in the first split. If
    there are more than `most` classes, only the worst have a row.
    """
    splits, seen = examination.splits, examination.coverage
    counts = [class_counts(split)["boxes"] for split in splits]
    rows = [["class", *(split.name for split in splits), "reached:", *SIZES, "all"]]
    labels = np.arange(len(seen.class_names))
    if most is not None and len(labels) > most:
        share = seen.reached[:-1, -1] / np.maximum(seen.counts[:-1, -1], 1)
        labels = np.sort(np.lexsort((counts[0], share))[:most])
        rows[0][0] = f"class (worst {most} of {len(seen.class_names)})"
    for label in [*labels, -1]:
        boxes = [count.sum() if label == -1 else count[label] for count in counts]
        shares = [
            percent(reached / count) if count else "-"
            for reached, count in zip(seen.reached[label], seen.counts[label], strict=True)
        ]
        name = "all" if label == -1 else one_line(seen.class_names[label], MOST_OF_NAME)
        rows.append([name, *(f"{count:,}" for count in boxes), "", *shares])
    return rows


def shortened(examination: Examination) -> tuple[str, Callable[[str], str]]:
    """Return the common folder of all images, and a function that removes it from a text."""
    paths = [
        os.path.dirname(path)
        for split in examination.splits
        for record in split.records
        for path in (record.path, record.origin)
        if path
    ]
    try:
        root = os.path.commonpath(paths)
    except ValueError:  # no paths, or absolute ones beside relative ones
        root = ""
    if len(root) < 2:
        return "", lambda text: text
    return root, lambda text: text.replace(root + os.sep, "")


def suggested(suggestion: Suggestion) -> tuple[str, list[str]]:
    """Return a sentence on the recall of fitted anchors, and the lines that describe them."""
    before, after = f"{suggestion.before:.1%}", f"{suggestion.after:.1%}"
    config = {"levels": suggestion.levels, **suggestion.params.rows()}
    lines = [
        f"{name:8}" + " ".join(f"{value:g}" for value in values) for name, values in config.items()
    ]
    return f"Anchors fitted to the data reach {after} of the objects instead of {before}:", lines
