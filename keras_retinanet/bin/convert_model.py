"""Convert a training model into an inference model: `retinanet-convert-model IN OUT`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..choices import written
from ..errors import InputError
from ..options import DETECTIONS, SHARE
from ..parts import PostProcess
from ..utils.outputs import check_outputs
from .arguments import add_nms_options, number
from .cli import check_folder, start_backend, user_errors

if TYPE_CHECKING:
    from ..models import RetinaNet

SAVED_MODEL = (
    "fingerprint.pb",
    "saved_model.pb",
    "variables/variables.data-00000-of-00001",
    "variables/variables.index",
)


def parse_args(args: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="retinanet-convert-model",
        usage="%(prog)s [options] IN OUT",
        description="Convert a training model into an inference model: a .keras file, or a "
        "TensorFlow SavedModel when OUT has no suffix.",
    )
    parser.add_argument("model_in", metavar="IN", help="a .keras file")
    parser.add_argument("model_out", metavar="OUT", help="FILE.keras, or a folder for a SavedModel")
    parser.add_argument("--backbone", help="refuse a model with another backbone")
    kinds = add_nms_options(parser)
    kinds.add_argument(
        "--no-nms", dest="nms", action="store_const", const="none", help="same as --nms none"
    )
    parser.add_argument(
        "--no-class-specific-filter",
        dest="class_specific_filter",
        action="store_const",
        const=False,
        help="let boxes of all classes suppress each other",
    )
    parser.add_argument("--config", metavar="FILE", help="INI file with anchors (the model's)")
    parser.add_argument(
        "--score-threshold",
        type=number(float, SHARE),
        help=f"least score of a detection (the model's, or {PostProcess.score_threshold})",
    )
    parser.add_argument(
        "--max-detections",
        type=number(int, DETECTIONS),
        help="largest number of detections in an image (the model's, or "
        f"{PostProcess.max_detections})",
    )
    parser.add_argument("--parallel-iterations", help=argparse.SUPPRESS)
    return parser.parse_args(args)


def run(args: argparse.Namespace) -> None:
    suffix = os.path.splitext(args.model_out)[1]
    if suffix not in ("", ".keras"):
        raise InputError(
            f"{args.model_out} has the suffix {suffix}; name FILE.keras, or a folder without a "
            "suffix for a SavedModel."
        )
    outputs = [args.model_out]
    if not suffix:
        outputs = [os.path.join(args.model_out, name) for name in SAVED_MODEL]
    check_outputs({"OUT": outputs}, filter(None, (args.model_in, args.config)))
    start_backend()
    from ..models.loading import load_retinanet

    model = load_retinanet(args.model_in, args.backbone, compile=False)
    if model.is_training_model:
        model = convert(args, model)
    elif suffix == ".keras":
        raise InputError(f"{args.model_in} is an inference model; name a training model.")
    check_nms(args, model)
    if suffix == ".keras":
        from ..training.snapshots import save_whole

        save_whole(model, args.model_out)
    else:
        from ..export.saved_model import export_saved_model

        check_folder(args.model_out)
        export_saved_model(model, args.model_out)
    print(f"wrote {args.model_out}")


def check_nms(args: argparse.Namespace, model: RetinaNet) -> None:
    """Raise an InputError if the inference model has another NMS than the arguments ask for."""
    from ..nms import config

    for name in ("nms", "nms_threshold"):
        asked, held = getattr(args, name), model.detection.get(name)
        if asked is not None and held != (config(asked) if name == "nms" else asked):
            raise InputError(
                f"{args.model_in} is an inference model with the {name} {written(held)}; convert "
                "its training model for another one."
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
