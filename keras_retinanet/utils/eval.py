"""Pascal VOC evaluation of a generator."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from ..detections import Detections
from ..evaluation.generators import detect_generator
from ..evaluation.voc import evaluate_voc
from ..models import RetinaNet
from ..preprocessing.dataset import Record
from ..preprocessing.generator import Generator
from .image import write_image_bgr
from .visualization import draw_annotations, draw_detections


def evaluate(
    generator: Generator,
    model: RetinaNet,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.05,
    max_detections: int = 100,
    save_path: str | os.PathLike | None = None,
) -> tuple[dict[int, tuple[float, int]], float]:
    """Return ({label: (average precision, number of boxes)}, seconds per image in the model).

    Args:
        model: an inference model.
        save_path: a folder to write each image into, with its boxes and detections.
    """
    each = None if save_path is None else drawing(save_path)
    dataset, detections, seconds = detect_generator(
        generator, model, score_threshold, max_detections, each
    )
    return evaluate_voc(dataset, detections, iou_threshold), seconds


def image_path(folder: str | os.PathLike, index: int) -> str:
    """Return the path at which `drawing` writes the image of an index."""
    return os.path.join(folder, f"{index}.png")


def drawing(folder: str | os.PathLike) -> Callable[[Record, Detections], None]:
    """Return a function that writes an image with its boxes and detections into `folder`, for
    `detect_dataset`.
    """
    os.makedirs(folder, exist_ok=True)

    def draw(record: Record, found: Detections) -> None:
        image = np.ascontiguousarray(found.image[..., ::-1])
        boxes = {"bboxes": record.boxes, "labels": record.labels}
        draw_annotations(image, boxes, label_to_name=found.name_of)
        shown = found.boxes, found.scores, found.labels
        draw_detections(image, *shown, label_to_name=found.name_of)
        write_image_bgr(image_path(folder, found.index), image)

    return draw
