"""Pascal VOC evaluation of a generator."""

import functools
import os

from ..evaluation.detections import dataset_of, detect, name_of
from ..evaluation.voc import evaluate_voc
from .image import write_image_bgr
from .visualization import draw_annotations, draw_detections


def evaluate(
    generator, model, iou_threshold=0.5, score_threshold=0.05, max_detections=100, save_path=None
):
    """({label: (average precision, number of annotations)}, seconds an image).

    With `save_path` every image is written there with its annotations and detections.
    """
    detections, seconds = detect(model, generator, score_threshold, max_detections, "evaluate")
    dataset = dataset_of(generator)
    if save_path is not None:
        save_pictures(generator, detections, save_path)
    return evaluate_voc(dataset, detections, iou_threshold), seconds


def image_path(folder, index):
    """Return where `save_pictures` writes image `index` of a generator."""
    return os.path.join(folder, f"{index}.png")


def save_pictures(generator, detections, folder):
    """Writes each image of the generator into `folder` with its annotations and detections."""
    os.makedirs(folder, exist_ok=True)
    for index, detection in enumerate(detections):
        if index in generator.unreadable:
            continue
        image = generator.load_image(index).copy()
        name = functools.partial(name_of, generator)
        draw_annotations(image, generator.load_annotations(index), label_to_name=name)
        draw_detections(image, **detection, label_to_name=name)
        write_image_bgr(image_path(folder, index), image)
