"""Evaluates an inference model: `retinanet-evaluate [options] DATASET ... MODEL`."""

import argparse
import sys

from ..errors import InputError
from ..utils.outputs import check_image_folders, recorded_inputs
from .cli import (
    check_classes,
    check_folder,
    check_numbers,
    check_output_options,
    choose_gpu,
    load_inference_model,
    user_errors,
)
from .data_options import TEST_SETS, choose_set, parse_with_data, read_data
from .image_options import (
    add_grouping_argument,
    add_size_arguments,
    add_strict_argument,
    size_options,
)
from .nms_options import add_nms_arguments, check_nms, nms_options

OUTPUTS = ("json", "ground_truth", "detections")


def parse_args(args):
    parser = argparse.ArgumentParser(
        prog="retinanet-evaluate",
        usage="%(prog)s [options] DATASET ... MODEL",
        description="Evaluate a RetinaNet: COCO's figures and Pascal VOC's.",
        add_help=False,
    )
    parser.add_argument("--convert-model", action="store_true", help="MODEL is a training model")
    add_nms_arguments(parser, "with --convert-model: ")
    parser.add_argument("--backbone", help="refuse a model with another one")
    parser.add_argument("--gpu", help="the device to use, such as 0")
    parser.add_argument("--score-threshold", type=float, default=0.05, help="(%(default)s)")
    parser.add_argument(
        "--iou-threshold", type=float, default=0.5, help="of the Pascal VOC figure (%(default)s)"
    )
    parser.add_argument("--max-detections", type=int, default=100, help="(%(default)s)")
    parser.add_argument("--batch-size", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    parser.add_argument("--detections", metavar="FILE", help="write the detections as COCO results")
    parser.add_argument("--ground-truth", metavar="FILE", help="write the data set as COCO JSON")
    parser.add_argument("--save-path", metavar="DIR", help="write pictures with detections there")
    add_size_arguments(parser, None, None)
    parser.add_argument(
        "--config", metavar="FILE", help="anchors for --convert-model (the model's)"
    )
    add_grouping_argument(parser)
    add_strict_argument(parser)
    args = parse_with_data(
        parser, args, "evaluate", {"model": {"metavar": "MODEL", "help": "a .keras file"}}
    )
    return check_numbers(parser, args)


def create_generator(args, model, dataset):
    """The generator of a data set as `model` takes its input."""
    from ..evaluation.detections import input_options
    from ..preprocessing.generator import Generator

    return Generator(
        dataset,
        batch_size=args.batch_size,
        group_method=args.group_method,
        shuffle_groups=False,
        strict=args.strict,
        **{**input_options(model), **size_options(args, model)},
    )


def read_dataset(args, model):
    """Return the checked data set with the labels of `model`, once the outputs spare its files."""
    from ..preprocessing.dataset import checked, with_classes

    names = model.class_names
    with recorded_inputs() as files:
        dataset = read_data(args, choose_set(args, args.set, TEST_SETS), classes=names)
    check_data_is_spared(args, dataset, files)
    try:
        dataset = with_classes(dataset, names) if names else dataset
    except InputError as error:
        raise InputError(f"{args.model}: {error}") from None
    check_classes(args.model, model, dataset.class_names)
    return checked(dataset, args.strict, need_boxes=False)


def check_data_is_spared(args, dataset, files):
    """Check that no output replaces one of the data set's images or of the `files` read for it."""
    from ..utils.eval import image_path

    images = [record.path for record in dataset.records]
    saved = {}
    if args.save_path:
        check_image_folders("--save-path", [args.save_path], images)
        saved["--save-path"] = [image_path(args.save_path, index) for index in range(len(images))]
    check_output_options(args, *OUTPUTS, inputs=[*files, *images], more=saved)


def run(args):
    check_output_options(args, *OUTPUTS)
    choose_gpu(args.gpu)
    options = {"max_detections": args.max_detections, "score_threshold": args.score_threshold}
    model = load_inference_model(
        args.model, args.backbone, args.convert_model, args.config, **options, **nms_options(args)
    )
    check_nms(args.model, model, args)
    dataset = read_dataset(args, model)
    generator = create_generator(args, model, dataset)
    if args.save_path:
        check_folder(args.save_path)

    from ..evaluation.coco import evaluate_coco, ground_truth, results
    from ..evaluation.detections import detect, readable
    from ..evaluation.report import report, write_json
    from ..evaluation.voc import evaluate_voc, mean_average_precision
    from ..utils.eval import save_pictures

    detections, seconds = detect(
        model, generator, args.score_threshold, args.max_detections, "evaluate"
    )
    if args.save_path:
        save_pictures(generator, detections, args.save_path)
    dataset, detections = readable(generator, dataset, detections)
    metrics = evaluate_coco(dataset, detections, args.max_detections)
    voc = evaluate_voc(dataset, detections, args.iou_threshold)
    metrics["VOC"] = mean_average_precision(voc)
    print(report(metrics, voc))
    if seconds:
        print(f"{seconds:.3f} s an image in the model")
    if args.json:
        write_json(args.json, metrics)
    if args.ground_truth:
        write_json(args.ground_truth, ground_truth(dataset), indent=None)
    if args.detections:
        write_json(args.detections, results(dataset, detections), indent=None)
    return metrics


def main(args=None):
    with user_errors("retinanet-evaluate"):
        run(parse_args(sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
