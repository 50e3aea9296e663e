"""Histograms of the boxes: their size, ratio and number, as shares that add up to 1, and as SVG."""

import dataclasses
import html
import itertools
from collections.abc import Sequence

import numpy as np

from .splits import Split

SIDES = (0, 8, 16, 32, 64, 128, 256, 512, np.inf)  # px of the model's input
RATIOS = (0, 1 / 5, 1 / 3, 1 / 2, 2 / 3, 3 / 2, 2, 3, 5, np.inf)
COUNTS = (0, 1, 2, 3, 5, 9, 17, 33, 65, np.inf)
RATIO_NAMES = (
    "over 5:1", "5:1 to 3:1", "3:1 to 2:1", "2:1 to 3:2", "3:2 to 2:3", "2:3 to 1:2", "1:2 to 1:3",
    "1:3 to 1:5", "under 1:5",
)  # fmt: skip
COLOURS = ("#2563eb", "#e08a00", "#0f9d72", "#8b5cf6", "#d6336c", "#64748b")  # one for each split
LABEL, BAR, VALUE, THICK, GAP = 76, 150, 40, 8, 8  # px


@dataclasses.dataclass(frozen=True, eq=False)
class Histogram:
    """The shares of the bins for each split."""

    title: str
    bins: list[str]
    shares: dict[str, np.ndarray]  # split: (bins,), all 0 if it has nothing to count


def histograms(splits: Sequence[Split]) -> list[Histogram]:
    """Return histograms of the side, the ratio and the number per image of learnt objects."""
    sides, ratios, counts = {}, {}, {}
    for split in splits:
        wide, high = (split.seen[split.placed, 2:] - split.seen[split.placed, :2]).T
        sides[split.name] = _shares(np.sqrt(wide * high), SIDES)
        ratios[split.name] = _shares(high / wide, RATIOS)
        number = np.bincount(split.image[split.placed], minlength=len(split.records))
        counts[split.name] = _shares(number, COUNTS)
    return [
        Histogram("side of an object, px", _names(SIDES), sides),
        Histogram("width : height", list(RATIO_NAMES), ratios),
        Histogram("objects in an image", _names(COUNTS, last=1), counts),
    ]


def _shares(values: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    """Return the share of values in each bin from one edge up to the next: (bins,)."""
    bins = np.searchsorted(edges, values, side="right") - 1
    return np.bincount(bins, minlength=len(edges) - 1) / max(len(values), 1)


def _names(edges: Sequence[float], last: int = 0) -> list[str]:
    """Return the names of bins, "8-16", or of whole numbers (`last` = 1), "3-4"."""
    names = []
    for low, high in itertools.pairwise(edges):
        top = high - last
        names.append(f"{low}+" if np.isinf(top) else f"{low}" if top == low else f"{low}-{top}")
    return names


def bars(histogram: Histogram) -> str:
    """Draw horizontal bars as inline SVG, one colour for each split."""
    splits = list(histogram.shares)
    row = THICK * len(splits) + GAP
    most = max(float(shares.max(initial=0)) for shares in histogram.shares.values()) or 1
    parts = []
    for i, name in enumerate(histogram.bins):
        top = i * row
        middle = top + THICK * len(splits) / 2 + 4
        shares = [float(histogram.shares[split][i]) for split in splits]
        parts.append(f'<text x="{LABEL - 6}" y="{middle}" class="bin">{html.escape(name)}</text>')
        for j, (split, share) in enumerate(zip(splits, shares, strict=True)):
            parts.append(
                f'<rect x="{LABEL}" y="{top + j * THICK}" width="{BAR * share / most:.1f}" '
                f'height="{THICK - 1}" fill="{colour(j)}"><title>{html.escape(split)}: {share:.1%}'
                "</title></rect>"
            )
        if max(shares):
            x = LABEL + BAR * max(shares) / most + 4
            parts.append(f'<text x="{x:.1f}" y="{middle}">{percent(shares[0])}</text>')
    size = f'width="{LABEL + BAR + VALUE}" height="{row * len(histogram.bins)}"'
    head = f'<svg {size} role="img" aria-label="{html.escape(histogram.title)}">'
    return "".join([head, *parts, "</svg>"])


def colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def percent(share: float) -> str:
    """Return a share as text: "12%", and "<1%" if rounding would hide it."""
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"
