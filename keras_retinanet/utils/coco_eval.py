"""COCO evaluation of a generator."""

from ..evaluation import coco
from ..evaluation.detections import dataset_of, detect


def evaluate_coco(generator, model, threshold=0.05):
    """COCO's figures of an inference model on a generator, see `evaluation.coco`."""
    detections, _ = detect(model, generator, threshold, label="evaluate")
    return coco.evaluate_coco(dataset_of(generator), detections)
