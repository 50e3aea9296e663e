"""Plots of an evaluation, by matplotlib: SVG for a page, in its colours, and PNG files."""

from __future__ import annotations

import importlib.util
import io
import re
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from keras_retinanet.errors import InputError
from keras_retinanet.evaluation.explanation import Explanation
from keras_retinanet.evaluation.thresholds import Curve
from keras_retinanet.utils.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = ("precision_recall", "thresholds", "f1", "calibration")
INK, GRID = "#1b2430", "#e2e6ec"  # the page's --ink and --line, which replace them in SVG
COLOURS = ("#2563eb", "#e08a00", "#0f9d72", "#8b5cf6", "#d6336c", "#64748b")
MOST_CLASSES = 5  # of a plot, the worst ones
MOST_POINTS = 300  # of a curve
SIZE = (5.2, 3.6)  # inches
LEVELS = np.linspace(0, 1, 101)  # of recall


def check_installed() -> None:
    """Raise an InputError unless matplotlib is installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError("The report needs matplotlib: pip install 'keras-retinanet[report]'.")


def plots_of(explanation: Explanation) -> dict[str, tuple[str, Figure]]:
    """Return the plots by name, each with its description in words."""
    single = explanation.single
    return {
        NAMES[0]: (
            "Precision against recall at IoU 0.5, a line for each class",
            _figure(lambda axes: _precision_recall(axes, explanation)),
        ),
        NAMES[1]: (
            "Precision, recall and F1 against the score threshold, all classes; the dotted line is "
            f"the threshold {single.threshold:g}",
            _figure(lambda axes: _thresholds(axes, explanation)),
        ),
        NAMES[2]: (
            "F1 against the score threshold, a line for each class",
            _figure(lambda axes: _f1(axes, explanation)),
        ),
        NAMES[3]: (
            "Share of right detections against their score; a calibrated detector follows the "
            "dashed line",
            _figure(lambda axes: _calibration(axes, explanation)),
        ),
    }


def svg(figure: Figure, name: str, description: str) -> str:
    """Return a figure as an inline SVG element in the colours of the page.

    Args:
        name: makes the ids in the element differ from those of other figures.
        description: in words, for those who do not see the figure.
    """
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    content = text.getvalue()
    inner = content[content.index("<defs>") : content.rindex("</svg>")]
    view = re.search(r'viewBox="[^"]*"', content)[0]
    inner = re.sub(r' id="[a-z0-9.]+_\d+"', "", inner)  # the same in every figure
    inner = inner.replace(INK, "currentColor").replace(GRID, "var(--line)")
    head = f'<svg class="plot" {view} role="img" aria-label="{escape(description)}">'
    return f"{head}{inner}</svg>"


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG file."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=150, facecolor="white")
    return data.getvalue()


def _figure(draw: Callable[[Axes], None]) -> Figure:
    """Return a figure with one plot."""
    from matplotlib.figure import Figure

    figure = Figure(SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(color=GRID, linewidth=0.8)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GRID)
    draw(axes)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    if axes.lines:
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _shown(explanation: Explanation) -> list[int]:
    """Return the labels that get a line: those with objects, the lowest AP first, at most a few."""
    per_class = explanation.metrics["per_class"]
    names = explanation.matching.class_names
    scored = [label for label, name in enumerate(names) if per_class.get(name)]
    return sorted(scored, key=lambda label: per_class[names[label]]["AP"])[:MOST_CLASSES]


def _name(explanation: Explanation, label: int) -> str:
    """Return a class name as matplotlib takes it: "$" is no formula, and "_" hides no line."""
    name = printable(explanation.matching.class_names[label], 30).replace("$", r"\$")
    return f" {name}" if name.startswith("_") else name


def _points(curve: Curve) -> np.ndarray:
    """Return the indices of at most `MOST_POINTS` points of a curve, with the first and last."""
    count = len(curve.threshold)
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, MOST_POINTS)).astype(int))


def _precision_recall(axes: Axes, explanation: Explanation) -> None:
    axes.set(xlabel="recall", ylabel="precision")
    for number, label in enumerate(_shown(explanation)):
        curve = explanation.curves[label]
        envelope = np.maximum.accumulate(curve.precision[::-1])[::-1]
        reached = np.searchsorted(curve.recall, LEVELS)  # the end if a recall is never reached
        precision = np.append(envelope, 0)[reached]
        axes.plot(LEVELS, precision, color=COLOURS[number], label=_name(explanation, label))


def _thresholds(axes: Axes, explanation: Explanation) -> None:
    axes.set(xlabel="score threshold")
    curve = explanation.whole
    rows = _points(curve)
    for colour, name in zip(COLOURS, ("precision", "recall", "f1"), strict=False):
        values = getattr(curve, name)[rows]
        axes.plot(curve.threshold[rows], values, color=colour, label=name.replace("f1", "F1"))
    axes.axvline(explanation.single.threshold, color=INK, linestyle=":", linewidth=1)


def _f1(axes: Axes, explanation: Explanation) -> None:
    axes.set(xlabel="score threshold", ylabel="F1")
    for number, label in enumerate(_shown(explanation)):
        curve, chosen = explanation.curves[label], explanation.chosen[label]
        rows, colour = _points(curve), COLOURS[number]
        axes.plot(
            curve.threshold[rows], curve.f1[rows], color=colour, label=_name(explanation, label)
        )
        axes.plot([chosen.threshold], [chosen.f1], "o", color=colour, markersize=4)


def _calibration(axes: Axes, explanation: Explanation) -> None:
    axes.set(xlabel="score", ylabel="share that is right")
    bins = explanation.calibration
    used = bins.count > 0
    axes.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1, label="calibrated")
    points = bins.score[used], bins.precision[used]
    axes.plot(*points, "o-", color=COLOURS[0], markersize=4, label="detector")
    axes.bar(
        (np.arange(len(bins.count)) + 0.5) / len(bins.count),
        0.25 * bins.count / max(bins.count.max(), 1),
        width=0.9 / len(bins.count),
        color=COLOURS[0],
        alpha=0.2,
        label="number of detections",
    )
