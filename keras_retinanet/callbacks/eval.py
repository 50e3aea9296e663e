"""Pascal VOC's figure after every epoch."""

from __future__ import annotations

import os
from typing import Any

import keras

from ..evaluation.generators import name_of
from ..evaluation.voc import mean_average_precision
from ..preprocessing.generator import Generator
from ..utils.eval import evaluate


class Evaluate(keras.callbacks.Callback):
    """Evaluate the inference model on `generator` each epoch and adds mAP to the logs."""

    def __init__(
        self,
        generator: Generator,
        iou_threshold: float = 0.5,
        score_threshold: float = 0.05,
        max_detections: int = 100,
        save_path: str | os.PathLike | None = None,
        tensorboard: Any = None,
        weighted_average: bool = False,
        verbose: int = 1,
    ) -> None:
        super().__init__()
        self.generator = generator
        self.iou_threshold = iou_threshold
        self.score_threshold = score_threshold
        self.max_detections = max_detections
        self.save_path = save_path
        self.tensorboard = tensorboard
        self.weighted_average = weighted_average
        self.verbose = verbose

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        figures, _ = evaluate(
            self.generator,
            self.model,
            self.iou_threshold,
            self.score_threshold,
            self.max_detections,
            self.save_path,
        )
        self.mean_ap = mean_average_precision(figures, weighted=self.weighted_average)
        if self.verbose:
            for label, (ap, count) in figures.items():
                name = name_of(self.generator, label)
                print(f"{count:.0f} instances of class {name}: {ap:.4f}")
            print(f"mAP: {self.mean_ap:.4f}")
        if logs is not None:
            logs["mAP"] = self.mean_ap
