"""Every option of a training: its name, default, range and help."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

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
from ..options import (
    BATCH,
    COUNT,
    DEPTH,
    EPOCH,
    POSITIVE,
    SEED,
    SHARE,
    SIDE,
    WIDTH,
    number_or,
    option,
    options_of,
    read_options,
)
from ..parts import Heads, Inputs, Pyramid
from ..presets import DETECTORS
from .recipes import RECIPES, recipe_options

BACKBONE = "resnet50"  # by default
OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "step", "constant", "plateau")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def _sides(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\s*[1-9][0-9]{0,4}\s*(,\s*[1-9][0-9]{0,4}\s*)*", text):
        raise InputError(f"must be whole numbers above 0, separated by commas, got {text[:50]}.")
    return tuple(map(int, text.split(",")))


start = partial(option, "start")
data = partial(option, "data")
model = partial(option, "model", kept_by="detector")
freeze = partial(option, "model", kept_by="snapshot")
loss = partial(option, "losses and assigner", kind=dict, metavar="NAME", kept_by="snapshot")
fit = partial(option, "training")
result = partial(option, "results")
COUNTED: dict[str, Any] = {"kind": int, "within": COUNT}
SIZE: dict[str, Any] = {"kind": int, "within": SIDE}


@dataclass(frozen=True)
class TrainConfig:
    """The options of `retinanet-train` and of `keras_retinanet.train`.

    Raises:
        InputError: for a value out of its range, or options that exclude each other.
    """

    snapshot: str | None = start(
        None, "resume from this snapshot, with the options of the command line", metavar="FILE"
    )
    imagenet_weights: bool = start(
        False, "start from a backbone trained on ImageNet (the default)", bool
    )
    weights: str | None = start(
        None,
        "fine-tune the detector in a .keras file for the classes of the data, or start from a "
        "weight file of the bare backbone",
        metavar="FILE",
    )
    no_weights: bool = start(False, "start from scratch", bool)
    recipe: str | None = start(
        None,
        f"options that go together: {', '.join(RECIPES)}, or a JSON file of options, such as the "
        "arguments.json of a run; options on the command line override it",
        metavar="NAME",
    )

    batch_size: int | None = data(
        None, "images in a batch (chosen by memory and data, at most 8)", int, within=BATCH
    )
    image_min_side: int = data(
        Inputs.image_min_side, "px that the short side is resized to", **SIZE, kept_by="snapshot"
    )
    image_max_side: int = data(
        Inputs.image_max_side, "px that the long side is at most", **SIZE, kept_by="snapshot"
    )
    no_resize: bool = data(False, "leave images as they are", bool)
    augmentation: str = data("default", "preset of random changes to images", known=AUGMENTATIONS)
    random_transform: bool = data(False, "same as --augmentation strong", bool)
    augment: tuple[dict, ...] = data(
        (),
        f"operations to add to those of --augmentation, or to replace: {', '.join(OPERATIONS)}; "
        "NAME:chance=0.5,strength=1, with chance=0 to switch one off",
        dict,
        known=OPERATIONS,
        metavar="NAME",
        several=True,
    )
    close_mosaic: int | None = data(
        None,
        "epochs at the end without mosaic and mixup (a tenth of all)",
        int,
        within=EPOCH,
        metavar="EPOCHS",
    )
    multi_scale: tuple[int, ...] = data(
        (),
        "short sides in px, one for each batch at random, instead of --image-min-side",
        int,
        read=_sides,
        within=SIDE,
        metavar="PX,PX",
    )
    repeat_threshold: float = data(
        0.0,
        "repeat images of rare classes: those in less than this share of the images, such as 0.1",
        float,
        within=SHARE,
        metavar="SHARE",
    )
    group_method: str = data("bucket", "rule for which images share a batch", known=GROUPINGS)
    strict: bool = data(
        False, "stop at images and boxes that cannot be used instead of dropping them", bool
    )
    seed: int = data(0, "random seed", int, within=SEED)
    workers: int | None = data(
        None,
        "threads that load batches (half of the processors, at most 8)",
        int,
        within="from 0 to 256",
    )
    max_queue_size: int = data(10, "batches loaded ahead", int, within="from 1 to 1024")
    multiprocessing: bool = data(
        False, "accepted for old scripts: loading uses threads", bool, hidden=True
    )

    backbone: str | None = option(
        "model", None, f"resnet18/34/50/101/152, mobilenet224_1.0, ... ({BACKBONE})"
    )
    config: str | None = option(
        "model", None, "INI file with anchors and pyramid levels", metavar="FILE"
    )
    fit_anchors: bool = option("model", False, "fit anchors and pyramid levels to the data", bool)
    feature_size: int = model(Pyramid.width, "width of the pyramid", int, within=WIDTH)
    head_size: int | None = model(None, "width of the heads (the pyramid's)", int, within=WIDTH)
    head_depth: int = model(
        Heads.depth, "3x3 convolutions before a head's output", int, within=DEPTH
    )
    detector: str = model(
        "retinanet",
        "retinanet, or gfl (Generalized Focal Loss): sets coder, anchors, norm of the heads, "
        "losses and assigner unless given",
        known=sorted(DETECTORS),
    )
    coder: dict | None = model(
        None,
        "box coder: center_size, corners, or distances, with bins=16 as distributions "
        "(center_size; gfl: distances:bins=16)",
        dict,
        known=CODERS,
        metavar="NAME",
    )
    iou_branch: bool = model(
        False, "also predict the IoU of each box, and multiply its scores by it", bool
    )
    prior_probability: float | None = model(
        Heads.prior_probability,
        "initial score of all anchors, or none for a bias of 0",
        float,
        read=number_or({"none": None}, float, "between 0 and 1"),
        within="between 0 and 1",
        metavar="P",
    )
    freeze_backbone: bool = freeze(False, "train pyramid and heads only", bool)
    freeze_stages: int = freeze(
        0,
        "freeze the first stages of the backbone: 1 for its stem, 2 to 5 for all up to C2 to C5",
        int,
        within="from 0 to 5",
        metavar="N",
    )
    freeze_bn: bool | None = freeze(
        None,
        "keep batch norm in inference mode (yes with weights, no from scratch). Live batch norm "
        "needs 16 images or more in a batch: train smaller batches from scratch with --norm "
        "group; --accumulate averages gradients over batches but not batch norm's statistics",
        bool,
    )
    norm: str | None = model(
        None,
        "normalization of the backbone (batch; from scratch with fewer than 16 images in a batch: "
        "group); "
        "sync_batch counts the batches of all GPUs together",
        known=("batch", "sync_batch", "group"),
    )
    head_norm: str | None = model(
        None,
        "normalization of pyramid and heads (none; with --norm group: group)",
        known=("none", "group"),
    )

    classification_loss: dict | None = loss(
        None,
        f"{', '.join(CLASSIFICATION_LOSSES)} (focal; gfl: quality_focal). alpha is a number, one "
        "for each class as (0.2,0.5), or 'inverse_frequency', from the boxes of each class",
        known=CLASSIFICATION_LOSSES,
    )
    box_loss: dict | None = loss(
        None, f"{', '.join(BOX_LOSSES)} (smooth_l1; gfl: gfl)", known=BOX_LOSSES
    )
    sampler: dict | None = loss(
        None,
        "leave easy anchors out of the classification loss: ohem (count=512, overlap=0.7, "
        "ratio=None) or hard_negative (ratio=3) (all anchors)",
        known=SAMPLERS,
        aliases=("--selector",),
    )
    warmup_loss: dict | None = loss(
        None, "the classification loss of the first epochs", known=CLASSIFICATION_LOSSES
    )
    warmup_loss_epochs: int | None = loss(None, "epochs of --warmup-loss", **COUNTED, metavar="N")
    assigner: dict | None = loss(
        None,
        "rule that matches anchors with boxes: iou, by thresholds (positive_overlap=0.5, "
        "negative_overlap=0.4, best_anchor=False), or atss (top_k=9) (iou; gfl: atss)",
        known=ASSIGNERS,
    )

    preflight: bool = fit(
        False, "first check that one batch can be overfitted, and stop if not", bool
    )
    epochs: int = fit(50, "epochs in all", **COUNTED)
    steps: int | None = fit(None, "batches in an epoch (the whole data set)", **COUNTED)
    initial_epoch: int | None = fit(
        None,
        "epoch to begin with, counted from 0 (the snapshot's next one, or 0)",
        int,
        within=EPOCH,
    )
    lr: float | None = fit(
        None,
        "peak learning rate (chosen by optimizer, batch size and width)",
        float,
        within=POSITIVE,
    )
    lr_find: bool = fit(
        False,
        "train a copy at rising rates first, and take the rate at which the loss falls most",
        bool,
        kept_by="snapshot",
    )
    optimizer: str = fit("adamw", "adamw or sgd", known=tuple(OPTIMIZERS), kept_by="snapshot")
    momentum: float = fit(0.9, "momentum of SGD", float, within=SHARE, kept_by="snapshot")
    schedule: str | None = fit(
        None,
        "course of the learning rate: cosine falls to --final-lr, step is divided by 10 after 2/3 "
        "and 8/9 of the batches, constant stays, plateau falls when AP has not risen (cosine; with "
        "--reduce-lr-patience: plateau)",
        known=SCHEDULES,
    )
    warmup_steps: int | None = fit(
        None,
        "updates until the rate is at its peak (5 percent of all, at most 1000)",
        int,
        within=EPOCH,
        metavar="N",
    )
    final_lr: float = fit(0.0, "rate at the end of the cosine", float, within="from 0 to 1000000")
    backbone_lr_factor: float = fit(
        1.0, "factor of the backbone's rate", float, within=SHARE, kept_by="snapshot"
    )
    average: float | None = fit(
        None,
        "evaluate and save a moving average of the weights with this decay for each update, such "
        "as 0.999",
        float,
        within="between 0 and 1",
        kept_by="snapshot",
        metavar="DECAY",
        aliases=("--ema",),
    )
    precision: str = fit(
        "float32",
        "number format to compute in; weights, losses and boxes stay float32",
        known=PRECISIONS,
        kept_by="snapshot",
    )
    jit: bool | None = fit(None, "compile the training step with XLA (where it pays)", bool)
    weight_decay: float | None = fit(
        None, "weight decay of kernels (0.0001)", float, within=SHARE, kept_by="snapshot"
    )
    accumulate: int = fit(1, "batches whose gradients make one optimizer step", **COUNTED)
    optimizer_clipnorm: float = fit(
        10.0,
        "largest norm of all gradients together",
        float,
        within=POSITIVE,
        kept_by="snapshot",
    )
    reduce_lr_patience: int | None = fit(
        None,
        "with --schedule plateau, epochs without a higher AP after which the rate falls (10)",
        int,
        within=EPOCH,
        metavar="EPOCHS",
    )
    reduce_lr_factor: float = fit(
        0.1, "factor of --reduce-lr-patience", float, within="between 0 and 1"
    )
    gpu: str | None = fit(None, "GPUs to use, such as 0 or 0,1, or cpu")
    devices: int = fit(
        0,
        "train on the first N devices of this machine, which share each batch; 0 is one",
        int,
        within="from 0 to 256",
        metavar="N",
        aliases=("--multi-gpu",),
    )
    coordinator: str | None = fit(
        None,
        "train on several hosts (JAX): the first one's address, with a free port",
        metavar="HOST:PORT",
    )
    num_hosts: int | None = fit(None, "hosts in all", **COUNTED, metavar="N")
    host_id: int | None = fit(
        None, "number of this host, from 0 on", int, within=EPOCH, metavar="N"
    )
    multi_gpu_force: bool = fit(False, "accepted for old scripts", bool, hidden=True)

    evaluate_every: int = result(
        1, "evaluate after every this many epochs, and after the last", **COUNTED, metavar="EPOCHS"
    )
    early_stopping: int | None = result(
        None, "end when AP has not risen for this many epochs", **COUNTED, metavar="EPOCHS"
    )
    time_budget: float | None = result(
        None,
        "save and stop after this time, as a signal does; --resume goes on",
        float,
        within=POSITIVE,
        metavar="MINUTES",
    )
    snapshot_path: str = result("./snapshots", "folder of the runs", metavar="DIR")
    run: str | None = result(
        None,
        "folder of this run in --snapshot-path (date, backbone and kind of data)",
        metavar="NAME",
    )
    snapshots: bool = result(True, "save snapshots", bool)
    save_minutes: float = result(
        10.0,
        "time between two saves within an epoch",
        float,
        within=POSITIVE,
        metavar="MINUTES",
    )
    evaluation: bool = result(True, "evaluate after each epoch", bool)
    compute_val_loss: bool = result(False, "compute the validation loss too", bool)
    weighted_average: bool = result(
        False, "print the Pascal VOC mAP weighted by the number of boxes of a class", bool
    )
    report: bool = result(
        True,
        "end with curves.png and a report on the best snapshot in the run's folder (with "
        "matplotlib)",
        bool,
    )
    tensorboard_dir: str | None = result(
        None,
        "write logs for TensorBoard there (where it is installed, tensorboard in the run's folder)",
        metavar="DIR",
    )
    tensorboard_freq: str | int = result(
        "epoch",
        "also write the losses of each batch, or of every Nth one",
        metavar="N",
        read=number_or({"epoch": "epoch", "batch": "batch"}, int, COUNT),
    )

    @classmethod
    def of(cls, **options: object) -> TrainConfig:
        """Return a config of options by name, choices as dicts or as text.

        The options of a recipe hold unless they are given, or exclude one that is.
        """
        given = read_options(cls, options)
        recipe = given.get("recipe")
        if not recipe:
            return cls(**given)
        try:
            shared = cls(**read_options(cls, recipe_options(recipe)))
        except InputError as error:
            raise InputError(str(error) if recipe in str(error) else f"{recipe}: {error}") from None
        excluded = {b for pair in EXCLUSIVE for a, b in (pair, pair[::-1]) if given.get(a)}
        kept = {name: value for name, value in vars(shared).items() if name not in excluded}
        return cls(**{**kept, **given})

    def __post_init__(self) -> None:
        for name, rule in options_of(self).items():
            rule.check(name, getattr(self, name))
        for one, other in EXCLUSIVE:
            if getattr(self, one) and getattr(self, other):
                raise InputError(f"{one} and {other} exclude each other; give one of them.")
        if self.reduce_lr_patience is not None and self.kind_of_schedule != "plateau":
            raise InputError(f"reduce_lr_patience has no effect on the schedule {self.schedule}.")
        if (self.warmup_loss is None) != (self.warmup_loss_epochs is None):
            raise InputError("warmup_loss and warmup_loss_epochs must be given together.")
        hosts = (self.coordinator, self.num_hosts, self.host_id)
        if None in hosts and any(value is not None for value in hosts):
            raise InputError("coordinator, num_hosts and host_id must be given together.")
        if self.host_id is not None and self.host_id >= self.num_hosts:
            raise InputError(
                f"host_id must be less than num_hosts ({self.num_hosts}), got {self.host_id}."
            )
        if self.coordinator and not re.fullmatch(r".+:\d{1,5}", self.coordinator):
            raise InputError(f"coordinator must be HOST:PORT, got {self.coordinator!r}.")
        if self.run is not None and not re.fullmatch(r"(?!\.{1,2}$)[^/\\]+", self.run):
            raise InputError(f"run must be the name of a folder, got {self.run!r}.")
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
    def last_unmixed(self) -> int:
        """The number of epochs at the end without mosaic and mixup."""
        return self.epochs // 10 if self.close_mosaic is None else self.close_mosaic

    @property
    def kind_of_schedule(self) -> str:
        """The name of the course of the learning rate."""
        return self.schedule or ("cosine" if self.reduce_lr_patience is None else "plateau")

    @property
    def wants_val(self) -> bool:
        """True if a split to evaluate on is used."""
        return self.evaluation or self.compute_val_loss

    @property
    def sides(self) -> tuple[int | None, int | None]:
        """The short and long side in px that images are resized to, None without resizing."""
        return (None, None) if self.no_resize else (self.image_min_side, self.image_max_side)


EXCLUSIVE = (
    *combinations(("snapshot", "imagenet_weights", "weights", "no_weights"), 2),
    ("multi_scale", "no_resize"),
    ("lr", "lr_find"),
    ("fit_anchors", "config"),
    ("fit_anchors", "snapshot"),
)
