"""The report of `retinanet-evaluate --report DIR`: what the command knows about its run."""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..utils.outputs import check_image_folders, check_outputs

if TYPE_CHECKING:
    from ..detector import Detector
    from ..evaluation.explanation import Explanation
    from ..preprocessing.dataset import Dataset


def check_report(folder: str, images: Iterable[str]) -> None:
    """Check that the plots of a report can be made, and that its files replace no image.

    Raises:
        InputError: matplotlib is missing, or the folder cannot be written to or holds images.
    """
    from ..evaluation.plots import check_installed
    from ..evaluation.report_files import FILES

    check_installed()
    check_image_folders("--report", [folder], images)
    check_outputs({"--report": [os.path.join(folder, name) for name in FILES]})


def report_of_model(args: argparse.Namespace, detector: Detector, explanation: Explanation) -> str:
    """Write the report on a model and a data set, and return the path of its page."""
    from ..engines.choose import fingerprint
    from ..evaluation.advice import Words, advise

    data = [args.dataset_type, args.path, *([args.classes] if args.classes else [])]
    split = f" --split {shlex.quote(args.split)}" if args.split else ""
    words = Words(shlex.join(data), shlex.quote(args.model), split, bool(args.choose_thresholds))
    steps = advise(explanation, words, best_recall(detector, explanation.dataset))
    model = f"{args.model}, {fingerprint(args.model)}" if os.path.isfile(args.model) else args.model
    seconds = detector.seconds_per_image
    time = f"{1000 * seconds:.0f} ms an image in batches of {args.batch_size}"
    rows = [
        ("model", model),
        ("data", described(args.path, explanation.dataset)),
        ("model's time", f"{time if seconds else 'not measured'}, by {detector.engine.name}"),
    ]
    title = titled(args.model, args.path) + (f", {args.split}" if args.split else "")
    return write(args.report, explanation, title, steps, rows)


def report_of_results(args: argparse.Namespace, explanation: Explanation) -> str:
    """Write the report on a result file, and return the path of its page."""
    from ..evaluation.advice import Words, advise

    words = Words(shlex.join(["coco", args.truth]))
    rows = [("results", args.results), ("data", described(args.truth, explanation.dataset))]
    title = titled(args.results, args.truth)
    return write(args.report, explanation, title, advise(explanation, words), rows)


def write(
    folder: str,
    explanation: Explanation,
    title: str,
    steps: list,
    rows: list[tuple[str, str]],
) -> str:
    """Write a report into a folder, and return the path of its page.

    Args:
        steps: of `advise`.
        rows: (name, value) of what was measured.
    """
    from .. import __version__
    from ..engines.choose import processor
    from ..evaluation.report_files import PAGE, Circumstances, write_report
    from ..utils.threads import usable_threads

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
    from ..evaluation.report_files import data_fingerprint

    return f"{path}, {len(dataset.records)} images, {data_fingerprint(dataset)}"


def best_recall(detector: Detector, dataset: Dataset) -> float | None:
    """Return the share of objects that an anchor is matched with, if the model says how."""
    from ..models import RetinaNet
    from ..preprocessing.best_recall import best_recalls, of_all_classes
    from ..preprocessing.collate import Anchoring
    from ..preprocessing.examples import Sizing

    model, inputs = detector.model, detector.inputs
    if not isinstance(model, RetinaNet) or detector.several:
        return None
    sizing = Sizing(inputs.min_side, inputs.max_side, inputs.resize)
    assigner = model.progress.get("assigner", "iou")
    anchoring = Anchoring(model.anchor_params, model.pyramid_levels, assigner)
    return of_all_classes(best_recalls(dataset, sizing, anchoring))
