"""The report on a model file: its page, with what was measured and what to do next."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from keras_retinanet.evaluation.advice import Step, Training, Words, advise
from keras_retinanet.evaluation.explanation import Explanation
from keras_retinanet.evaluation.plots import check_installed
from keras_retinanet.evaluation.report_files import (
    FILES,
    PAGE,
    Circumstances,
    data_fingerprint,
    write_report,
)
from keras_retinanet.preprocessing.dataset import Dataset
from keras_retinanet.utils.outputs import check_image_folders, check_outputs
from keras_retinanet.utils.threads import usable_threads

if TYPE_CHECKING:
    from keras_retinanet.detector import Detector


def check_report(option: str, folder: str, images: Iterable[str]) -> None:
    """Check that the plots of a report can be made, and that its files replace no image.

    Args:
        option: names the folder in messages.

    Raises:
        InputError: matplotlib is missing, or the folder cannot be written to or holds images.
    """
    check_installed()
    check_image_folders(option, [folder], images)
    check_outputs({option: [os.path.join(folder, name) for name in FILES]})


def report_on_model(
    folder: str,
    explanation: Explanation,
    detector: Detector,
    path: str,
    data: str,
    words: Words,
) -> str:
    """Write the report on a model and a data set, and return the path of its page.

    Args:
        path: the model's file.
        data: the path of the data set.
        words: of the commands that the page suggests.
    """
    from keras_retinanet.engines.choose import fingerprint

    steps = advise(explanation, words, training_of(detector, explanation.dataset))
    seconds = detector.seconds_per_image
    time = f"{1000 * seconds:.0f} ms an image in batches of {detector.options.batch_size}"
    rows = [
        ("model", f"{path}, {fingerprint(path)}" if os.path.isfile(path) else path),
        ("data", described(data, explanation.dataset)),
        ("model's time", f"{time if seconds else 'not measured'}, by {detector.engine.name}"),
    ]
    split = words.split.removeprefix(" --split ")
    title = titled(path, data) + (f", {split}" if split else "")
    return write(folder, explanation, title, steps, rows)


def report_on_results(folder: str, explanation: Explanation, results: str, truth: str) -> str:
    """Write the report on a result file, and return the path of its page."""
    words = Words(shlex.join(["coco", truth]))
    rows = [("results", results), ("data", described(truth, explanation.dataset))]
    title = titled(results, truth)
    return write(folder, explanation, title, advise(explanation, words), rows)


def write(
    folder: str,
    explanation: Explanation,
    title: str,
    steps: list[Step],
    rows: list[tuple[str, str]],
) -> str:
    """Write a report into a folder, and return the path of its page.

    Args:
        steps: of `advise`.
        rows: (name, value) of what was measured.
    """
    from keras_retinanet import __version__
    from keras_retinanet.engines.choose import processor

    rows = [
        *rows,
        ("machine", f"{processor()}, {usable_threads()} threads, {platform.system()}"),
        ("keras_retinanet", __version__),
        ("command", shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]])),
    ]
    write_report(folder, explanation, Circumstances(title, steps, rows))
    return os.path.join(folder, PAGE)


def titled(found: str, data: str) -> str:
    return " on ".join(os.path.basename(os.path.normpath(path)) for path in (found, data))


def described(path: str, dataset: Dataset) -> str:
    """Return a data set's path, size and hash."""
    return f"{path}, {len(dataset.records)} images, {data_fingerprint(dataset)}"


def training_of(detector: Detector, dataset: Dataset) -> Training:
    """Return what a detector's file says of its training."""
    progress = getattr(detector.model, "progress", {})
    rows = [row for row in progress.get("figures", ()) if row.get("AP") is not None]
    stages = progress.get("stages") or [{"loss": {}}]
    box_loss = stages[-1]["loss"].get("regression", {}).get("name", "")
    history = {row["epoch"]: row["AP"] for row in rows}
    return Training(best_recall(detector, dataset), history, box_loss)


def best_recall(detector: Detector, dataset: Dataset) -> float | None:
    """Return the share of objects that an anchor is matched with, if the model says how."""
    from keras_retinanet.models import RetinaNet
    from keras_retinanet.preprocessing.best_recall import best_recalls, of_all_classes
    from keras_retinanet.preprocessing.collate import Anchoring
    from keras_retinanet.preprocessing.examples import Sizing

    model, inputs = detector.model, detector.inputs
    if not isinstance(model, RetinaNet) or detector.several:
        return None
    sizing = Sizing(inputs.min_side, inputs.max_side, inputs.resize)
    assigner = model.progress.get("assigner", "iou")
    anchoring = Anchoring(model.anchor_params, model.pyramid_levels, assigner)
    return of_all_classes(best_recalls(dataset, sizing, anchoring))
