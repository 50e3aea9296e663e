"""Measure how well anchors fit boxes, and fit anchors to boxes.

Boxes (M, 4) are xyxy px as the model sees them, in images of `image_sizes` (M, 2) px, width and
height. Only anchors centred in the image count, as in training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..assigners.near import best_overlaps, nearest, places_within
from ..boxes import area, iou
from .anchors import PYRAMID_LEVELS, AnchorParameters, generate_anchors, grid

BLOCK = 10_000  # boxes compared at a time, to bound the memory
MOST = 10_000  # largest number of boxes that anchors are fitted to
RARE = 20  # boxes above which a class counts as much as any other
SOFTNESS = 0.05  # width of the smooth step at IoU 0.5
CLIMBS = 3  # number of best starts to climb from
SIDES = (1, 8)  # smallest and largest square anchor, in strides
STEPS = (0.4, 0.2, 0.1, 0.05, 0.025)  # in the logarithms of sides and ratios
FEWEST = 3  # levels
Sample = tuple[np.ndarray, np.ndarray, np.ndarray]  # boxes, image sizes, weights
Fitted = tuple[float, AnchorParameters, list[int]]  # share reached, anchors, pyramid levels

COARSER = 0.001  # least share of boxes that another level at the top must add
FINER = 0.02  # least share that P2 must add: it has three times as many places as all other levels


def reach(
    boxes: np.ndarray,
    image_sizes: np.ndarray,
    anchor_params: AnchorParameters | None = None,
    pyramid_levels: Sequence[int] | None = None,
) -> np.ndarray:
    """Return the highest IoU of each box with an anchor: (M,) float32."""
    params = anchor_params or AnchorParameters.default
    # places and strides follow from each image
    anchors = grid((0, 0), pyramid_levels, replace(params, fitted_strides=False))
    best = np.zeros(len(boxes), "float32")
    for start in range(0, len(boxes), BLOCK):
        rows = slice(start, start + BLOCK)
        places = places_within(image_sizes[rows], anchors.strides, anchors.offset)  # (m, L, 2)
        best[rows] = best_overlaps(boxes[rows], anchors, places).max(axis=(1, 2))
    return best


def fit_anchors(
    boxes: np.ndarray,
    image_sizes: np.ndarray,
    labels: np.ndarray | None = None,
    levels: Sequence[int] | None = None,
    num_ratios: int = 3,
    num_scales: int = 3,
    finest: int = 3,
) -> tuple[AnchorParameters, list[int]]:
    """Return (AnchorParameters, pyramid levels) that reach the most boxes at IoU 0.5.

    The sizes are the same number of strides on every level. If nothing beats the default, the
    object `AnchorParameters.default` is returned.

    Args:
        boxes: without those that training ignores.
        labels: (M,); every class then counts alike, except rare ones.
        levels: None takes P3 to P7 without top levels that add nothing.
        finest: 2 also tries P2, and takes it if it reaches many more boxes.
    """
    rows = np.flatnonzero(area(boxes) > 0)
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST, replace=False))
    labels = np.zeros(len(boxes), int) if labels is None else labels
    sample = boxes[rows], image_sizes[rows], _weights(labels[rows])
    counts = num_ratios, num_scales
    usual = list(levels or PYRAMID_LEVELS)
    standard = _anchors(*_standard(*counts), usual), usual
    if not len(rows):
        return standard
    if levels:
        best = _fit(sample, usual, counts)
    else:
        best = _fit_few(sample, usual, counts)
        finer = _fit_few(sample, [2, *usual], counts) if finest == 2 else best
        best = finer if finer[0] > best[0] + FINER else best
    share, anchors, kept = best
    better = share > _share(sample, usual)(*_standard(*counts))
    return (anchors, kept) if better else standard


def _weights(labels: np.ndarray) -> np.ndarray:
    """Return the weight of each box: (M,), with a sum of 1."""
    _, kinds, counts = np.unique(labels, return_inverse=True, return_counts=True)
    weights = 1 / np.maximum(counts, RARE)[kinds]
    return weights / weights.sum()


def _share(sample: Sample, levels: Sequence[int]) -> Callable[[np.ndarray, np.ndarray], float]:
    """Return a function from sides (S,) in strides and ratios (R,) to the share reached."""
    boxes, image_sizes, weights = sample
    strides = 2 ** np.tile(np.array(levels)[:, None], 2)  # (L, 2)
    places = places_within(image_sizes, strides)  # (M, L, 2)
    seen = boxes[:, None] - np.tile(nearest(boxes, strides, places), 2)  # (M, L, 4)
    seen[(places == 0).any(axis=-1)] = 0  # a box without area: there is no anchor
    seen = np.ascontiguousarray(np.moveaxis(seen, 1, 0), "float32")  # (L, M, 4)

    def share(sides: np.ndarray, ratios: np.ndarray) -> float:
        best = 0
        for rows, (stride, _) in zip(seen, strides, strict=True):
            anchors = generate_anchors(stride, ratios, sides)  # (A, 4)
            best = np.maximum(best, iou(anchors[:, None], rows).max(axis=0))  # (M,)
        return float(weights @ (1 / (1 + np.exp((0.5 - best) / SOFTNESS))))

    return share


def _standard(num_ratios: int, num_scales: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sides (S,) and ratios (R,) that are spaced as the default ones are."""
    ratios = np.geomspace(0.5, 2, num_ratios) if num_ratios > 1 else np.ones(1)
    return 4 * 2 ** (np.arange(num_scales) / num_scales), ratios


def _fit_few(sample: Sample, levels: list[int], counts: tuple[int, int]) -> Fitted:
    """Return `_fit` of the fewest levels, from the first on, that are as good as all."""
    best = kept = _fit(sample, levels, counts)
    while len(kept[2]) > FEWEST:
        fewer = _fit(sample, kept[2][:-1], counts)
        if fewer[0] < best[0] - COARSER:
            break
        kept = fewer
    return kept


def _fit(sample: Sample, levels: list[int], counts: tuple[int, int]) -> Fitted:
    """Return the best anchors that are found from a few starts, rounded."""
    num_ratios, num_scales = counts
    share = _share(sample, levels)

    def value(logs: np.ndarray) -> float:
        return share(*np.split(np.exp(logs), [num_scales]))

    low, high = np.log([SIDES] * num_scales + [(1e-3, 1e3)] * num_ratios).T
    starts = sorted(_starts(sample[0], counts), key=value)[-CLIMBS:]
    best = max((_climb(value, start, low, high) for start in starts), key=value)
    sides, ratios = (np.sort(part) for part in np.split(np.exp(best), [num_scales]))
    finest = 2 ** levels[0]
    size = max(1, round(sides[0] * finest)) / finest  # whole px on the first level
    sides = size * np.array([1, *(_short(side / size) for side in sides[1:])])
    ratios = np.array([_short(ratio) for ratio in ratios])
    return share(sides, ratios), _anchors(sides, ratios, levels), levels


def _starts(boxes: np.ndarray, counts: tuple[int, int]) -> list[np.ndarray]:
    """Return logarithms of sides and ratios: small to default sizes, default and box ratios."""
    sides, ratios = _standard(*counts)
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    own = np.quantile(height / width, (np.arange(len(ratios)) + 0.5) / len(ratios))
    return [
        np.log(np.concatenate([factor * sides, shapes]))
        for factor in (0.4, 0.5, 0.75, 1)
        for shapes in (ratios, own)
    ]


def _climb(
    value: Callable[[np.ndarray], float], start: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Return the point from which no step of one coordinate, up or down, increases `value`."""
    point, highest = start, value(start)
    for step in STEPS:
        moves = [sign * row for row in step * np.eye(len(point)) for sign in (1, -1)]
        moved = True
        while moved:
            moved = False
            for move in moves:
                tried = np.clip(point + move, low, high)
                found = value(tried)
                if found > highest:
                    point, highest, moved = tried, found, True
    return point


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def _anchors(sides: np.ndarray, ratios: np.ndarray, levels: Sequence[int]) -> AnchorParameters:
    strides = [2**level for level in levels]
    default = AnchorParameters.default
    fitted = AnchorParameters(sides[0] * np.array(strides), strides, ratios, sides / sides[0])
    return default if fitted.get_config() == default.get_config() else fitted
