"""How large, how long and how many the boxes are, as shares that add up to 1."""

import dataclasses
import itertools

import numpy as np

from keras_retinanet.doctor.boxes import placed

SIDES = (0, 8, 16, 32, 64, 128, 256, 512, np.inf)  # px of the model's input
RATIOS = (0, 1 / 5, 1 / 3, 1 / 2, 2 / 3, 3 / 2, 2, 3, 5, np.inf)
COUNTS = (0, 1, 2, 3, 5, 9, 17, 33, 65, np.inf)
RATIO_NAMES = (
    "over 5:1", "5:1 to 3:1", "3:1 to 2:1", "2:1 to 3:2", "3:2 to 2:3", "2:3 to 1:2", "1:2 to 1:3",
    "1:3 to 1:5", "under 1:5",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class Histogram:
    """The shares of the bins for each set of images."""

    title: str
    bins: list[str]
    shares: dict[str, np.ndarray]  # set: (bins,), all 0 where it has nothing to count


def histograms(splits):
    """Side of the objects, ratio and number in an image, of the boxes that are learnt."""
    sides, ratios, counts = {}, {}, {}
    for split in splits:
        known = placed(split)
        wide, high = (split.seen[known, 2:] - split.seen[known, :2]).T
        sides[split.name] = _shares(np.sqrt(wide * high), SIDES)
        ratios[split.name] = _shares(high / wide, RATIOS)
        number = np.bincount(split.image[known], minlength=len(split.records))
        counts[split.name] = _shares(number, COUNTS)
    return [
        Histogram("side of an object, px", _names(SIDES), sides),
        Histogram("width : height", list(RATIO_NAMES), ratios),
        Histogram("objects in an image", _names(COUNTS, last=1), counts),
    ]


def _shares(values, edges):
    """The share of values in each bin from one edge up to the next: (bins,)."""
    bins = np.searchsorted(edges, values, side="right") - 1
    return np.bincount(bins, minlength=len(edges) - 1) / max(len(values), 1)


def _names(edges, last=0):
    """The names of bins, "8-16", or of whole numbers (`last` = 1), "3-4"."""
    names = []
    for low, high in itertools.pairwise(edges):
        top = high - last
        names.append(f"{low}+" if np.isinf(top) else f"{low}" if top == low else f"{low}-{top}")
    return names
