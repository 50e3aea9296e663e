"""Makes the inference model of a training model: `retinanet-convert-model IN OUT`."""

import argparse
import os
import sys

from ..errors import InputError
from .cli import load_snapshot, read_config, user_errors


def parse_args(args):
    parser = argparse.ArgumentParser(
        prog="retinanet-convert-model",
        description="Convert a training model into an inference model: a .keras file, or a "
        "TensorFlow SavedModel when OUT has no suffix.",
    )
    parser.add_argument("model_in", metavar="IN", help="a .keras file")
    parser.add_argument("model_out", metavar="OUT", help="FILE.keras, or a folder for a SavedModel")
    parser.add_argument("--backbone", help="refuse a model with another one")
    parser.add_argument("--no-nms", dest="nms", action="store_false", help="suppress nothing")
    parser.add_argument(
        "--no-class-specific-filter",
        dest="class_specific_filter",
        action="store_false",
        help="let boxes of all classes suppress each other",
    )
    parser.add_argument("--config", metavar="FILE", help="INI file with anchors (the model's)")
    parser.add_argument("--nms-threshold", type=float, default=0.5, help="IoU (%(default)s)")
    parser.add_argument("--score-threshold", type=float, default=0.05, help="(%(default)s)")
    parser.add_argument("--max-detections", type=int, default=300, help="(%(default)s)")
    parser.add_argument("--parallel-iterations", type=int, default=32, help=argparse.SUPPRESS)
    return parser.parse_args(args)


def run(args):
    suffix = os.path.splitext(args.model_out)[1]
    if suffix not in ("", ".keras"):
        raise InputError(
            f"{args.model_out}: expected FILE.keras, or a folder name without a suffix for a "
            f"SavedModel. Received: {suffix}"
        )
    model = load_snapshot(args.model_in, args.backbone)
    if model.is_training_model:
        model = convert(args, model)
    elif suffix == ".keras":
        raise InputError(
            f"{args.model_in}: expected a training model. Received: an inference model"
        )
    os.makedirs(os.path.dirname(args.model_out) or ".", exist_ok=True)
    if suffix == ".keras":
        model.save(args.model_out)
    else:
        from ..export.saved_model import export_saved_model

        export_saved_model(model, args.model_out)
    print(f"wrote {args.model_out}")


def convert(args, model):
    """The inference model that the arguments describe."""
    from ..models import convert_model

    anchors, levels = read_config(args.config) if args.config else (None, None)
    return convert_model(
        model,
        nms=args.nms,
        class_specific_filter=args.class_specific_filter,
        anchor_params=anchors,
        pyramid_levels=levels,
        nms_threshold=args.nms_threshold,
        score_threshold=args.score_threshold,
        max_detections=args.max_detections,
    )


def main(args=None):
    with user_errors("retinanet-convert-model"):
        run(parse_args(sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
