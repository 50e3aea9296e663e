"""Everything that the doctor looks for."""

import dataclasses

import numpy as np

from keras_retinanet.doctor import anchors, boxes, classes, pictures
from keras_retinanet.doctor.findings import Finding, in_order
from keras_retinanet.doctor.splits import Split, inspect
from keras_retinanet.preprocessing.dataset import with_classes

CHECKS = {  # what is looked at: a function from [Split] to [Finding]
    "entries": pictures.entries,
    "pictures": pictures.unreadable,
    "sizes": pictures.sizes,
    "identical pictures": pictures.identical,
    "boxes": boxes.defects,
    "shares of the picture": boxes.shares,
    "coordinates from 0": boxes.from_zero,
    "objects with two boxes": boxes.doubled,
    "tiny boxes": boxes.tiny,
    "whole pictures": boxes.whole,
    "images without boxes": classes.empty,
    "classes": classes.classes,
    "class names": classes.alike,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Examination:
    """What the doctor saw; `report` and `page` tell it."""

    splits: list[Split]
    findings: list[Finding]  # the most severe first
    coverage: anchors.Coverage  # of the first split, which is trained on


def examine(
    splits,
    thorough=False,
    min_side=800,
    max_side=1333,
    anchor_params=None,
    pyramid_levels=None,
    progress=False,
):
    """The `Examination` of a data set.

    Args:
        splits: {set name: (Dataset as the reader gave it, the faults that the reader collected)},
            the set to train on first.
        thorough: decode every picture, which finds damage amid files, and identical pictures in
            several files; else the head and the tail of each file are read.
        min_side, max_side: px that the model's images are fitted to; `min_side` None leaves them.
        anchor_params, pyramid_levels: the model's anchors, the default ones where None.
        progress: show a bar while pictures are decoded.
    """
    names = list(dict.fromkeys(n for data, _ in splits.values() for n in data.class_names))
    sides = None if min_side is None else (min_side, max_side)
    seen = [
        inspect(name, with_classes(data, names), faults, thorough, sides, progress)
        for name, (data, faults) in splits.items()
    ]
    findings = _findings(seen)
    coverage = anchors.coverage(seen[0], anchor_params, pyramid_levels)
    findings += anchors.unreached(seen[0], coverage)
    return Examination(seen, in_order(findings), coverage)


def glance(datasets, sides):
    """What training tells of before it starts: the errors and warnings that take no picture.

    Args:
        datasets: {set name: checked Dataset}, of the same classes, the set to train on first.
        sides: min side and max side in px of the model's input, None for as it is.
    """
    seen = [inspect(name, dataset, sides=sides) for name, dataset in datasets.items()]
    return [finding for finding in in_order(_findings(seen)) if finding.severity != "note"]


def _findings(seen):
    with np.errstate(invalid="ignore", over="ignore"):  # boxes may hold NaN and infinity
        return [finding for check in CHECKS.values() for finding in check(seen)]
