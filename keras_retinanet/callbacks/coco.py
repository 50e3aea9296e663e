"""COCO's figures after every epoch."""

from __future__ import annotations

from typing import Any

import keras

from ..evaluation.report import SUMMARY, summary
from ..preprocessing.generator import Generator
from ..utils.coco_eval import evaluate_coco


class CocoEval(keras.callbacks.Callback):
    """Evaluate the inference model on `generator` each epoch and adds AP, AP50, ... to the logs.

    Wrap it in `RedirectModel(CocoEval(...), inference_model)` to train another model.
    """

    def __init__(
        self, generator: Generator, tensorboard: Any = None, threshold: float = 0.05
    ) -> None:
        super().__init__()
        self.generator = generator
        self.tensorboard = tensorboard
        self.threshold = threshold

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        metrics = evaluate_coco(self.generator, self.model, self.threshold)
        print(summary(metrics), flush=True)
        if logs is not None:
            figures = {name: metrics[name] for name in SUMMARY}
            logs.update({name: value for name, value in figures.items() if value is not None})
