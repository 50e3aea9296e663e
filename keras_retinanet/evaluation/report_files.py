"""The folder of a report: the page, its plots as PNG files, and the labels to check."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import os
from pathlib import Path

import numpy as np

from keras_retinanet.evaluation import label_errors
from keras_retinanet.evaluation.advice import Step
from keras_retinanet.evaluation.explanation import Explanation
from keras_retinanet.evaluation.galleries import draw_suspects, draw_worst
from keras_retinanet.evaluation.page import Contents, page
from keras_retinanet.evaluation.plots import NAMES, plots_of, png, svg
from keras_retinanet.evaluation.report import write_json
from keras_retinanet.preprocessing.dataset import Dataset
from keras_retinanet.utils.outputs import write_bytes, write_text

PAGE = "index.html"
MOST = 1000  # rows of a ranking in its files
GALLERIES = {
    "worst_images": ("Images with most errors", "At the threshold of each class."),
    "missing_labels": (
        "Likely missing labels",
        "Detections at places without any label, the surest first.",
    ),
    "wrong_labels": (
        "Likely wrong labels, and objects that are missed",
        "Labels that detections contradict or do not confirm.",
    ),
}
RANKINGS = ("missing_labels", "wrong_labels")
FILES = (
    PAGE,
    "figures.json",
    *(f"{name}.csv" for name in GALLERIES),
    *(f"{name}.json" for name in RANKINGS),
    *(f"{name}.png" for name in NAMES),
)


@dataclasses.dataclass(frozen=True)
class Circumstances:
    """What the page says besides the figures: its title, steps to do, and rows (name, value)."""

    title: str
    steps: list[Step]
    rows: list[tuple[str, str]]


def write_report(
    folder: str | os.PathLike, explanation: Explanation, circumstances: Circumstances
) -> None:
    """Write the page and its files into a folder, the page last."""
    place = Path(folder)
    plots = plots_of(explanation)
    for name, (_, figure) in plots.items():
        write_bytes(place / f"{name}.png", png(figure))
    images = {"worst_images": draw_worst(explanation)}
    for name, suspects in zip(RANKINGS, (explanation.missing, explanation.wrong), strict=True):
        arguments = explanation.dataset, explanation.matching, suspects.first(MOST)
        write_text(place / f"{name}.csv", label_errors.suspects_csv(*arguments))
        write_json(place / f"{name}.json", label_errors.suspects_coco(*arguments), indent=None)
        images[name] = draw_suspects(explanation, suspects)
    write_text(place / "worst_images.csv", worst_csv(explanation))
    write_json(place / "figures.json", figures(explanation))
    contents = Contents(
        circumstances.title,
        circumstances.steps,
        [(svg(figure, name, text), text) for name, (text, figure) in plots.items()],
        [
            (heading, f"{words} All: {name}.csv.", images[name])
            for name, (heading, words) in GALLERIES.items()
        ],
        circumstances.rows,
    )
    write_text(place / PAGE, page(explanation, contents))


def worst_csv(explanation: Explanation) -> str:
    """Return the images with errors as CSV, most errors first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "missed objects", "wrong detections"])
    for image, missed, wrong in explanation.worst.tolist():
        writer.writerow([explanation.dataset.records[image].path, missed, wrong])
    return text.getvalue()


def figures(explanation: Explanation) -> dict:
    """Return the figures of the page for JSON."""
    return {
        **explanation.metrics,
        "thresholds": {each.name: each.to_dict() for each in explanation.chosen},
        "single_threshold": explanation.single.to_dict(),
        "calibration_error": explanation.calibration.error,
        "confusion": explanation.confusion.tolist(),
        "groups": {
            title: [dataclasses.asdict(group) for group in groups]
            for title, groups in explanation.groups.items()
        },
    }


def data_fingerprint(dataset: Dataset) -> str:
    """Return a hash of the names, sizes, boxes and labels of a data set."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update("\n".join(dataset.class_names).encode())
    for record in dataset.records:
        digest.update(f"{os.path.basename(record.path)} {record.size}".encode())
        for values in (record.boxes, record.labels, record.ignore):
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
