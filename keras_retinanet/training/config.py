"""Every option of a training: its name, default, range and help."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from itertools import combinations

from ..choices import (
    ASSIGNERS,
    AUGMENTATIONS,
    BOX_LOSSES,
    CLASSIFICATION_LOSSES,
    CODERS,
    GROUPINGS,
    OPERATIONS,
    SAMPLERS,
    complete,
)
from ..errors import InputError
from ..options import option, options_of, read_options
from ..parts import Heads, Inputs, Pyramid
from ..presets import DETECTORS

BACKBONE = "resnet50"  # by default


def _prior(text: str) -> float | None:
    """Return a probability between 0 and 1, or None for "none"."""
    if text == "none":
        return None
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 1:
            return float(text)
    raise InputError(f"must be none, or between 0 and 1, got {text}.")


def _frequency(text: str) -> str | int:
    """Return "epoch", "batch" or a number of batches above 0."""
    if text in ("epoch", "batch"):
        return text
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"must be epoch, batch or a number of batches, got {text}.")
    return int(text)


def _sides(text: str) -> tuple[int, ...]:
    """Return whole numbers that are separated by commas."""
    words = text.split(",")
    if not all(word.strip().isdecimal() and int(word) for word in words):
        raise InputError(f"must be whole numbers above 0, separated by commas, got {text}.")
    return tuple(map(int, words))


start = partial(option, "start")
data = partial(option, "data")
model = partial(option, "model")
loss = partial(option, "losses and assigner")
fit = partial(option, "training")
result = partial(option, "results")


@dataclass(frozen=True)
class TrainConfig:
    """The options of `retinanet-train` and of `keras_retinanet.train`.

    Raises:
        InputError: for a value out of its range, or options that exclude each other.
    """

    snapshot: str | None = start(None, "resume the training of this snapshot", metavar="FILE")
    imagenet_weights: bool = start(
        False, "start from a backbone trained on ImageNet (the default)", bool
    )
    weights: str | None = start(
        None,
        "start from a detector, a .keras file, whose classes become those of the data, or from a "
        "file of weights of the bare backbone",
        metavar="FILE",
    )
    no_weights: bool = start(False, "start from scratch", bool)

    batch_size: int = data(1, "images in a batch", int, within="more than 0")
    image_min_side: int = data(
        Inputs.image_min_side,
        "px that the short side is resized to",
        int,
        within="more than 0",
        kept_by="snapshot",
    )
    image_max_side: int = data(
        Inputs.image_max_side,
        "px that the long side is at most",
        int,
        within="more than 0",
        kept_by="snapshot",
    )
    no_resize: bool = data(False, "leave images as they are", bool)
    augmentation: str = data("default", "random changes of images", known=AUGMENTATIONS)
    random_transform: bool = data(False, "as --augmentation strong", bool)
    augment: tuple[dict, ...] = data(
        (),
        f"operations beside those of --augmentation, or instead: {', '.join(OPERATIONS)}; "
        "NAME:chance=0.5,strength=1, with chance=0 to switch one off",
        dict,
        known=OPERATIONS,
        metavar="NAME",
        several=True,
    )
    multi_scale: tuple[int, ...] = data(
        (),
        "short sides, of which each batch takes one, instead of --image-min-side",
        int,
        read=_sides,
        within="more than 0",
        metavar="PX,PX",
    )
    repeat_threshold: float = data(
        0.0,
        "repeat images with a class that a smaller share of the images shows, such as 0.1",
        float,
        within="from 0 to 1",
        metavar="SHARE",
    )
    group_method: str = data(
        "bucket", "which images share a batch, and their order", known=GROUPINGS
    )
    strict: bool = data(
        False, "stop at images and boxes that cannot be used instead of dropping them", bool
    )
    seed: int = data(0, "of everything random", int, within="from 0 to 4294967295")
    workers: int = data(1, "threads that load", int, within="0 or more")
    max_queue_size: int = data(10, "batches loaded ahead", int, within="more than 0")
    multiprocessing: bool = data(
        False, "accepted for old scripts: loading uses threads", bool, hidden=True
    )

    backbone: str | None = model(
        None, f"resnet18/34/50/101/152, mobilenet224_1.0, ... ({BACKBONE})"
    )
    config: str | None = model(None, "INI file with anchors and pyramid levels", metavar="FILE")
    fit_anchors: bool = model(False, "fit anchors and pyramid levels to the data", bool)
    feature_size: int = model(
        Pyramid.width, "width of the pyramid", int, within="more than 0", kept_by="detector"
    )
    head_size: int | None = model(
        None,
        "width of the heads (that of the pyramid)",
        int,
        within="more than 0",
        kept_by="detector",
    )
    head_depth: int = model(
        Heads.depth,
        "3x3 convolutions before a head's output",
        int,
        within="0 or more",
        kept_by="detector",
    )
    detector: str = model(
        "retinanet",
        "retinanet, or gfl (Generalized Focal Loss): sets coder, anchors, norm of the heads, "
        "losses and assigner where these are not given",
        known=sorted(DETECTORS),
        kept_by="detector",
    )
    coder: dict | None = model(
        None,
        "how boxes are coded: center_size, corners, or distances, with bins=16 as distributions "
        "(center_size; gfl: distances:bins=16)",
        dict,
        known=CODERS,
        metavar="NAME",
        kept_by="detector",
    )
    iou_branch: bool = model(
        False,
        "also predict the IoU of each box, and multiply its scores by it",
        bool,
        kept_by="detector",
    )
    prior_probability: float | None = model(
        Heads.prior_probability,
        "initial score of all anchors, or none for a bias of 0",
        float,
        read=_prior,
        metavar="P",
        kept_by="detector",
    )
    freeze_backbone: bool = model(False, "train pyramid and heads only", bool, kept_by="snapshot")
    freeze_stages: int = model(
        0,
        "freeze the first stages of the backbone: 1 its stem, 2 to 5 everything up to C2 to C5",
        int,
        within="from 0 to 5",
        metavar="N",
        kept_by="snapshot",
    )
    freeze_bn: bool | None = model(
        None,
        "keep batch norm in inference mode (with weights yes, from scratch no). Live batch norm "
        "needs 16 images or more in a batch: train smaller batches from scratch with --norm "
        "group; --accumulate averages gradients over batches but not batch norm's statistics",
        bool,
        kept_by="snapshot",
    )
    norm: str | None = model(
        None,
        "of the backbone (batch; from scratch with fewer than 16 images a batch: group); "
        "sync_batch counts the batches of all GPUs together",
        known=("batch", "sync_batch", "group"),
        kept_by="detector",
    )
    head_norm: str | None = model(
        None,
        "of pyramid and heads (none; with --norm group: group)",
        known=("none", "group"),
        kept_by="detector",
    )

    classification_loss: dict | None = loss(
        None,
        f"{', '.join(CLASSIFICATION_LOSSES)} (focal; gfl: quality_focal). alpha is a number, one "
        "for each class as (0.2,0.5), or 'inverse_frequency', from the boxes of each class",
        dict,
        known=CLASSIFICATION_LOSSES,
        metavar="NAME",
        kept_by="snapshot",
    )
    box_loss: dict | None = loss(
        None,
        f"{', '.join(BOX_LOSSES)} (smooth_l1; gfl: gfl)",
        dict,
        known=BOX_LOSSES,
        metavar="NAME",
        kept_by="snapshot",
    )
    sampler: dict | None = loss(
        None,
        "leave easy anchors out of the classification loss: ohem (count=512, overlap=0.7, "
        "ratio=None) or hard_negative (ratio=3) (all anchors)",
        dict,
        known=SAMPLERS,
        metavar="NAME",
        kept_by="snapshot",
        aliases=("--selector",),
    )
    warmup_loss: dict | None = loss(
        None,
        "the classification loss of the first epochs",
        dict,
        known=CLASSIFICATION_LOSSES,
        metavar="NAME",
        kept_by="snapshot",
    )
    warmup_loss_epochs: int | None = loss(
        None,
        "with --warmup-loss: how many epochs",
        int,
        within="more than 0",
        metavar="N",
        kept_by="snapshot",
    )
    assigner: dict | None = loss(
        None,
        "which anchors match a box: iou, by thresholds (positive_overlap=0.5, "
        "negative_overlap=0.4, best_anchor=False), or atss (top_k=9) (iou; gfl: atss)",
        dict,
        known=ASSIGNERS,
        metavar="NAME",
        kept_by="snapshot",
    )

    preflight: bool = fit(
        False, "first check that one batch can be overfitted, and stop if not", bool
    )
    epochs: int = fit(50, "epochs", int, within="more than 0")
    steps: int | None = fit(None, "batches to an epoch (the data set)", int, within="more than 0")
    initial_epoch: int | None = fit(
        None, "(where the snapshot stopped, or 0)", int, within="0 or more"
    )
    lr: float | None = fit(
        None, "peak learning rate (from the start and batch size)", float, within="more than 0"
    )
    weight_decay: float | None = fit(
        None, "of AdamW (from the start)", float, within="0 or more", kept_by="snapshot"
    )
    accumulate: int = fit(1, "batches to an optimizer step", int, within="more than 0")
    optimizer_clipnorm: float = fit(
        10.0,
        "largest norm of all gradients together",
        float,
        within="more than 0",
        kept_by="snapshot",
    )
    reduce_lr_patience: int | None = fit(
        None,
        "instead of the cosine schedule, reduce the rate when AP stays this long",
        int,
        within="0 or more",
        metavar="EPOCHS",
    )
    reduce_lr_factor: float = fit(0.1, "of --reduce-lr-patience", float, within="between 0 and 1")
    gpu: str | None = fit(None, "the device to use, such as 0")
    multi_gpu: int = fit(0, "train on this many GPUs (TensorFlow)", int, within="0 or more")
    multi_gpu_force: bool = fit(False, "accepted for old scripts", bool, hidden=True)

    snapshot_path: str = result("./snapshots", "folder of the snapshots", metavar="DIR")
    snapshots: bool = result(True, "save snapshots after each epoch", bool)
    evaluation: bool = result(True, "evaluate after each epoch", bool)
    compute_val_loss: bool = result(False, "also the validation loss", bool)
    weighted_average: bool = result(
        False, "print the Pascal VOC mAP weighted by the number of boxes of a class", bool
    )
    tensorboard_dir: str | None = result(None, "write logs for TensorBoard there", metavar="DIR")
    tensorboard_freq: str | int = result(
        "epoch", "epoch, batch, or a number of batches", read=_frequency
    )

    @classmethod
    def of(cls, **options: object) -> TrainConfig:
        """Return a config of options by name, choices as dicts or as text."""
        return cls(**read_options(cls, options))

    def __post_init__(self) -> None:
        for name, rule in options_of(self).items():
            rule.check(name, getattr(self, name))
        for one, other in EXCLUSIVE:
            if getattr(self, one) and getattr(self, other):
                raise InputError(f"{one} and {other} exclude each other; give one of them.")
        if (self.warmup_loss is None) != (self.warmup_loss_epochs is None):
            raise InputError("warmup_loss and warmup_loss_epochs must be given together.")
        self.operations  # noqa: B018  checks them

    @property
    def operations(self) -> dict[str, dict[str, float]]:
        """The operations of `augmentation` and `augment`: {operation: {"chance", "strength"}}."""
        chosen = dict(AUGMENTATIONS["strong" if self.random_transform else self.augmentation])
        for asked in self.augment:
            arguments = {key: value for key, value in asked.items() if key != "name"}
            chosen[asked["name"]] = {**chosen.get(asked["name"], {}), **arguments}
        try:
            return complete(chosen)
        except ValueError as error:
            raise InputError(f"augment: {error}") from None

    @property
    def sides(self) -> tuple[int | None, int | None]:
        """The short and long side in px that images are resized to, None without resizing."""
        return (None, None) if self.no_resize else (self.image_min_side, self.image_max_side)


EXCLUSIVE = (
    *combinations(("snapshot", "imagenet_weights", "weights", "no_weights"), 2),
    ("multi_scale", "no_resize"),
    ("fit_anchors", "config"),
    ("fit_anchors", "snapshot"),
)
