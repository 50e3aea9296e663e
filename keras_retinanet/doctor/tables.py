"""What the report on the terminal and the page have in common: rows of text, and sentences."""

import os

import numpy as np

from keras_retinanet.doctor.charts import percent
from keras_retinanet.doctor.classes import class_counts
from keras_retinanet.doctor.findings import SEVERITIES, spoils
from keras_retinanet.preprocessing.coverage import SIZES


def verdict(findings):
    """(severity, or "good"; a sentence) on all findings."""
    counts = [sum(finding.severity == severity for finding in findings) for severity in SEVERITIES]
    named = [
        f"{count} {severity}{'s' * (count > 1)}"
        for severity, count in zip(SEVERITIES, counts, strict=True)
        if count
    ]
    if not findings:
        return "good", "Nothing found that is wrong"
    end = "this would spoil the training" if spoils(findings) else "nothing spoils the training"
    return findings[0].severity, f"{', '.join(named)}: {end}"


def set_rows(splits):
    """A row for each set of images, after a head."""
    rows = [["set", "images", "boxes", "ignored", "without boxes", "pictures, px"]]
    for split in splits:
        bare = sum(not len(record.boxes) for record in split.records)
        counts = len(split.records), len(split.boxes), int((~split.counted).sum()), bare
        rows.append([split.name, *(f"{count:,}" for count in counts), _size_range(split.sizes)])
    return rows


def _size_range(sizes):
    """The smallest and the largest width and height (n, 2) of pictures."""
    if not len(sizes):
        return "-"
    ends = ["{:.0f} x {:.0f}".format(*end(axis=0)) for end in (sizes.min, sizes.max)]
    return " to ".join(dict.fromkeys(ends))


def at_size(split):
    """The size of the model's input in words, "" where it is that of the pictures."""
    return "" if split.sides is None else ", at {} x {} px".format(*split.sides)


def class_rows(examination, most=None):
    """A row for each class and one for all, after a head: boxes in each set, and the shares that
    the anchors reach in the first. Beyond `most` classes, only those that fare worst.
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
        name = "all" if label == -1 else seen.class_names[label]
        rows.append([name, *(f"{count:,}" for count in boxes), "", *shares])
    return rows


def shortened(examination):
    """(the folder that all pictures lie below, a function that takes it out of a text)."""
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


def suggested(suggestion):
    """What fitted anchors are worth, in a sentence, and the lines that describe them."""
    before, after = f"{suggestion.before:.1%}", f"{suggestion.after:.1%}"
    config = {"levels": suggestion.levels, **suggestion.params.rows()}
    lines = [
        f"{name:8}" + " ".join(f"{value:g}" for value in values) for name, values in config.items()
    ]
    return f"Fitted to the data, anchors reach {after} of the objects instead of {before}:", lines
