"""The arguments of `retinanet-train`. Imports nothing heavy, so that --help answers at once."""

import argparse

from ..detectors import DETECTORS
from .cli import check_numbers, check_sides
from .data_options import parse_with_data
from .image_options import (
    add_augmentation_arguments,
    add_grouping_argument,
    add_size_arguments,
    add_strict_argument,
)
from .model_options import STRUCTURE, add_loss_arguments, add_model_arguments

# what a snapshot settles
KEPT = (
    *STRUCTURE,
    "--freeze-backbone",
    "--freeze-stages",
    "--freeze-bn",
    "--no-freeze-bn",
    "--classification-loss",
    "--box-loss",
    "--selector",
    "--assigner",
    "--warmup-loss",
    "--warmup-loss-epochs",
    "--weight-decay",
    "--optimizer-clipnorm",
    "--image-min-side",
    "--image-max-side",
)


def parse_args(args):
    parser = argparse.ArgumentParser(
        prog="retinanet-train",
        usage="%(prog)s [options] DATASET ...",
        description="Train a RetinaNet.",
        add_help=False,
        allow_abbrev=False,  # what is given is looked up by its whole name
    )
    add_start_arguments(parser)
    add_model_arguments(parser)
    add_loss_arguments(parser)
    add_data_arguments(parser)
    add_training_arguments(parser)
    add_result_arguments(parser)
    given = {arg.partition("=")[0] for arg in args}
    args = check_numbers(parser, parse_with_data(parser, args, "train"))
    args.given = given  # as a detector's own settings may take the place of what is not
    args.kept = [option for option in KEPT if args.snapshot and option in given]
    if (args.warmup_loss is None) != (args.warmup_loss_epochs is None):
        parser.error("expected --warmup-loss and --warmup-loss-epochs together")
    chosen = DETECTORS[args.detector]
    for name in ("classification_loss", "box_loss", "assigner"):
        if getattr(args, name) is None:
            setattr(args, name, chosen[name])
    check_sides(args.image_min_side, args.image_max_side)
    if args.multi_scale and args.no_resize:
        parser.error("expected --multi-scale or --no-resize. Received: both")
    if args.fit_anchors and (args.config or args.snapshot):
        parser.error("expected --fit-anchors, or the anchors of --config or --snapshot")
    return args


def add_start_arguments(parser):
    start = parser.add_argument_group("start").add_mutually_exclusive_group()
    start.add_argument("--snapshot", metavar="FILE", help="resume the training of this snapshot")
    start.add_argument(
        "--imagenet-weights",
        action="store_true",
        help="start from a backbone trained on ImageNet (the default)",
    )
    start.add_argument(
        "--weights",
        metavar="FILE",
        help="start from a detector, a .keras file, whose classes become those of the data, or "
        "from a file of weights of the bare backbone",
    )
    start.add_argument("--no-weights", action="store_true", help="start from scratch")


def add_data_arguments(parser):
    data = parser.add_argument_group("data")
    data.add_argument("--batch-size", type=int, default=1, help="(%(default)s)")
    add_size_arguments(data)
    add_augmentation_arguments(data)
    data.add_argument(
        "--multi-scale",
        type=numbers,
        metavar="PX,PX",
        help="short sides, of which each batch takes one, instead of --image-min-side",
    )
    data.add_argument(
        "--repeat-threshold",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="repeat images with a class that fewer of the images show than this share, such as "
        "0.1 (%(default)s: none)",
    )
    add_grouping_argument(data)
    add_strict_argument(data)
    data.add_argument("--seed", type=int, default=0, help="of all that is random (%(default)s)")
    data.add_argument("--workers", type=int, default=1, help="that load (%(default)s)")
    data.add_argument("--max-queue-size", type=int, default=10, help="batches ahead (%(default)s)")
    data.add_argument(
        "--multiprocessing",
        action="store_true",
        help="workers are processes with shared memory instead of threads",
    )


def add_training_arguments(parser):
    fit = parser.add_argument_group("training")
    fit.add_argument(
        "--preflight",
        action="store_true",
        help="first see whether one batch can be learnt by heart, and stop if not",
    )
    fit.add_argument("--epochs", type=int, default=50, help="(%(default)s)")
    fit.add_argument("--steps", type=int, help="batches to an epoch (the data set)")
    fit.add_argument("--initial-epoch", type=int, help="(where the snapshot stopped, or 0)")
    fit.add_argument("--lr", type=float, help="peak learning rate (from the start and batch size)")
    fit.add_argument("--weight-decay", type=float, help="of AdamW (from the start)")
    fit.add_argument("--accumulate", type=int, default=1, help="batches to a step (%(default)s)")
    fit.add_argument(
        "--optimizer-clipnorm",
        type=float,
        default=10.0,
        help="largest norm of all gradients together (%(default)s)",
    )
    fit.add_argument(
        "--reduce-lr-patience",
        type=int,
        metavar="EPOCHS",
        help="instead of the cosine schedule, reduce the rate when AP stays this long",
    )
    fit.add_argument("--reduce-lr-factor", type=float, default=0.1, help="(%(default)s)")
    fit.add_argument("--gpu", help="the device to use, such as 0")
    fit.add_argument(
        "--multi-gpu", type=int, default=0, help="train on this many GPUs (TensorFlow)"
    )
    fit.add_argument("--multi-gpu-force", action="store_true", help=argparse.SUPPRESS)


def add_result_arguments(parser):
    out = parser.add_argument_group("results")
    out.add_argument("--snapshot-path", default="./snapshots", metavar="DIR", help="(%(default)s)")
    out.add_argument("--no-snapshots", dest="snapshots", action="store_false", help="save nothing")
    out.add_argument(
        "--no-evaluation",
        dest="evaluation",
        action="store_false",
        help="do not evaluate after each epoch",
    )
    out.add_argument("--compute-val-loss", action="store_true", help="also the validation loss")
    out.add_argument(
        "--weighted-average",
        action="store_true",
        help="print the Pascal VOC mAP weighted by the number of boxes of a class",
    )
    out.add_argument("--tensorboard-dir", metavar="DIR", help="write logs for TensorBoard there")
    out.add_argument(
        "--tensorboard-freq",
        type=frequency,
        default="epoch",
        help="epoch, batch, or a number of batches (%(default)s)",
    )


def numbers(text):
    """Whole numbers, separated by commas."""
    return [int(word) for word in text.split(",")]


def frequency(text):
    """How often TensorBoard is written to: "epoch", "batch" or a number of batches above 0."""
    if text in ("epoch", "batch"):
        return text
    if int(text) < 1:
        raise ValueError
    return int(text)
