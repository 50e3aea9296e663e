"""Metrics as text for the terminal and as JSON for other programs."""

import json

from keras_retinanet.evaluation.voc import mean_average_precision
from keras_retinanet.utils.outputs import write_text

SUMMARY = ("AP", "AP50", "AP75", "AR100")

LINES = (
    ("AP", "AP50", "AP75"),
    ("APs", "APm", "APl"),
    ("AR1", "AR10", "AR100"),
    ("ARs", "ARm", "ARl"),
)


def summary(metrics):
    """The figures of `evaluate_coco` that matter most, in one line."""
    return "  ".join(f"{name} {_text(metrics[name])}" for name in SUMMARY)


def report(metrics, voc=None):
    """A table of all figures, then of the classes; "-" stands where a figure is not defined.

    Args:
        metrics: what `evaluate_coco` returns.
        voc: what `evaluate_voc` returns for the same data set; adds each class's VOC AP and its
            number of boxes.
    """
    lines = ["   ".join(f"{name:<5} {_text(metrics[name])}" for name in names) for names in LINES]
    return "\n".join([*lines, "", *_align(_class_rows(metrics, voc))])


def write_json(path, obj, indent=2):
    """Write an object as JSON, whole or not at all: a reader never meets half a file.

    Raises:
        ValueError, TypeError: the object holds NaN, or something that JSON has no form for.
    """
    text = json.dumps(obj, indent=indent, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def _class_rows(metrics, voc):
    """Header, one row per class, and a last row for all of them, as lists of text."""
    rows = [["class", "AP", "AP50"]]
    for name, figures in [*metrics["per_class"].items(), ("all", metrics)]:
        figures = figures or {"AP": None, "AP50": None}
        rows.append([name, _text(figures["AP"]), _text(figures["AP50"])])
    if voc is not None:
        counts = [count for _, count in voc.values()]
        mean = (mean_average_precision(voc), sum(counts))
        columns = [("VOC AP", "boxes")]
        columns += [(_text(ap if n else None), str(n)) for ap, n in [*voc.values(), mean]]
        rows = [[*row, *column] for row, column in zip(rows, columns, strict=True)]
    return rows


def _align(rows):
    """Rows of text as lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]


def _text(value):
    return "    -" if value is None else f"{value:.3f}"
