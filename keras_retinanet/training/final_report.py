"""The end of a training: its curves, and the report of its best snapshot."""

from __future__ import annotations

import shlex

from ..choices import VAL_SPLITS
from ..detector import Detector
from ..errors import InputError
from ..evaluation.advice import Words
from ..evaluation.coco import evaluate_rows, ground_truth, results
from ..evaluation.detections import detect_dataset
from ..evaluation.error_breakdown import error_breakdown
from ..evaluation.explanation import explain
from ..evaluation.model_report import check_report, report_on_model
from ..evaluation.plots import check_installed
from ..evaluation.thresholds import Rule
from ..models import RetinaNet
from ..parts import PostProcess
from ..preprocessing.dataset import Dataset
from ..preprocessing.source import OpenData, TrainingData
from .config import TrainConfig
from .console import Live, counting
from .curves import write_curves
from .run_folder import RunFolder


def write_results(
    config: TrainConfig,
    model: RetinaNet,
    data: TrainingData | OpenData,
    val: Dataset | None,
    folder: RunFolder | None,
) -> None:
    """Write the curves and the report into a run's folder, and print their paths.

    What cannot be written, such as without matplotlib, is a line that says so: the training is
    done, and its snapshots are there.
    """
    if folder is None or not config.report:
        return
    try:
        check_installed()
        write_curves(folder.curves, model.progress["figures"])
        print(f"saved {folder.curves}")
        if val is not None and config.evaluation and (snapshots := folder.snapshots()):
            print(f"saved {report_snapshot(config, snapshots[0], data, val, folder.report)}")
    except InputError as error:
        print(error)


def report_snapshot(
    config: TrainConfig, path: str, data: TrainingData | OpenData, val: Dataset, folder: str
) -> str:
    """Write the report on a snapshot and the validation data, and return the path of its page."""
    check_report("report", folder, [record.path for record in val.records])
    detector = Detector.load(
        path,
        score_threshold=PostProcess.score_threshold,
        batch_size=config.batch_size or 1,
        no_resize=config.no_resize,
    )
    live = Live()
    show = counting(live, "reporting on", len(val.records))
    how = "raise" if config.strict else "skip"
    dataset, detections = detect_dataset(detector, val, how, show)
    live.clear()
    rows = ground_truth(dataset), results(dataset, detections)
    metrics = evaluate_rows(*rows)
    metrics["errors"] = error_breakdown(*rows)
    explanation = explain(dataset, detections, metrics, Rule())
    place, words = words_of(data, path)
    return report_on_model(folder, explanation, detector, path, place, words)


def words_of(data: TrainingData | OpenData, model: str) -> tuple[str, Words]:
    """Return the path of the validation data, and the words of commands that name them."""
    if isinstance(data, OpenData):
        return "data in memory", Words("DATASET", shlex.quote(model))
    source = data.source
    path = data.val_path or source.path
    classes = [source.classes] if isinstance(source.classes, str) else []
    held_out = data.val_split
    if not (held_out or data.val_path):
        held_out = source.choose_split(usual=VAL_SPLITS)
    split = f" --split {shlex.quote(held_out)}" if held_out else ""
    return path, Words(shlex.join([source.kind, path, *classes]), shlex.quote(model), split)
