"""The report of `retinanet-evaluate --report DIR`: what the command knows about its run."""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
from typing import TYPE_CHECKING

from ..utils.outputs import check_image_folders, check_outputs

if TYPE_CHECKING:
    from ..detector import Detector
    from ..evaluation.explanation import Explanation
    from ..preprocessing.dataset import Dataset


def check_report(folder: str, dataset: Dataset) -> None:
    """Check that the files of a report can be written and replace no image."""
    from ..evaluation.report_files import FILES

    check_image_folders("--report", [folder], [record.path for record in dataset.records])
    check_outputs({"--report": [os.path.join(folder, name) for name in FILES]})


def write(args: argparse.Namespace, detector: Detector, explanation: Explanation) -> str:
    """Write the report into the folder of --report, and return the path of its page."""
    from ..evaluation.advice import Words, advise
    from ..evaluation.report_files import PAGE, Circumstances, write_report

    data = [args.dataset_type, args.path, *([args.classes] if args.classes else [])]
    split = f" --split {shlex.quote(args.split)}" if args.split else ""
    words = Words(shlex.join(data), shlex.quote(args.model), split)
    steps = advise(explanation, words, best_recall(detector, explanation.dataset))
    names = [os.path.basename(os.path.normpath(path)) for path in (args.model, args.path)]
    title = " on ".join(names) + (f", {args.split}" if args.split else "")
    rows = circumstances(args, detector, explanation.dataset)
    write_report(args.report, explanation, Circumstances(title, steps, rows))
    return os.path.join(args.report, PAGE)


def best_recall(detector: Detector, dataset: Dataset) -> float | None:
    """Return the share of objects that an anchor reaches; None for a model of unknown anchors."""
    from ..models import RetinaNet
    from ..preprocessing.best_recall import objects_of
    from ..preprocessing.examples import Sizing

    model, inputs = detector.model, detector.inputs
    if not isinstance(model, RetinaNet) or detector.several:
        return None
    objects = objects_of(dataset, Sizing(inputs.min_side, inputs.max_side, inputs.resize))
    reached = objects.reached(model.anchor_params, model.pyramid_levels)
    return float(reached.mean()) if len(reached) else None


def circumstances(
    args: argparse.Namespace, detector: Detector, dataset: Dataset
) -> list[tuple[str, str]]:
    """Return (name, value) of the run: model, data, machine, time and command line."""
    from .. import __version__
    from ..engines.choose import fingerprint, processor
    from ..evaluation.report_files import data_fingerprint
    from ..utils.threads import usable_threads

    model = f"{args.model}, {fingerprint(args.model)}" if os.path.isfile(args.model) else args.model
    seconds = detector.seconds_per_image
    time = f"{1000 * seconds:.0f} ms an image in batches of {args.batch_size}"
    return [
        ("model", model),
        ("data", f"{args.path}, {len(dataset.records)} images, {data_fingerprint(dataset)}"),
        ("machine", f"{processor()}, {usable_threads()} threads, {platform.system()}"),
        ("model's time", f"{time if seconds else 'not measured'}, by {detector.engine.name}"),
        ("keras_retinanet", __version__),
        ("command", shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]])),
    ]
