"""The checks of the doctor, all in order."""

import dataclasses
import os
from collections.abc import Mapping, Sequence

import numpy as np

from ..parts import Inputs
from ..preprocessing.dataset import Dataset, with_classes
from ..utils.anchors import AnchorParameters
from . import anchors
from .boxes import check_boxes
from .classes import check_classes, check_empty, check_names
from .findings import SEVERITIES, Finding
from .images import check_copies, check_images
from .splits import Split, inspect

CHECKS = (check_images, check_copies, check_boxes, check_empty, check_classes, check_names)


@dataclasses.dataclass(frozen=True, eq=False)
class Examination:
    """The results of the doctor, for `report` and `page`."""

    splits: list[Split]
    findings: list[Finding]  # the most severe first
    coverage: anchors.Coverage  # of the first split, which is trained on


def examine(
    splits: Mapping[str, tuple[Dataset, Sequence[str]]],
    thorough: bool = False,
    sides: tuple[int, int] | None = (Inputs.image_min_side, Inputs.image_max_side),
    anchor_params: AnchorParameters | None = None,
    pyramid_levels: Sequence[int] | None = None,
    progress: bool = False,
) -> Examination:
    """Return the `Examination` of a data set.

    Args:
        splits: {name: (Dataset as the reader returns it, the faults that the reader collected)},
            the split to train on first.
        thorough: decode every image, to find damaged data and identical images in several files;
            otherwise read only the head and the tail of each file.
        sides: min side and max side in px of the model's input, None if images are not resized.
        anchor_params, pyramid_levels: the model's anchors; None takes the default anchors.
        progress: show a bar while images are decoded.
    """
    names = list(dict.fromkeys(n for data, _ in splits.values() for n in data.class_names))
    seen = [
        inspect(name, with_classes(data, names), faults, thorough, sides, progress)
        for name, (data, faults) in splits.items()
    ]
    coverage = anchors.coverage(seen[0], anchor_params, pyramid_levels)
    return Examination(seen, _findings(seen, anchors.unreached(seen[0], coverage)), coverage)


def glance(datasets: Mapping[str, Dataset], sides: tuple[int, int] | None) -> list[Finding]:
    """Return the errors and warnings that training prints: they need no images.

    Args:
        datasets: {split: checked Dataset} with the same classes, the split to train on first.
        sides: min side and max side in px of the model's input, None if images are not resized.
    """
    seen = [
        Split(name, data, [os.path.realpath(r.path) for r in data.records], [], [], {}, sides)
        for name, data in datasets.items()
    ]
    return [finding for finding in _findings(seen) if finding.severity != "note"]


def _findings(splits: Sequence[Split], more: Sequence[Finding] = ()) -> list[Finding]:
    with np.errstate(invalid="ignore", over="ignore"):  # boxes may hold NaN and infinity
        findings = [finding for check in CHECKS for finding in check(splits)]
    return [f for severity in SEVERITIES for f in (*findings, *more) if f.severity == severity]
