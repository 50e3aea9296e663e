"""The arguments of `retinanet-train` that describe the model, its losses and its assigner."""

import argparse
import contextlib

from ..detectors import DETECTORS
from .choices import (
    ASSIGNERS,
    BOX_LOSSES,
    CLASSIFICATION_LOSSES,
    CODERS,
    SELECTORS,
    choice_of,
)

# what a detector settles that --weights names
STRUCTURE = (
    "--feature-size",
    "--head-size",
    "--head-depth",
    "--head-norm",
    "--norm",
    "--coder",
    "--detector",
    "--iou-branch",
    "--prior-probability",
)


def add_model_arguments(parser):
    model = parser.add_argument_group("model")
    model.add_argument(
        "--backbone", help="resnet18/34/50/101/152, mobilenet224_1.0, ... (resnet50)"
    )
    model.add_argument("--config", metavar="FILE", help="INI file with anchors and pyramid levels")
    model.add_argument(
        "--fit-anchors", action="store_true", help="fit anchors and pyramid levels to the data"
    )
    model.add_argument("--feature-size", type=int, default=256, help="pyramid width (%(default)s)")
    model.add_argument("--head-size", type=int, help="width of the heads (that of the pyramid)")
    model.add_argument(
        "--head-depth",
        type=int,
        default=4,
        help="3x3 convolutions before a head's output (%(default)s)",
    )
    model.add_argument(
        "--detector",
        default="retinanet",
        choices=sorted(DETECTORS),
        help="retinanet, or gfl (Generalized Focal Loss): what coder, anchors, norm of the heads, "
        "losses and assigner are where these are not given (%(default)s)",
    )
    model.add_argument(
        "--coder",
        type=choice_of(CODERS),
        metavar="NAME",
        help="how boxes are coded: center_size, corners, or distances, with bins=16 as "
        "distributions (center_size; gfl: distances:bins=16)",
    )
    model.add_argument(
        "--iou-branch",
        action="store_true",
        help="also predict the IoU of each box, and multiply its scores by it",
    )
    model.add_argument(
        "--prior-probability",
        type=prior,
        default=0.01,
        metavar="P",
        help="what the scores of all anchors start from, or none for a bias of 0 (%(default)s)",
    )
    model.add_argument(
        "--freeze-backbone", action="store_true", help="train pyramid and heads only"
    )
    model.add_argument(
        "--freeze-stages",
        type=int,
        choices=range(6),
        default=0,
        metavar="N",
        help="keep the first stages of the backbone from training: 1 its stem, 2 to 5 all that C2 "
        "to C5 are made of (%(default)s)",
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
        choices=["batch", "sync_batch", "group"],
        help="of the backbone (default: batch; from scratch with fewer than 16 "
        "images a batch: group); sync_batch counts the batches of all GPUs together",
    )
    model.add_argument(
        "--head-norm",
        choices=["none", "group"],
        help="of pyramid and heads (default: none; with --norm group: group)",
    )


def add_loss_arguments(parser):
    loss = parser.add_argument_group(
        "losses and assigner",
        "NAME, or NAME:argument=value,argument=value, such as focal:gamma=1,alpha=0.5",
    )
    loss.add_argument(
        "--classification-loss",
        type=choice_of(CLASSIFICATION_LOSSES),
        metavar="NAME",
        help=f"{', '.join(CLASSIFICATION_LOSSES)} (focal; gfl: quality_focal). alpha is a number, "
        "one for each class as (0.2,0.5), or 'inverse_frequency', from the boxes of each class",
    )
    loss.add_argument(
        "--box-loss",
        type=choice_of(BOX_LOSSES),
        metavar="NAME",
        help=f"{', '.join(BOX_LOSSES)} (smooth_l1; gfl: gfl)",
    )
    loss.add_argument(
        "--selector",
        type=choice_of(SELECTORS),
        metavar="NAME",
        help="leave easy anchors out of the classification loss: ohem (count=512, overlap=0.7, "
        "ratio=None) or hard_negative (ratio=3) (all anchors)",
    )
    loss.add_argument(
        "--warmup-loss",
        type=choice_of(CLASSIFICATION_LOSSES),
        metavar="NAME",
        help="the classification loss of the first epochs",
    )
    loss.add_argument(
        "--warmup-loss-epochs", type=int, metavar="N", help="with --warmup-loss: how many epochs"
    )
    loss.add_argument(
        "--assigner",
        type=choice_of(ASSIGNERS),
        metavar="NAME",
        help="which anchors stand for a box: iou, by thresholds (positive_overlap=0.5, "
        "negative_overlap=0.4, best_anchor=False), or atss (top_k=9) (iou; gfl: atss)",
    )


def prior(text):
    """A probability between 0 and 1, or None for "none"."""
    if text == "none":
        return None
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"expected none, or between 0 and 1. Received: {text}")
