"""Verify that an export gives the same detections as its model."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..boxes import iou
from ..detector import Detector
from ..engines import Engine, Outputs
from ..engines.keras import CandidatesEngine, KerasEngine
from ..evaluation import evaluate_coco
from ..evaluation.detections import detect_dataset
from ..model_input import normalize_of
from ..typing import StrPath

if TYPE_CHECKING:
    from ..models import RetinaNet
    from ..preprocessing.dataset import Dataset

BOXES, SCORES = 0.5, 1e-3  # the largest differences of a float32 export: px, and of a score
AP = {"float32": 0.001, "float16": 0.005, "dynamic": 0.02, "int8": 0.02}  # by precision
COMPARED = 100  # candidates of an image, the best ones
SAME = 0.5  # IoU of two boxes of one class that count as one object
ROUNDS = 5  # timed calls


@dataclass(frozen=True)
class Differences:
    """The differences between a model and its export in some images.

    Attributes:
        boxes: (M,) px, the largest difference in the four coordinates of each pair of candidates.
        scores: (M,), the difference of scores in each pair.
        lost, extra: numbers of candidates of the model, and of the export, without a match.
        tied: number of candidates that were not compared, because their score ties with the last
            candidate in the other list; it is arbitrary which of these are in the list.
    """

    boxes: np.ndarray
    scores: np.ndarray
    lost: int = 0
    extra: int = 0
    tied: int = 0

    @classmethod
    def merged(cls, parts: Sequence[Differences]) -> Differences:
        """Return the differences in all images."""
        return cls(
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.scores for part in parts]),
            sum(part.lost for part in parts),
            sum(part.extra for part in parts),
            sum(part.tied for part in parts),
        )


@dataclass(frozen=True)
class Report:
    """The measurements of `verify`.

    Attributes:
        precision: the precision of the export's weights.
        seconds: the time of one call with one image, before and after.
        sizes: the sizes of the files in bytes, before and after.
        ap: COCO's AP before and after; None without ground truth.
    """

    precision: str
    differences: Differences
    seconds: tuple[float, float]
    sizes: tuple[int, int]
    ap: tuple[float, float] | None = None

    def faults(self) -> list[str]:
        """Return sentences on the differences that are beyond the tolerance."""
        found = []
        if self.precision == "float32":
            pairs = self.differences
            if pairs.lost or pairs.extra:
                found.append(f"{pairs.lost} candidates are lost and {pairs.extra} are extra.")
            for name, values, limit in (
                ("Boxes", pairs.boxes, BOXES),
                ("Scores", pairs.scores, SCORES),
            ):
                if values.max(initial=0) > limit or np.isnan(values).any():
                    found.append(
                        f"{name} differ by up to {values.max():.3g}; {limit:g} is allowed."
                    )
        if self.ap is not None and abs(self.ap[0] - self.ap[1]) > AP[self.precision]:
            found.append(
                f"AP changes from {self.ap[0]:.4f} to {self.ap[1]:.4f}; a change of "
                f"{AP[self.precision]:g} is allowed."
            )
        return found

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        pairs, (before, after), sizes = self.differences, self.seconds, self.sizes
        ap = "not measured: name a data set with --verify"
        if self.ap is not None:
            ap = f"{self.ap[0]:.4f} before, {self.ap[1]:.4f} after"
        differ = "nothing to compare: all candidates have one score, as in an untrained model"
        if len(pairs.boxes):
            differ = f"boxes differ by {spread(pairs.boxes)} px, scores by {spread(pairs.scores)}"
        return [
            f"candidates: {len(pairs.boxes)} compared, {pairs.lost} lost, {pairs.extra} extra, "
            f"{pairs.tied} of the lowest score left out",
            differ,
            f"AP {ap}",
            f"time for one image {before:.3f} s before, {after:.3f} s after",
            f"size {sizes[0] / 1e6:.1f} MB before, {sizes[1] / 1e6:.1f} MB after",
        ]


def spread(values: np.ndarray) -> str:
    """Return the mean and the maximum of some values as text."""
    return f"{values.mean():.2g} on average and at most {values.max():.2g}"


def verify(
    model: RetinaNet,
    export: Detector,
    images: Sequence[np.ndarray],
    sizes: tuple[int, int],
    dataset: Dataset | None = None,
) -> Report:
    """Compare an inference model and its export.

    Args:
        images: (H, W, 3) uint8 RGB, of a size that the model takes without resizing.
        sizes: the sizes of the files of the model and of the export, in bytes.
        dataset: a data set with the labels of the model, to compare AP.
    """
    after = export.engine
    before = CandidatesEngine(model) if after.info.outputs == "candidates" else KerasEngine(model)
    pairs = [
        differences_of(before(input_of(before, image)), after(input_of(after, image)))
        for image in images
    ]
    differences = Differences.merged(pairs)
    seconds = timed(before, images[0]), timed(after, images[0])
    ap = None
    if dataset is not None:
        source = Detector(before, score_threshold=export.options.score_threshold)
        ap = average_precision(source, dataset), average_precision(export, dataset)
    return Report(after.info.precision, differences, seconds, sizes, ap)


def input_of(engine: Engine, image: np.ndarray) -> np.ndarray:
    """Return the input (1, H, W, 3) float32 of an engine for an RGB image of a suitable size."""
    prepare = normalize_of(engine.info.inputs)
    return np.asarray(image if prepare is None else prepare(image), "float32")[None]


def differences_of(before: Outputs, after: Outputs) -> Differences:
    """Compare the best candidates of each image with the nearest ones of the same class."""
    found = []
    for one, other in zip(zip(*before, strict=True), zip(*after, strict=True), strict=True):
        forth, back = nearest(one, other), nearest(other, one)
        found.append(Differences.merged([forth, replace(back, lost=0, extra=back.lost)]))
    return Differences.merged(found)


def nearest(found: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> Differences:
    """Compare the best candidates in an image with another list of candidates.

    Args:
        found, others: boxes (C, 4), scores (C,) and labels (C,), in descending order of score.
    """
    boxes, scores, lost, tied = [], [], 0, 0
    last = min(others[1][others[1] > 0], default=-SCORES)
    for box, score, label in zip(*(values[:COMPARED] for values in found), strict=True):
        if label < 0 or score <= 0:
            continue
        if score <= last + SCORES:
            tied += 1
            continue
        near = (others[2] == label) & (iou(box, others[0]) >= SAME)  # (C,)
        if not near.any():
            lost += 1
            continue
        apart = np.abs(others[0][near] - box).max(axis=1)  # (S,)
        differ = np.abs(others[1][near] - score)  # (S,)
        closest = np.argmin(apart / BOXES + differ / SCORES)
        boxes.append(apart[closest])
        scores.append(differ[closest])
    return Differences(np.array(boxes), np.array(scores), lost, 0, tied)


def average_precision(detector: Detector, dataset: Dataset) -> float:
    """Return COCO's AP of a detector on a data set; 0 without objects."""
    return evaluate_coco(*detect_dataset(detector, dataset))["AP"] or 0.0


def timed(engine: Engine, image: np.ndarray) -> float:
    """Return the median seconds of a call with one image, after a warm-up call."""
    batch, seconds = input_of(engine, image), []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        engine(batch)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def size_of(path: StrPath) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    path = Path(path)
    return sum(
        each.stat().st_size
        for each in (path.rglob("*") if path.is_dir() else [path])
        if each.is_file()
    )
