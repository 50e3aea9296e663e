"""Logs for TensorBoard: figures of epochs and batches, precision against recall, and images."""

from __future__ import annotations

import base64
import io
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

from ..detections import Detections
from ..evaluation.galleries import BLUE, GREEN, SIZE
from ..evaluation.matching import match
from ..evaluation.thresholds import Curve, curve_of
from ..preprocessing.dataset import Dataset
from ..utils.text import printable
from ..utils.thumbnails import Layer, thumbnail
from .console import OF_CLASS
from .divergence import read
from .progress import first_step

THRESHOLDS = np.linspace(0, 1, 101)  # of the curves
SHOWN = 0.3  # least score of a detection in an image
MOST_IMAGES = 8
MOST_CLASSES = 20  # with a curve


class EventFile:
    """A file of TensorBoard's events; of earlier files those from `step` on do not count."""

    def __init__(self, folder: str, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        os.makedirs(folder, exist_ok=True)
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}.{os.getpid()}"
        self.file = open(Path(folder, name), "wb")  # noqa: SIM115  for as long as the training
        self.records = RecordWriter(self.file)
        self._write(file_version="brain.Event:2")
        self._write(step=step, session_log=SessionLog(status=SessionLog.START))

    def scalars(self, step: int, values: dict[str, float]) -> None:
        self._add(step, [{"tag": tag, "simple_value": value} for tag, value in values.items()])

    def image(self, step: int, tag: str, data: bytes) -> None:
        """Add an image that is encoded as JPEG or PNG."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
        shown = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=data)
        self._add(step, [{"tag": tag, "image": shown}])

    def curve(self, step: int, tag: str, curve: Curve) -> None:
        """Add precision and recall at `THRESHOLDS`; right absences are not counted, so 0."""
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
        from tensorboard.compat.proto.types_pb2 import DT_FLOAT
        from tensorboard.plugins.pr_curve.metadata import create_summary_metadata

        at = curve.at(THRESHOLDS)
        rows = np.stack(  # (6, t)
            [
                at.hits,
                at.detections - at.hits,
                np.zeros(len(THRESHOLDS)),
                at.objects - at.hits,
                at.precision,
                at.recall,
            ]
        )
        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=side) for side in rows.shape])
        tensor = TensorProto(dtype=DT_FLOAT, float_val=rows.ravel().tolist(), tensor_shape=shape)
        metadata = create_summary_metadata(tag, "at IoU 0.5", len(THRESHOLDS))
        self._add(step, [{"tag": tag, "tensor": tensor, "metadata": metadata}])

    def flush(self) -> None:
        self.file.flush()

    def close(self) -> None:
        self.file.close()

    def _add(self, step: int, values: list[dict[str, Any]]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        summary = Summary(value=[Summary.Value(**each) for each in values])
        self._write(step=step, summary=summary)

    def _write(self, **content: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        event = Event(wall_time=time.time(), **content)
        self.records.write(event.SerializeToString())


class TensorBoard(keras.callbacks.Callback):
    """Write the logs of epochs, curves and images, and those of batches if asked for.

    Args:
        folder: of the logs; those of batches are in "batches" there.
        every: batches between two logs of losses, which waits for the device; None for none.
        steps: the batches in an epoch.
        evaluation: comes before this callback and keeps what it found; None without evaluation.
    """

    def __init__(self, folder: str, every: int | None, steps: int, evaluation: Any = None) -> None:
        super().__init__()
        self.folder = folder
        self.every = every
        self.steps = steps
        self.evaluation = evaluation
        self.epoch = self.first = 0
        self.epochs: EventFile | None = None
        self.batches: EventFile | None = None

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch, self.first = epoch, first_step(self.model, epoch, self.steps)
        if self.epochs is None:
            self.epochs = EventFile(self.folder, epoch + 1)
        if self.every and self.batches is None:
            begin = epoch * self.steps + self.first
            self.batches = EventFile(os.path.join(self.folder, "batches"), begin)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        step = self.epoch * self.steps + self.first + batch
        if self.batches and step % self.every == 0:
            self.batches.scalars(step, read(logs or {}))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        step = epoch + 1
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        named = {grouped(name): value for name, value in (logs or {}).items()}
        self.epochs.scalars(step, {**named, "learning_rate": rate})
        if self.evaluation and self.evaluation.found:
            self.show(step, *self.evaluation.found)
            self.evaluation.found = None
        for file in filter(None, (self.epochs, self.batches)):
            file.flush()

    def on_train_end(self, logs: dict | None = None) -> None:
        for file in filter(None, (self.epochs, self.batches)):
            file.close()
        self.epochs = self.batches = None  # another loss phase opens others

    def show(self, step: int, dataset: Dataset, detections: Sequence[Detections]) -> None:
        """Add the curves of the classes, and the first images with labels and detections."""
        matching = match(dataset, detections)
        for label, name in enumerate(matching.class_names[:MOST_CLASSES]):
            self.epochs.curve(
                step, f"precision_recall/{printable(name)}", curve_of(matching, label)
            )
        pairs = zip(dataset.records, detections, strict=True)
        for number, (record, found) in zip(range(MOST_IMAGES), pairs, strict=False):
            layers = [
                Layer(record.boxes, GREEN, 1),
                Layer(found.boxes[found.scores >= SHOWN], BLUE, 2),
            ]
            drawn = thumbnail(record.path, layers, size=SIZE)
            if drawn:
                data = base64.b64decode(drawn.partition(",")[2])
                self.epochs.image(step, f"validation/{number}", data)


def grouped(name: str) -> str:
    """Return the tag of a figure: those of classes share a group.

    >>> grouped("AP50"), grouped("AP ball"), grouped("val_loss")
    ('AP50', 'AP_of_class/ball', 'val_loss')
    """
    of_class = name.startswith(OF_CLASS)
    return f"AP_of_class/{printable(name.removeprefix(OF_CLASS))}" if of_class else name
