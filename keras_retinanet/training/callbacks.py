"""The callbacks of a training."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cached_property

import keras

from ..detections import Detections
from ..detector import Detector
from ..evaluation import evaluate_coco, evaluate_voc, mean_average_precision
from ..evaluation.detections import detect_dataset
from ..evaluation.report import SUMMARY
from ..models import RetinaNet
from ..parts import PostProcess
from ..preprocessing.dataset import Dataset
from ..preprocessing.loader import Loader
from . import hosts
from .averaging import averaged
from .config import TrainConfig
from .console import OF_CLASS, Console, Live, counting
from .divergence import StopAtDivergence
from .ending import EarlyStopping, TimeBudget
from .figures import Figures
from .plateau import Plateau
from .run_folder import RunFolder
from .snapshots import Snapshots
from .stopping import Stop
from .tensorboard import TensorBoard

PATIENCE = 10  # epochs without a higher AP after which the rate falls on a plateau


class Evaluation(keras.callbacks.Callback):
    """Evaluate a detector on a data set each epoch and add AP, AP50, ... to the logs.

    "AP ball" is the AP of the class ball.

    Args:
        make_detector: called with the model for the detector, at the end of the first epoch.
        dataset: checked, with the classes of the detector.
        weighted_average: also print Pascal VOC's AP of each class and their mean, weighted by the
            number of boxes, and log it as "mAP".
        strict: raise an InputError at an image that is broken.
        every: epochs between two evaluations; the last of `epochs` is always evaluated.
        live: a line that shows how many images are done.

    Attributes:
        found: the images that could be read and their detections, after an evaluation.
    """

    def __init__(
        self,
        make_detector: Callable[[RetinaNet], Detector],
        dataset: Dataset,
        weighted_average: bool = False,
        strict: bool = False,
        every: int = 1,
        epochs: int | None = None,
        live: Live | None = None,
    ) -> None:
        super().__init__()
        self.live = live or Live()
        self.found: tuple[Dataset, list[Detections]] | None = None
        self.every = every
        self.epochs = epochs
        self.make_detector = make_detector
        self.dataset = dataset
        self.weighted_average = weighted_average
        self.on_error = "raise" if strict else "skip"

    @cached_property
    def judged(self) -> RetinaNet:
        return hosts.own_copy(self.model)

    @cached_property
    def detector(self) -> Detector:
        return self.make_detector(self.judged)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if (epoch + 1) % self.every and epoch + 1 != self.epochs:
            return
        show = counting(self.live, "evaluating", len(self.dataset.records))

        def detect(part: Dataset) -> tuple[Dataset, list]:
            return detect_dataset(self.detector, part, self.on_error, show)

        with averaged(self.model), hosts.own_devices():
            hosts.copy_weights(self.judged, self.model)
            dataset, detections = hosts.shared(detect, self.dataset)
        self.live.clear()
        self.found = dataset, detections
        metrics = evaluate_coco(dataset, detections)
        figures = {name: metrics[name] for name in SUMMARY if metrics[name] is not None}
        for name, of_class in metrics["per_class"].items():
            if of_class is not None:
                figures[f"{OF_CLASS}{name}"] = of_class["AP"]
        if self.weighted_average:
            figures["mAP"] = print_weighted(dataset, detections)
        if logs is not None:
            logs.update(figures)


def print_weighted(dataset: Dataset, detections: list) -> float:
    """Print Pascal VOC's AP of each class and return their mean, weighted by the boxes."""
    voc = evaluate_voc(dataset, detections)
    for label, (ap, count) in voc.items():
        print(f"{count:.0f} instances of class {dataset.class_names[label]}: {ap:.4f}")
    mean = mean_average_precision(voc, weighted=True)
    print(f"mAP: {mean:.4f}")
    return mean


def create_callbacks(
    config: TrainConfig,
    model: RetinaNet,
    val: Dataset | None,
    folder: RunFolder | None,
    steps: int = 0,
    stop: Stop | None = None,
    training: Loader | None = None,
) -> list[keras.callbacks.Callback]:
    """Return evaluation, the learning rate, the end, snapshots, TensorBoard, the check of the
    losses and what is printed, in this order.

    Args:
        folder: of the run; None saves nothing.
        steps: the batches in an epoch.
        stop: asked by signals to end the training once it is saved.
        training: the loader, for `Unread` logs; without it the losses are neither checked nor
            printed.
    """
    callbacks: list[keras.callbacks.Callback] = []
    live, snapshots, evaluation = Live(), None, None
    judged = val is not None and config.evaluation
    if judged:

        def make_detector(model: RetinaNet) -> Detector:
            return Detector(
                model,
                class_names=val.class_names,
                score_threshold=PostProcess.score_threshold,
                batch_size=config.batch_size or 1,
                no_resize=config.no_resize,
            )

        how = config.weighted_average, config.strict, config.evaluate_every, config.epochs, live
        evaluation = Evaluation(make_detector, val, *how)
        callbacks.append(evaluation)
    monitor, mode = ("AP", "max") if judged else ("loss", "min")
    if config.kind_of_schedule == "plateau":
        patience = PATIENCE if config.reduce_lr_patience is None else config.reduce_lr_patience
        factor = config.reduce_lr_factor
        callbacks.append(Plateau(monitor, factor, patience, verbose=1, mode=mode))
    callbacks.append(Figures(folder if hosts.is_first() else None))
    if config.early_stopping:
        callbacks.append(EarlyStopping(monitor, config.early_stopping, mode))
    if config.time_budget:
        callbacks.append(TimeBudget(config.time_budget, stop))
    if folder:
        before_end = judged or config.compute_val_loss
        snapshots = Snapshots(folder, "AP", steps, config.save_minutes, before_end, stop)
        callbacks.append(snapshots)
    if (logs := logs_of(config, folder)) and hosts.is_first():
        freq = config.tensorboard_freq
        every = {"epoch": None, "batch": 1}[freq] if isinstance(freq, str) else freq
        callbacks.append(TensorBoard(logs, every, steps, evaluation))
    if training:
        losses = StopAtDivergence(training.images_of, steps, folder.last if folder else None)
        figures = ["val_loss"] if config.compute_val_loss else []
        figures += ["AP", "AP50"] if judged else []
        console = Console(losses, training, steps, config.epochs, figures, snapshots, live)
        callbacks += [losses, console]
    return callbacks


def logs_of(config: TrainConfig, folder: RunFolder | None) -> str | None:
    """Return the folder of the logs for TensorBoard; None without one, or without TensorBoard."""
    if config.tensorboard_dir or folder is None:
        return config.tensorboard_dir
    return folder.tensorboard if importlib.util.find_spec("tensorboard") else None
