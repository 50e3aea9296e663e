"""Makes the inference model of a training model: `retinanet-convert-model IN OUT`."""

import argparse
import os
import sys

from ..errors import InputError
from ..utils.outputs import check_outputs
from .cli import anchor_options, check_folder, check_numbers, load_snapshot, user_errors
from .nms_options import add_nms_arguments, check_nms, nms_options

SAVED_MODEL = (
    "fingerprint.pb",
    "saved_model.pb",
    "variables/variables.data-00000-of-00001",
    "variables/variables.index",
)


def parse_args(args):
    parser = argparse.ArgumentParser(
        prog="retinanet-convert-model",
        usage="%(prog)s [options] IN OUT",
        description="Convert a training model into an inference model: a .keras file, or a "
        "TensorFlow SavedModel when OUT has no suffix.",
    )
    parser.add_argument("model_in", metavar="IN", help="a .keras file")
    parser.add_argument("model_out", metavar="OUT", help="FILE.keras, or a folder for a SavedModel")
    parser.add_argument("--backbone", help="refuse a model with another one")
    kinds = add_nms_arguments(parser)
    kinds.add_argument(
        "--no-nms", dest="nms", action="store_const", const="none", help="as --nms none"
    )
    parser.add_argument(
        "--no-class-specific-filter",
        dest="class_specific_filter",
        action="store_const",
        const=False,
        help="let boxes of all classes suppress each other",
    )
    parser.add_argument("--config", metavar="FILE", help="INI file with anchors (the model's)")
    parser.add_argument("--score-threshold", type=float, help="(the model's, or 0.05)")
    parser.add_argument("--max-detections", type=int, help="(the model's, or 300)")
    parser.add_argument("--parallel-iterations", type=int, default=32, help=argparse.SUPPRESS)
    return check_numbers(parser, parser.parse_args(args))


def run(args):
    suffix = os.path.splitext(args.model_out)[1]
    if suffix not in ("", ".keras"):
        raise InputError(
            f"{args.model_out}: expected FILE.keras, or a folder name without a suffix for a "
            f"SavedModel. Received: {suffix}"
        )
    written = [args.model_out]
    if not suffix:
        written = [os.path.join(args.model_out, name) for name in SAVED_MODEL]
    check_outputs({"OUT": written}, filter(None, (args.model_in, args.config)))
    model = load_snapshot(args.model_in, args.backbone, compile=False)
    if model.is_training_model:
        model = convert(args, model)
    elif suffix == ".keras":
        raise InputError(
            f"{args.model_in}: expected a training model. Received: an inference model"
        )
    check_nms(args.model_in, model, args)
    if suffix == ".keras":
        from ..callbacks.snapshots import save_whole

        save_whole(model, args.model_out)
    else:
        from ..export.saved_model import export_saved_model

        check_folder(args.model_out)
        export_saved_model(model, args.model_out)
    print(f"wrote {args.model_out}")


def convert(args, model):
    """The inference model that the arguments describe."""
    from ..models import convert_model

    return convert_model(
        model,
        class_specific_filter=args.class_specific_filter,
        **anchor_options(args.config, model),
        **nms_options(args),
        score_threshold=args.score_threshold,
        max_detections=args.max_detections,
    )


def main(args=None):
    with user_errors("retinanet-convert-model"):
        run(parse_args(sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
