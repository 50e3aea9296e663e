"""The proof that an export finds what the model finds."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..boxes import iou
from ..evaluation import evaluate_coco
from ..evaluation.detections import detect_dataset

if TYPE_CHECKING:
    from ..detector import Detector
    from ..engines import Outputs
    from ..model_input import Prepared
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
        boxes: px, the largest of the four coordinates of each pair of candidates (M,).
        scores: of each pair (M,).
        lost, extra: candidates of the model, and of the export, without a partner in the other.
    """

    boxes: np.ndarray
    scores: np.ndarray
    lost: int = 0
    extra: int = 0


@dataclass(frozen=True)
class Report:
    """What `verify` measured.

    Attributes:
        precision: of the export's weights.
        seconds: of one call with one image, before and after.
        sizes: of the files, in bytes, before and after.
        ap: COCO's AP before and after; None without ground truth.
    """

    precision: str
    differences: Differences
    seconds: tuple[float, float]
    sizes: tuple[int, int]
    ap: tuple[float, float] | None = None

    def faults(self) -> list[str]:
        """Return the ways in which the export is beyond the tolerance, as sentences."""
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
        return [
            f"candidates: {len(pairs.boxes)} compared, {pairs.lost} lost, {pairs.extra} extra",
            f"boxes differ by {spread(pairs.boxes)} px, scores by {spread(pairs.scores)}",
            f"AP {ap}",
            f"time for one image {before:.3f} s before, {after:.3f} s after",
            f"size {sizes[0] / 1e6:.1f} MB before, {sizes[1] / 1e6:.1f} MB after",
        ]


def spread(values: np.ndarray) -> str:
    """Return the mean and the largest of some values as text."""
    if not len(values):
        return "nothing"
    return f"{values.mean():.2g} on average and at most {values.max():.2g}"


def differences_of(before: Outputs, after: Outputs) -> Differences:
    """Compare the best candidates of each image with the nearest ones of the same class."""
    boxes, scores, lost, extra = [], [], 0, 0
    for one, other in zip(zip(*before, strict=True), zip(*after, strict=True), strict=True):
        forth, missing = nearest(one, other)
        back, more = nearest(other, one)
        lost, extra = lost + missing, extra + more
        boxes += [forth[:, 0], back[:, 0]]
        scores += [forth[:, 1], back[:, 1]]
    return Differences(np.concatenate(boxes), np.concatenate(scores), lost, extra)


def nearest(found: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> tuple[np.ndarray, int]:
    """Compare the best candidates in an image with another list of candidates.

    Returns:
        (M, 2): the differences of box, in px, and score to the nearest candidate of the class; and
        the number of candidates without one.
    """
    boxes, scores, labels = (values[:COMPARED] for values in found)
    pairs, missing = [], 0
    for box, score, label in zip(boxes, scores, labels, strict=True):
        if label < 0 or score <= 0:
            continue
        same = others[2] == label  # (C,)
        near = others[0][same][iou(box, others[0][same]) >= SAME]  # (S, 4)
        if not len(near):
            missing += 1
            continue
        near_scores = others[1][same][iou(box, others[0][same]) >= SAME]  # (S,)
        apart = np.abs(near - box).max(axis=1), np.abs(near_scores - score)  # (S,), (S,)
        closest = np.argmin(apart[0] / BOXES + apart[1] / SCORES)
        pairs.append((apart[0][closest], apart[1][closest]))
    return np.reshape(pairs, (-1, 2)), missing


def verify(
    before: Detector,
    after: Detector,
    images: Sequence[Any],
    paths: tuple[str | os.PathLike, str | os.PathLike],
    dataset: Dataset | None = None,
) -> Report:
    """Compare a model and its export.

    Args:
        before, after: detectors of the model and of the export, whose engines give candidates.
        images: as for `Detector.prepare`.
        paths: the files or folders of both.
        dataset: with the labels of the detectors, for AP.
    """
    pairs = [differences_between(before, after, [after.prepare(image)]) for image in images]
    merged = Differences(
        np.concatenate([pair.boxes for pair in pairs]),
        np.concatenate([pair.scores for pair in pairs]),
        sum(pair.lost for pair in pairs),
        sum(pair.extra for pair in pairs),
    )
    batch = after.inputs.batch([after.prepare(images[0])])
    seconds = timed(lambda: before.engine(batch)), timed(lambda: after.engine(batch))
    sizes = size_of(paths[0]), size_of(paths[1])
    ap = None
    if dataset is not None:
        ap = average_precision(before, dataset), average_precision(after, dataset)
    return Report(after.info.precision, merged, seconds, sizes, ap)


def differences_between(
    before: Detector, after: Detector, group: Sequence[Prepared]
) -> Differences:
    """Compare the candidates of two detectors in prepared images of one bucket."""
    batch = after.inputs.batch(group)
    return differences_of(before.engine(batch), after.engine(batch))


def average_precision(detector: Detector, dataset: Dataset) -> float:
    """Return COCO's AP of a detector on a data set."""
    return evaluate_coco(*detect_dataset(detector, dataset))["AP"]


def timed(call: Callable[[], Any]) -> float:
    """Return the median seconds of a call, after one that does not count."""
    seconds = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def size_of(path: str | os.PathLike) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    path = Path(path)
    return sum(each.stat().st_size for each in (path.rglob("*") if path.is_dir() else [path]))
