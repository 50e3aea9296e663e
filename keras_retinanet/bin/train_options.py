"""The arguments of `retinanet-train`. Imports nothing heavy, so that --help answers at once."""

import argparse
import ast

from .cli import add_data_arguments, check_numbers, check_sides

# named here too, for the modules that define them import Keras
CLASSIFICATION_LOSSES = ("cross_entropy", "focal", "focal_star", "quality_focal", "varifocal")
BOX_LOSSES = ("l1", "l2", "smooth_l1", "iou", "giou", "diou", "ciou")
ASSIGNERS = ("iou", "atss")
# what a snapshot settles
KEPT = (
    "--feature-size",
    "--head-size",
    "--head-depth",
    "--head-norm",
    "--norm",
    "--coder",
    "--freeze-backbone",
    "--freeze-bn",
    "--no-freeze-bn",
    "--classification-loss",
    "--box-loss",
    "--weight-decay",
    "--optimizer-clipnorm",
    "--image-min-side",
    "--image-max-side",
)


def parse_args(args):
    parser = argparse.ArgumentParser(
        prog="retinanet-train",
        usage="%(prog)s [options] DATASET ...",
        description="Train a RetinaNet. Options stand before the data set.",
    )
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
        help="start from a file of weights of the bare backbone",
    )
    start.add_argument("--no-weights", action="store_true", help="start from scratch")
    model = parser.add_argument_group("model")
    model.add_argument(
        "--backbone", help="resnet18/34/50/101/152, mobilenet224_1.0, ... (resnet50)"
    )
    model.add_argument("--config", metavar="FILE", help="INI file with anchors and pyramid levels")
    model.add_argument("--feature-size", type=int, default=256, help="pyramid width (%(default)s)")
    model.add_argument("--head-size", type=int, help="width of the heads (that of the pyramid)")
    model.add_argument(
        "--head-depth",
        type=int,
        default=4,
        help="3x3 convolutions before a head's output (%(default)s)",
    )
    model.add_argument(
        "--coder",
        default="center_size",
        choices=["center_size", "corners"],
        help="how boxes are coded (%(default)s)",
    )
    model.add_argument(
        "--freeze-backbone", action="store_true", help="train pyramid and heads only"
    )
    model.add_argument(
        "--freeze-bn",
        action=argparse.BooleanOptionalAction,
        help="keep batch norm in inference mode (default: with weights yes, from "
        "scratch no). Live batch norm needs 16 images or more in a batch: train "
        "smaller batches from scratch with --norm group; --accumulate averages gradients "
        "over batches but not batch norm's statistics",
    )
    model.add_argument(
        "--norm",
        choices=["batch", "group"],
        help="of the backbone (default: batch; from scratch with fewer than 16 "
        "images a batch: group)",
    )
    model.add_argument(
        "--head-norm",
        choices=["none", "group"],
        help="of pyramid and heads (default: none; with --norm group: group)",
    )
    loss = parser.add_argument_group(
        "losses and assigner",
        "NAME, or NAME:argument=value,argument=value, such as focal:gamma=1,alpha=0.5",
    )
    loss.add_argument(
        "--classification-loss",
        type=choice_of(CLASSIFICATION_LOSSES),
        default="focal",
        metavar="NAME",
        help=f"{', '.join(CLASSIFICATION_LOSSES)} (%(default)s)",
    )
    loss.add_argument(
        "--box-loss",
        type=choice_of(BOX_LOSSES),
        default="smooth_l1",
        metavar="NAME",
        help=f"{', '.join(BOX_LOSSES)} (%(default)s)",
    )
    loss.add_argument(
        "--assigner",
        type=choice_of(ASSIGNERS),
        default="iou",
        metavar="NAME",
        help="which anchors stand for a box: iou, by thresholds (positive_overlap=0.5, "
        "negative_overlap=0.4, best_anchor=False), or atss (top_k=9) (%(default)s)",
    )
    data = parser.add_argument_group("data")
    data.add_argument("--batch-size", type=int, default=1, help="(%(default)s)")
    data.add_argument("--image-min-side", type=int, default=800, help="px (%(default)s)")
    data.add_argument("--image-max-side", type=int, default=1333, help="px (%(default)s)")
    data.add_argument("--no-resize", action="store_true", help="leave images as they are")
    data.add_argument(
        "--augmentation",
        default="default",
        choices=["none", "light", "default", "strong"],
        help="(%(default)s)",
    )
    data.add_argument("--random-transform", action="store_true", help="as --augmentation strong")
    data.add_argument(
        "--vertical-flip",
        action="store_true",
        help="also flip upside down, for pictures without an up",
    )
    data.add_argument(
        "--group-method",
        default="canvas",
        choices=["canvas", "ratio", "random", "none"],
        help="which images share a batch (%(default)s)",
    )
    data.add_argument(
        "--strict",
        action="store_true",
        help="stop at images and boxes that cannot be used instead of dropping them",
    )
    data.add_argument("--seed", type=int, default=0, help="of all that is random (%(default)s)")
    data.add_argument("--workers", type=int, default=1, help="threads that load (%(default)s)")
    data.add_argument("--max-queue-size", type=int, default=10, help="batches ahead (%(default)s)")
    data.add_argument("--multiprocessing", action="store_true", help=argparse.SUPPRESS)
    fit = parser.add_argument_group("training")
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
    add_data_arguments(parser, training=True)
    given = {arg.partition("=")[0] for arg in args}
    args = check_numbers(parser, parser.parse_args(args))
    args.kept = [option for option in KEPT if args.snapshot and option in given]
    check_sides(args.image_min_side, args.image_max_side)
    return args


def choice_of(names):
    """A reader of "name:argument=value,..." as {"name": ..., argument: ...}, for argparse."""

    def read(text):
        name, _, arguments = text.partition(":")
        if name not in names:
            raise argparse.ArgumentTypeError(
                f"expected one of {', '.join(names)}. Received: {name!r}"
            )
        pairs = [pair.partition("=")[::2] for pair in arguments.split(",") if pair]
        try:
            return {"name": name, **{key: ast.literal_eval(value) for key, value in pairs}}
        except (ValueError, SyntaxError):
            raise argparse.ArgumentTypeError(
                f"expected {name}:argument=number,... Received: {text!r}"
            ) from None

    return read


def frequency(text):
    """How often TensorBoard is written to: "epoch", "batch" or a number of batches above 0."""
    if text in ("epoch", "batch"):
        return text
    if int(text) < 1:
        raise ValueError
    return int(text)
