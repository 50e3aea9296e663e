"""Convert a model for inference and for other runtimes: `retinanet-convert-model IN OUT`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..choices import written
from ..errors import InputError
from ..export.formats import FORMATS, Format, Target, format_of
from ..model_info import PRECISIONS
from ..options import DETECTIONS, SHARE, SIDE
from ..parts import PostProcess
from ..sources import find_images
from ..utils.outputs import check_outputs, make_folder, move_files
from .arguments import add_nms_options, number
from .cli import check_folder, start_backend, user_errors

IN_GRAPH = "in-graph"  # a choice of --nms

if TYPE_CHECKING:
    from ..models import RetinaNet
    from ..preprocessing.dataset import Dataset


def parse_args(args: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="retinanet-convert-model",
        usage="%(prog)s [options] IN OUT",
        description="Convert a model into an inference model (.keras), ONNX (.onnx), OpenVINO "
        "(.xml and .bin), LiteRT (.tflite), or a TensorFlow SavedModel (a folder).",
    )
    parser.add_argument("model_in", metavar="IN", help="a .keras file")
    parser.add_argument(
        "model_out", metavar="OUT", help="file to write, or for a SavedModel a folder"
    )
    parser.add_argument(
        "--format", choices=tuple(FORMATS), help="format of OUT (chosen by its suffix)"
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="float32",
        help="OpenVINO and LiteRT: float16, or int8 for weights and activations; LiteRT: dynamic, "
        "int8 for weights only (%(default)s)",
    )
    parser.add_argument(
        "--calibrate",
        metavar="SOURCE",
        help="image, folder or glob to calibrate int8 with; about 100 typical images",
    )
    parser.add_argument(
        "--size",
        type=size,
        metavar="WxH",
        help="input size of a LiteRT file in px (the size of a 4:3 image)",
    )
    parser.add_argument("--backbone", help="stop if the model has another backbone")
    kinds = add_nms_options(parser, in_graph=IN_GRAPH)
    kinds.add_argument(
        "--no-nms", dest="nms", action="store_const", const="none", help="same as --nms none"
    )
    parser.add_argument(
        "--no-class-specific-filter",
        dest="class_specific_filter",
        action="store_const",
        const=False,
        help="let boxes of different classes suppress each other",
    )
    parser.add_argument("--config", metavar="FILE", help="INI file with anchors (the model's)")
    parser.add_argument(
        "--score-threshold",
        type=number(float, SHARE),
        help=f"minimum score of a detection (the model's, or {PostProcess.score_threshold})",
    )
    parser.add_argument(
        "--max-detections",
        type=number(int, DETECTIONS),
        help="maximum number of detections in an image (the model's, or "
        f"{PostProcess.max_detections})",
    )
    proof = parser.add_mutually_exclusive_group()
    proof.add_argument(
        "--verify",
        metavar="SOURCE",
        help="images, or a data set for AP too, to compare OUT and the model (synthetic images); "
        "if they differ too much, OUT is left as OUT.rejected",
    )
    proof.add_argument("--no-verify", action="store_true", help="skip this comparison")
    parser.add_argument("--parallel-iterations", help=argparse.SUPPRESS)
    parsed = parser.parse_args(args)
    parsed.in_graph = parsed.nms == IN_GRAPH
    if parsed.in_graph:
        parsed.nms = "hard"
    return parsed


def size(text: str) -> tuple[int, int]:
    """Return (width, height) of WxH; the argument type of --size."""
    sides = text.split("x")
    if len(sides) != 2:
        raise argparse.ArgumentTypeError(f"must be WxH, such as 640x480, got {text[:50]}.")
    width, height = map(number(int, SIDE), sides)
    return width, height


def run(args: argparse.Namespace) -> None:
    rule = FORMATS[format_of(args.model_out, args.format)]
    check_target(args, rule)
    check_outputs({"OUT": rule.files(args.model_out)}, filter(None, (args.model_in, args.config)))
    images = find_images([args.calibrate]) if args.calibrate else []
    start_backend()
    from ..models.loading import load_retinanet

    model = load_retinanet(args.model_in, args.backbone, compile=False)
    if model.is_training_model:
        model = convert(args, model)
    elif rule.suffix == ".keras":
        raise InputError(f"{args.model_in} is an inference model already; pass a training model.")
    check_nms(args, model)
    if not rule.suffix:
        check_folder(args.model_out)
    target = target_of(args, rule, model, images)
    if rule.suffix == ".keras" or args.no_verify:
        rule.write(model, Path(args.model_out), target)
    else:
        write_proven(args, rule, model, target)
    print(f"wrote {args.model_out}")


def write_proven(args: argparse.Namespace, rule: Format, model: RetinaNet, target: Target) -> None:
    """Write an export if its results match the model's, else leave it as OUT.rejected and exit."""
    from ..detector import Detector
    from ..engines import engines_for
    from ..export.calibration import proof_images, usual_size
    from ..export.verify import size_of, verify

    paths, dataset = proof_of(args.verify, model)
    out = Path(args.model_out)
    folder = out if not rule.suffix else out.parent
    make_folder(folder)
    with tempfile.TemporaryDirectory(prefix=".", dir=folder) as part:
        place = Path(part) if not rule.suffix else Path(part, out.name)
        rule.write(model, place, target)
        shown = proof_images(paths, target.size or usual_size(model))
        engine = engines_for(place)[0]
        least = max(PostProcess.score_threshold, model.detection["score_threshold"])
        export = Detector.load(place, engine, score_threshold=least)
        sizes = size_of(args.model_in), sum(map(size_of, rule.files(place)))
        report = verify(model, export, shown, sizes, dataset)
        del export  # lets go of its files
        print("\n".join(report.lines()))
        faults = report.faults()
        move_files(part, folder, ".rejected" if faults else "")
    if faults:
        print(f"rejected: {' '.join(faults)}", file=sys.stderr)
        print(f"left as {args.model_out}.rejected", file=sys.stderr)
        sys.exit(1)


def proof_of(source: str | None, model: RetinaNet) -> tuple[list[str], Dataset | None]:
    """Return the images to compare an export on, and their data set if `source` is one."""
    if source is None:
        return [], None
    from ..choices import TEST_SPLITS
    from ..preprocessing.dataset import with_classes
    from ..preprocessing.readers.recognise import kind_of
    from ..preprocessing.source import open_dataset

    try:
        kind = kind_of(source)
    except InputError:  # images without annotations
        return find_images([source]), None
    dataset = open_dataset(source, kind, classes=model.class_names, usual=TEST_SPLITS)
    if model.class_names:
        dataset = with_classes(dataset, model.class_names)
    return [record.path for record in dataset.records], dataset


def check_target(args: argparse.Namespace, rule: Format) -> None:
    """Raise an InputError if the format does not have the options that the arguments ask for."""
    if args.precision not in rule.precisions:
        known = ", ".join(rule.precisions)
        raise InputError(
            f"{args.model_out} cannot have --precision {args.precision}; known: {known}."
        )
    if args.size and not rule.fixed:
        raise InputError(f"{args.model_out} takes images of any size; remove --size.")
    if args.in_graph and not rule.nms:
        raise InputError(
            f"{args.model_out} cannot have --nms {IN_GRAPH}; write an ONNX or LiteRT file."
        )
    if (args.precision == "int8") != bool(args.calibrate):
        raise InputError("--precision int8 and --calibrate SOURCE must be given together.")


def target_of(
    args: argparse.Namespace, rule: Format, model: RetinaNet, images: Sequence[str]
) -> Target:
    """Return the choices of an export, with calibration images prepared for the model."""
    from ..export.calibration import inputs_of, usual_size

    chosen = args.size or usual_size(model) if rule.fixed else None
    return Target(args.precision, chosen, inputs_of(model, images, chosen), args.in_graph)


def check_nms(args: argparse.Namespace, model: RetinaNet) -> None:
    """Raise an InputError if an inference model's NMS differs from the arguments."""
    from ..nms import config

    for name in ("nms", "nms_threshold"):
        asked, held = getattr(args, name), model.detection.get(name)
        if asked is not None and held != (config(asked) if name == "nms" else asked):
            flag = f"--{name.replace('_', '-')}"
            raise InputError(
                f"{args.model_in} is an inference model with {flag} {written(held)}; to change it, "
                "convert the training model."
            )


def convert(args: argparse.Namespace, model: RetinaNet) -> RetinaNet:
    """Return the inference model that the arguments describe."""
    from ..models import convert_model
    from ..models.loading import anchors_for

    return convert_model(
        model,
        class_specific_filter=args.class_specific_filter,
        anchor_params=args.config and anchors_for(args.config, model),
        nms=args.nms,
        nms_threshold=args.nms_threshold,
        score_threshold=args.score_threshold,
        max_detections=args.max_detections,
    )


def main(args: Sequence[str] | None = None) -> None:
    with user_errors("retinanet-convert-model"):
        run(parse_args(sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
