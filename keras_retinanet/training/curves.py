"""The course of a training as an image: losses, learning rate and AP by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..evaluation.plots import COLOURS, GRID, INK, png
from ..utils.outputs import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (13, 3.6)  # inches
AP = ("AP", "AP50", "AP75")
RATE = "learning_rate"


def write_curves(path: str, rows: Sequence[Mapping[str, float]]) -> None:
    """Write the curves of the figures of all epochs as a PNG file.

    Args:
        rows: of `progress["figures"]`.

    Raises:
        InputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    names = dict.fromkeys(name for row in rows for name in row)
    losses = sorted((name for name in names if name.endswith("loss")), key="loss".__ne__)
    parts = {
        "loss": losses,
        "learning rate": [RATE],
        "AP": [name for name in AP if name in names],
    }
    shown = {title: part for title, part in parts.items() if part}
    figure = Figure(SIZE, layout="constrained")
    plots = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, (title, part) in zip(plots, shown.items(), strict=True):
        draw(axes, title, part, rows)
    write_bytes(path, png(figure))


def draw(axes: Axes, title: str, names: Sequence[str], rows: Sequence[Mapping[str, float]]) -> None:
    """Draw the figures of some names, a line for each, over the epochs that have them."""
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title, color=INK, fontsize=11)
    axes.set_xlabel("epoch", color=INK)
    for name, colour in zip(names, COLOURS * len(names), strict=False):
        points = [(row["epoch"], row[name]) for row in rows if name in row]
        label = name.removesuffix("_loss") if name != "val_loss" else "val"
        axes.plot(*zip(*points, strict=True), ".-", color=colour, label=label)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color=GRID, linewidth=0.8)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GRID)
    if len(names) > 1:
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
