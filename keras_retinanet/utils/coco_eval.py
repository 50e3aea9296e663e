"""COCO evaluation of a generator."""

from __future__ import annotations

from ..evaluation import coco
from ..evaluation.generators import detect_generator
from ..models import RetinaNet
from ..preprocessing.generator import Generator


def evaluate_coco(generator: Generator, model: RetinaNet, threshold: float = 0.05) -> dict:
    """Return COCO's figures of an inference model on a generator, see `evaluation.coco`.

    Args:
        threshold: the least score of a detection.
    """
    dataset, detections, _ = detect_generator(generator, model, threshold)
    return coco.evaluate_coco(dataset, detections)
