"""Evaluate a model on a data set: `retinanet-evaluate [options] DATASET ... MODEL`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..parts import PostProcess
from ..utils.outputs import check_image_folders, check_outputs, recorded_inputs
from . import compare_results, score_results
from .analyses import add_analyses, analyse
from .arguments import add_detector_options, detector_of, number
from .cli import check_folder, check_output_options, choose_gpu, user_errors
from .data_options import parse_with_data, source_of

if TYPE_CHECKING:
    from ..detections import Detections
    from ..detector import Detector
    from ..evaluation.advice import Words
    from ..evaluation.thresholds import Rule
    from ..preprocessing.dataset import Dataset

SUBCOMMANDS = {"detections": score_results, "compare": compare_results}
OUTPUTS = ("json", "ground_truth", "detections")


def parse_args(args: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="retinanet-evaluate",
        usage="%(prog)s [options] DATASET ... MODEL",
        description="Compute the COCO and Pascal VOC metrics of a RetinaNet. "
        "`retinanet-evaluate detections TRUTH RESULTS` scores the result file of any detector, "
        "`retinanet-evaluate compare TRUTH A B` says if one is better than another.",
        add_help=False,
    )
    add_detector_options(parser, PostProcess.score_threshold)
    parser.add_argument(
        "--iou-threshold",
        type=number(float, "from 0 to 1"),
        default=0.5,
        help="minimum IoU of a match in the Pascal VOC metric (%(default)s)",
    )
    parser.add_argument(
        "--voc",
        choices=("2007", "2010"),
        default="2010",
        help="year of the Pascal VOC metric: the mean precision at eleven recalls (2007), or the "
        "area under the curve (%(default)s)",
    )
    parser.add_argument(
        "--choose-thresholds",
        type=rule_of,
        metavar="RULE",
        help="choose the score threshold of each class by f1, precision=X or recall=X, and store "
        "them in the model's .keras file for detection, serving and exports",
    )
    parser.add_argument(
        "--report",
        metavar="DIR",
        help="write a page there that explains the figures, and lists of labels to check",
    )
    add_analyses(parser)
    parser.add_argument("--json", metavar="FILE", help="write the metrics there")
    parser.add_argument("--detections", metavar="FILE", help="write the detections as COCO results")
    parser.add_argument("--ground-truth", metavar="FILE", help="write the data set as COCO JSON")
    parser.add_argument("--save-path", metavar="DIR", help="write images with detections there")
    parser.add_argument("--group-method", help=argparse.SUPPRESS)
    last = {"model": {"metavar": "MODEL", "help": "a model file, as for retinanet-detect"}}
    parsed = parse_with_data(parser, args, "evaluate", last)
    if parsed.choose_thresholds and not parsed.model.endswith(".keras"):
        parser.error(
            f"--choose-thresholds needs a .keras file, not {parsed.model}; convert the .keras file "
            "again afterwards."
        )
    return parsed


def rule_of(text: str) -> Rule:
    """Return the rule of --choose-thresholds."""
    from ..evaluation.thresholds import Rule

    try:
        return Rule.of(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def store_chosen(
    args: argparse.Namespace, dataset: Dataset, detections: list[Detections]
) -> dict[str, dict]:
    """Choose the thresholds, print and store them, and return them for JSON."""
    from ..evaluation.matching import match
    from ..evaluation.thresholds import choose_thresholds, threshold_table
    from ..utils.keras_file import store_thresholds

    rule = args.choose_thresholds
    chosen = choose_thresholds(match(dataset, detections), rule)
    print(f"\n{threshold_table(chosen)}")
    for each in chosen:
        if not each.reached:
            text = f"{each.name} never reaches {rule}; it has the nearest threshold."
            warnings.warn(text, UserWarning, stacklevel=1)
    store_thresholds(args.model, [each.threshold for each in chosen])
    print(f"stored the thresholds in {args.model}")
    return {each.name: each.to_dict() for each in chosen}


def read_dataset(args: argparse.Namespace, detector: Detector) -> Dataset:
    """Return the checked data set with the labels of the detector; no output replaces its files."""
    from ..choices import TEST_SPLITS
    from ..preprocessing.dataset import checked

    with recorded_inputs() as files:
        source = source_of(args)
        split = source.choose_split(args.split, TEST_SPLITS)
        dataset = source.read(split, detector.class_names)
    check_data_is_spared(args, dataset, files)
    try:
        dataset = detector.labelled(dataset)
    except InputError as error:
        raise InputError(f"{args.model}: {error}") from None
    return checked(dataset, args.strict, need_boxes=False)


def check_data_is_spared(
    args: argparse.Namespace, dataset: Dataset, files: Sequence[str | os.PathLike]
) -> None:
    """Check that no output replaces one of the data set's images or of the `files` read for it."""
    from ..utils.eval import image_path

    images = [record.path for record in dataset.records]
    saved = {}
    if args.save_path:
        check_image_folders("--save-path", [args.save_path], images)
        saved["--save-path"] = [image_path(args.save_path, index) for index in range(len(images))]
    check_output_options(args, *OUTPUTS, inputs=[*files, *images], more=saved)


def run(args: argparse.Namespace) -> dict[str, Any]:
    check_output_options(args, *OUTPUTS)
    choose_gpu(args.gpu)
    detector = detector_of(args)
    dataset = read_dataset(args, detector)
    if args.save_path:
        check_folder(args.save_path)
    if args.choose_thresholds:
        check_outputs({"--choose-thresholds": [args.model]})
    if args.report:
        from ..evaluation.model_report import check_report

        check_report("--report", args.report, [record.path for record in dataset.records])

    from ..evaluation import evaluate_coco, evaluate_voc, voc_metric
    from ..evaluation.coco import ground_truth, results
    from ..evaluation.detections import detect_dataset
    from ..evaluation.report import report, write_json
    from ..utils.eval import drawing

    detector.class_names = dataset.class_names
    dataset, detections = detect_dataset(
        detector,
        dataset,
        on_error="raise" if args.strict else "skip",
        each=drawing(args.save_path) if args.save_path else None,
        progress="evaluate",
    )
    metrics = evaluate_coco(dataset, detections, args.max_detections)
    voc = evaluate_voc(dataset, detections, args.iou_threshold, args.voc == "2007")
    metrics["VOC"] = voc_metric(voc)
    print(report(metrics, voc))
    if args.choose_thresholds:
        metrics["thresholds"] = store_chosen(args, dataset, detections)
    if args.bootstrap or args.errors or args.report:
        metrics |= analyse(args, metrics, ground_truth(dataset), results(dataset, detections))
    if detector.seconds_per_image:
        print(f"{detector.seconds_per_image:.3f} s an image in the model")
    if args.json:
        write_json(args.json, metrics)
    if args.report:
        from ..evaluation.explanation import explain
        from ..evaluation.model_report import report_on_model
        from ..evaluation.thresholds import Rule

        explanation = explain(dataset, detections, metrics, args.choose_thresholds or Rule())
        names = args.report, explanation, detector, args.model, args.path
        print(f"saved {report_on_model(*names, report_words(args))}")
    if args.ground_truth:
        write_json(args.ground_truth, ground_truth(dataset), indent=None)
    if args.detections:
        write_json(args.detections, results(dataset, detections), indent=None)
    for written in filter(None, (args.json, args.ground_truth, args.detections, args.save_path)):
        print(f"saved {written}")
    return metrics


def report_words(args: argparse.Namespace) -> Words:
    """Return the words of this command that the report's commands repeat."""
    from ..evaluation.advice import Words

    data = shlex.join([args.dataset_type, args.path, *([args.classes] if args.classes else [])])
    split = f" --split {shlex.quote(args.split)}" if args.split else ""
    return Words(data, shlex.quote(args.model), split, bool(args.choose_thresholds))


def main(args: Sequence[str] | None = None) -> None:
    words = sys.argv[1:] if args is None else list(args)
    with user_errors("retinanet-evaluate"):
        if words and words[0] in SUBCOMMANDS:
            command = SUBCOMMANDS[words[0]]
            command.run(command.parse_args(words[1:]))
        else:
            run(parse_args(words))


if __name__ == "__main__":
    main()
