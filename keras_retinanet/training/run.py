"""A training from its options to the trained model."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import keras

from ..detector import Detector
from ..doctor.checks import glance
from ..doctor.findings import sentence
from ..errors import InputError
from ..models import RetinaNet
from ..models.precision import set_precision
from ..preprocessing.best_recall import Recalls, best_recalls, of_all_classes
from ..preprocessing.dataset import Dataset, checked, fingerprints, with_classes
from ..preprocessing.readers.recognise import kind_of
from ..preprocessing.source import DataSource, OpenData, TrainingData
from ..utils.compilation import keep_compiled
from ..utils.gpu import setup_gpu
from ..utils.outputs import check_outputs, recorded_inputs
from ..utils.text import counted
from . import hosts
from .arguments import (
    HOSTS,
    Arguments,
    changed,
    check_unchanged,
    read_arguments,
    recording,
    resumed,
    write_arguments,
)
from .averaging import swap_averages
from .black_box import divergence_recorded
from .building import build_model, create_loaders, fitted_anchors, usual_anchors
from .callbacks import create_callbacks
from .config import BACKBONE, TrainConfig
from .devices import check_batch, scope
from .divergence import Diverged
from .epochs import fit_epochs
from .final_report import write_results
from .lr_find import find_rate
from .machine import suited
from .optimizer import make_optimizer, peak_rate
from .overfit import check_overfit, check_recalls, missed_classes
from .phases import phases_of
from .progress import first_step, is_finished, restore_seeds
from .run_folder import RunFolder, folder_of
from .sanity import check_choices, check_heads
from .start import Start, load_start, settle
from .stopping import stopping

Datasets = tuple[Dataset, Dataset | None]  # to train on, to evaluate on
RETRIES = 3  # at half the rate each, when the loss diverges
MAY_CHANGE = (
    *("epochs", "workers", "max_queue_size", "gpu", "devices", "save_minutes", "time_budget"),
    *("report", *HOSTS),
)


@dataclass(frozen=True)
class Trained:
    """A trained model, its snapshots, the best one first, and its data.

    `train` and `val` are checked; they are None if the training had finished before.
    """

    model: RetinaNet
    snapshots: list[str]
    data: TrainingData | OpenData
    train: Dataset | None = None
    val: Dataset | None = None


def train(
    data: str | os.PathLike | Dataset,
    val: str | os.PathLike | Dataset | None = None,
    *,
    kind: str | None = None,
    split: str | None = None,
    val_split: str | None = None,
    classes: str | os.PathLike | Sequence[str] | None = None,
    images: str | None = None,
    **options: object,
) -> Detector:
    """Train a detector on a data set; the Python form of `retinanet-train`.

    Args:
        data: the annotation file or folder of a data set in any format, or a `Dataset`.
        val: evaluated on after each epoch, of the same kind; by default the usual split of `data`.
        kind: the format, a key of `readers.READERS`; None recognises it from the files.
        split, val_split: the splits to train and to evaluate on, the usual ones by default.
        classes: the class names in label order, or a class file of rows `name,id`.
        images: the folder of the images, if it is not the format's usual one.
        **options: the fields of `TrainConfig`, such as `backbone="resnet50", epochs=20`; losses and
            the like as text, "focal:gamma=1", or as dicts.

    Returns:
        The trained `Detector`.

    Raises:
        InputError: for everything that the caller can fix.
    """
    config = TrainConfig.of(**options)
    if val is not None and isinstance(data, Dataset) != isinstance(val, Dataset):
        raise InputError("data and val must both be paths, or both be data sets.")
    if isinstance(data, Dataset):
        asked = {"split": split, "val_split": val_split, "classes": classes, "images": images}
        useless = [name for name, value in asked.items() if value is not None]
        if useless:
            raise InputError(f"{useless[0]} has no effect on a Dataset; open it with open_dataset.")
        held_out = with_classes(val, data.class_names) if isinstance(val, Dataset) else None
        return Detector(run(config, options, OpenData(data, held_out, kind or "dataset")).model)
    path = os.fspath(data)
    val_path = None if val is None or isinstance(val, Dataset) else os.fspath(val)
    source = DataSource(kind or kind_of(path), path, classes, images)
    return Detector(run(config, options, TrainingData(source, split, val_split, val_path)).model)


def run(config: TrainConfig, given: Collection[str], data: TrainingData | OpenData) -> Trained:
    """Train a detector.

    Args:
        given: the names of the options that the user gave.
        data: read once every option is checked.

    Raises:
        InputError: for everything that the user can fix.
    """
    with hosts.joined(config):
        config, start = prepare(config, given)
        with recorded_inputs() as files:
            train, val = check_datasets(config, *data.read(config.wants_val))

        def settled() -> tuple[TrainConfig, RunFolder | None]:
            folder, ready = None, suited(config, train)
            if config.snapshots:
                words = [config.backbone or BACKBONE, data.kind]
                folder = folder_of(config.snapshot_path, config.run, config.snapshot, words)
            check_writing(ready, folder, files)
            return ready, folder

        config, folder = hosts.from_first(settled)
        arguments = Arguments(data.described(), fingerprints(train, val), config, sorted(given))
        fitted = recorded(arguments, config, start, data, (train, val), folder)
    return Trained(*fitted, data, train, val)


def recorded(
    arguments: Arguments,
    config: TrainConfig,
    start: Start,
    data: TrainingData | OpenData,
    datasets: Datasets,
    folder: RunFolder | None,
) -> tuple[RetinaNet, list[str]]:
    """Train as `fit_with_retries` does, on all devices, and record the run in its folder."""
    with recording(folder if hosts.is_first() else None, arguments), scope(config.devices):
        fitted = fit_with_retries(arguments, config, start, *datasets, folder)
        if hosts.is_first():
            with hosts.own_devices():
                write_results(config, fitted[0], data, datasets[1], folder)
        return fitted


def resume(folder: str | os.PathLike, **options: object) -> Detector:
    """Go on with a training; the Python form of `retinanet-train --resume`.

    Args:
        folder: the run's, such as "snapshots/cards".
        **options: the options in `MAY_CHANGE` may differ from the run's.

    Returns:
        The trained `Detector`.

    Raises:
        InputError: for a folder that is not a run's, data that have changed, and other options.
    """
    return Detector(resume_run(os.fspath(folder), options).model)


def resume_run(path: str, options: Mapping[str, object]) -> Trained:
    """Go on with the training in a folder, with some options changed; see `resume`."""
    folder = RunFolder(path)
    held = changed(read_arguments(folder), options, MAY_CHANGE, path)
    if held.data is None:
        raise InputError(
            f"{path} was trained on data sets in memory; pass them to train, and snapshot="
            f"{folder.last!r}."
        )
    data = TrainingData.from_description(held.data)
    with hosts.joined(held.config):
        config = resumed(held.config, folder)
        config, start = prepare(config, () if config.snapshot else held.given)
        if start.kind == "snapshot" and is_finished(start.model, config.epochs):
            done = start.model.progress["epoch"]
            print(f"{path} is finished: {done} of {config.epochs} epochs.")
            return Trained(start.model, folder.snapshots(), data)
        train, val = check_datasets(config, *data.read(config.wants_val))
        check_unchanged(held.fingerprints, fingerprints(train, val), folder)
        fitted = recorded(held, config, start, data, (train, val), folder)
    return Trained(*fitted, data, train, val)


def prepare(config: TrainConfig, given: Collection[str]) -> tuple[TrainConfig, Start]:
    """Check the options before any work, and load the start of the training, which settles some."""
    if config.gpu is not None:
        setup_gpu(config.gpu)
    if config.tensorboard_dir and importlib.util.find_spec("tensorboard") is None:
        raise InputError(
            "tensorboard_dir needs TensorBoard: pip install 'keras-retinanet[tensorboard]'."
        )
    check_choices(config)
    if hosts.count() > 1 and (config.preflight or config.lr_find):
        raise InputError("preflight and lr_find need a single host; pass the lr to the training.")
    check_batch(config.batch_size, config.devices)
    keep_compiled()
    with scope(config.devices):
        start = load_start(config)
    config, ignored = settle(config, given, start)
    check_heads(config, start)
    if ignored:
        print(f"{start.path} decides these options, so they have no effect: {', '.join(ignored)}")
    if config.multiprocessing:
        print("multiprocessing has no effect: threads load the batches")
    return config, start


def check_datasets(config: TrainConfig, train: Dataset, val: Dataset | None) -> Datasets:
    """Return the data sets without unusable images and boxes, and print the doctor's findings."""
    splits = {"train": checked(train, config.strict)}
    if val:
        splits["val"] = checked(val, config.strict, need_boxes=False)
    for finding in glance(splits, None if config.no_resize else config.sides):
        if config.strict and finding.severity == "error":
            raise InputError(f"Found {sentence(finding)}")
        print(f"data, {finding.severity}: {sentence(finding)}")
    return splits["train"], splits.get("val")


def check_writing(
    config: TrainConfig, folder: RunFolder | None, files: list[str | os.PathLike]
) -> None:
    """Check that the snapshots and logs can be written, and replace none of the files read."""
    named = [path for path in (config.weights, config.config) if path]  # not a resumed snapshot
    if folder:
        for path in (folder.last, folder.best):  # one by one: they may be one file
            check_outputs({"snapshot_path": [path]}, [*named, *files])
    if config.tensorboard_dir:
        check_outputs({"tensorboard_dir": [os.path.join(config.tensorboard_dir, "train")]})


def fit_with_retries(
    arguments: Arguments,
    config: TrainConfig,
    start: Start,
    train: Dataset,
    val: Dataset | None,
    folder: RunFolder | None,
) -> tuple[RetinaNet, list[str]]:
    """Train as `fit` does; when the loss diverges, go back to the last snapshot at half the rate.

    Raises:
        Diverged: again after `RETRIES` returns, or at once without a folder.
    """
    for _ in range(RETRIES if folder else 0):
        try:
            return fit(config, start, train, val, folder)
        except Diverged as error:
            rate = error.peak / 2
            print(f"{error} Going back to the last snapshot, at half the rate: lr {rate:.3g}.")
        arguments = replace(arguments, config=replace(arguments.config, lr=rate, lr_find=False))
        if hosts.is_first():
            write_arguments(folder, arguments)
        config = resumed(arguments.config, folder)
        config, start = prepare(config, () if config.snapshot else arguments.given)
    return fit(config, start, train, val, folder)


def fit(
    config: TrainConfig, start: Start, train: Dataset, val: Dataset | None, folder: RunFolder | None
) -> tuple[RetinaNet, list[str]]:
    """Build the model, train it on checked data sets, and return it and its snapshots."""
    keras.utils.set_random_seed(config.seed)
    choose_anchors = fitted_anchors if config.fit_anchors else usual_anchors
    anchors = choose_anchors(config, start, train)
    model = build_model(config, start, train.class_names, anchors)
    if start.kind != "snapshot":
        set_precision(model, config.precision)
    training, validation = create_loaders(config, train, val, model)
    steps = config.steps or len(training)
    first = first_epoch(config, model)
    phases = phases_of(config, model, train)
    if config.lr_find and "peak_rate" not in model.progress:
        rate = find_rate(model, training, phases[0], config)
        model.progress = {**model.progress, "peak_rate": rate}
        keras.utils.set_random_seed(config.seed)
    optimizer = make_optimizer(config, model, steps, first)
    model.progress = {**model.progress, "stages": [vars(phase) for phase in phases]}
    recalls = best_recalls(train, training.sizing, training.anchoring)
    describe(train, val, recalls)
    if config.preflight:
        check_recalls(recalls)
        check_overfit(model, training, phases[0], peak_rate(config, model))
        keras.utils.set_random_seed(config.seed)
    if config.snapshot:
        done = first_step(model, first, steps)
        within = f" and {done} of {steps} batches" if done else ""
        print(f"resuming {config.snapshot} after epoch {first} of {config.epochs}{within}")
    restore_seeds(model)
    stopped = stopping() if folder else contextlib.nullcontext()
    alone = folder if hosts.count() == 1 else None
    with stopped as stop, divergence_recorded(alone, model, training):
        callbacks = create_callbacks(config, model, val, folder, steps, stop, training)
        for phase in phases:
            until = min(phase.until or config.epochs, config.epochs)
            if first >= until:
                continue
            phase.compile(model, optimizer, config.jit)
            if not model.optimizer.built:  # else TensorFlow traces twice
                model.optimizer.build(model.trainable_variables)
            fit_epochs(config, model, training, validation, range(first, until), steps, callbacks)
            first = until
            if model.stop_training:
                break
    snapshots = folder.snapshots() if folder else []
    for path in snapshots:
        print(f"saved {path}")
    swap_averages(model)
    return model, snapshots


def first_epoch(config: TrainConfig, model: RetinaNet) -> int:
    """Return the epoch to begin with, counted from 0; InputError when all of them are done."""
    done = model.progress.get("epoch", 0)
    first = done if config.initial_epoch is None else config.initial_epoch
    if first >= config.epochs:
        raise InputError(
            f"epochs must be more than the {first} that are done, got {config.epochs}."
        )
    return first


def describe(train: Dataset, val: Dataset | None, recalls: Recalls) -> None:
    """Print the numbers of images, classes and boxes, and the boxes that an anchor reaches.

    A further line names the classes with less than half of their boxes reached.
    """
    held_out = f", {len(val.records)} to evaluate on" if val else ""
    print(f"{len(train.records)} images to train on{held_out}")
    boxes = sum(count for count, _ in recalls.values())
    reached = of_all_classes(recalls)
    share = "" if reached is None else f", {reached:.1%} reached by an anchor"
    print(f"{counted(boxes, 'box')} of {counted(len(recalls), 'class')}{share}")
    if missed := missed_classes(recalls):
        print(f"data, warning: {missed}")
