"""Metrics as text for the terminal and as JSON for other programs."""

from __future__ import annotations

import json
import os
from typing import Any

from keras_retinanet.evaluation.voc import VocFigures, mean_average_precision
from keras_retinanet.utils.outputs import write_text
from keras_retinanet.utils.terminal import aligned, one_line

SUMMARY = ("AP", "AP50", "AP75", "AR100")

LINES = (
    ("AP", "AP50", "AP75"),
    ("APs", "APm", "APl"),
    ("AR1", "AR10", "AR100"),
    ("ARs", "ARm", "ARl"),
)
BY_FREQUENCY = ("APr", "APc", "APf")


def summary(metrics: dict[str, Any]) -> str:
    """Return the main figures of `evaluate_coco` in one line."""
    return "  ".join(f"{name} {_text(metrics[name])}" for name in SUMMARY)


def report(metrics: dict[str, Any], voc: VocFigures | None = None) -> str:
    """Return a table of all figures, then of the classes; "-" marks a figure that is not defined.

    Args:
        metrics: of `evaluate_coco`.
        voc: of `evaluate_voc`; adds each class's VOC AP and its number of boxes.
    """
    return "\n".join([*figure_lines(metrics), "", *aligned(_class_rows(metrics, voc))])


def figure_lines(metrics: dict[str, Any]) -> list[str]:
    """Return COCO's twelve figures, and those by frequency if there are, as lines of text."""
    lines = [*LINES, BY_FREQUENCY] if BY_FREQUENCY[0] in metrics else LINES
    return ["   ".join(f"{name:<5} {_text(metrics[name])}" for name in names) for names in lines]


def write_json(path: str | os.PathLike, obj: Any, indent: int | None = 2) -> None:
    """Write an object as JSON, completely or not at all.

    Raises:
        ValueError, TypeError: if the object holds NaN, or a value of a type unknown to JSON.
    """
    text = json.dumps(obj, indent=indent, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def _class_rows(metrics: dict[str, Any], voc: VocFigures | None) -> list[list[str]]:
    """Return the header, a row for each class, and a row for all of them."""
    rows = [["class", "AP", "AP50"]]
    for name, figures in [*metrics["per_class"].items(), ("all", metrics)]:
        figures = figures or {"AP": None, "AP50": None}
        rows.append([one_line(name, 40), _text(figures["AP"]), _text(figures["AP50"])])
    if voc is not None:
        counts = [count for _, count in voc.values()]
        mean = (mean_average_precision(voc), sum(counts))
        columns = [("VOC AP", "boxes")]
        columns += [(_text(ap if n else None), str(n)) for ap, n in [*voc.values(), mean]]
        rows = [[*row, *column] for row, column in zip(rows, columns, strict=True)]
    return rows


def _text(value: float | None) -> str:
    return "    -" if value is None else f"{value:.3f}"
