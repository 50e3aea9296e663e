"""Figures of groups of objects: by size, aspect ratio, crowding, and place in the image."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_retinanet import boxes as box_math
from keras_retinanet.evaluation.matching import Matching
from keras_retinanet.preprocessing.dataset import Dataset

AREAS = (0, 32**2, 96**2, np.inf)  # px², as in COCO
AREA_NAMES = ("small, up to 32² px", "medium", "large, over 96² px")
RATIOS = (0, 1 / 3, 2 / 3, 3 / 2, 3, np.inf)  # width : height
RATIO_NAMES = ("under 1:3", "1:3 to 2:3", "2:3 to 3:2", "3:2 to 3:1", "over 3:1")
COUNTS = (0, 2, 5, 10, 20, np.inf)  # objects in an image
COUNT_NAMES = ("alone", "2 to 4", "5 to 9", "10 to 19", "20 or more")
EDGE = 1.0  # px from the edge of the image
EDGE_NAMES = ("inside the image", "at its edge")


@dataclasses.dataclass(frozen=True)
class Group:
    """The figures of a group of boxes at the score thresholds.

    Attributes:
        objects: number of objects.
        recall: the share of the objects that is found; None without objects.
        precision: the share of the group's detections that is right; None without detections.
        iou: the mean IoU of found objects and their detections; None without found objects.
    """

    name: str
    objects: int
    recall: float | None
    precision: float | None
    iou: float | None


def groups_of(dataset: Dataset, matching: Matching, least: np.ndarray) -> dict[str, list[Group]]:
    """Return the figures by size, aspect ratio, crowding and place; ignored boxes do not count.

    Args:
        least: (K,) the least score of each label.
    """
    boxes, seen = matching.objects, matching.found
    objects = np.bincount(boxes.image[~boxes.ignored], minlength=matching.num_images)
    unknown = np.nan, np.nan
    sizes = [record.size or unknown for record in dataset.records]
    both = (boxes, seen)
    return {
        title: [
            _group(matching, name, least, of_objects == i, of_found == i)
            for i, name in enumerate(names)
        ]
        for title, names, (of_objects, of_found) in (
            ("size", AREA_NAMES, (_bins(boxes.area, AREAS), _bins(box_math.area(seen.box), AREAS))),
            ("width : height", RATIO_NAMES, [_bins(_ratio(each.box), RATIOS) for each in both]),
            ("objects in image", COUNT_NAMES, [_bins(objects[e.image], COUNTS) for e in both]),
            (
                "place",
                EDGE_NAMES,
                [_at_edge(each.box, np.reshape(sizes, (-1, 2))[each.image]) for each in both],
            ),
        )
    }


def _group(
    matching: Matching, name: str, least: np.ndarray, objects: np.ndarray, found: np.ndarray
) -> Group:
    """Return the figures of the objects (M,) and detections (D,) of two masks."""
    seen = matching.found
    objects = objects & ~matching.objects.ignored
    found = found & ~seen.ignored & (seen.score >= least[seen.label])
    reached = objects & matching.found_at(least)
    overlaps = seen.iou[matching.objects.found_by[reached]]
    count = int(objects.sum())
    return Group(
        name,
        count,
        float(reached.sum() / count) if count else None,
        float(seen.right[found].mean()) if found.any() else None,
        float(overlaps.mean()) if len(overlaps) else None,
    )


def _bins(values: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    """Return the index of each value's bin, from one edge up to the next."""
    return np.searchsorted(edges, values, side="right") - 1


def _ratio(boxes: np.ndarray) -> np.ndarray:
    """Return width : height of boxes (n, 4), (n,)."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], box_math.EPSILON)
    return sides[:, 0] / sides[:, 1]


def _at_edge(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return 1 for boxes (n, 4) that touch the edge of their image (n, 2), else 0, (n,)."""
    margins = np.concatenate([boxes[:, :2], sizes - boxes[:, 2:]], axis=1)  # (n, 4)
    return (margins.min(axis=1, initial=np.inf) <= EDGE).astype(int)
