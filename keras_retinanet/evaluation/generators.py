"""Detections in the images of a `Generator` or of a subclass with images of any kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from keras_retinanet.detections import Detections
from keras_retinanet.detector import Detector
from keras_retinanet.evaluation.detections import detect_dataset
from keras_retinanet.model_input import ModelInput
from keras_retinanet.models import RetinaNet
from keras_retinanet.preprocessing.dataset import (
    Dataset,
    Record,
    make_record,
)
from keras_retinanet.preprocessing.generator import Generator


def detect_generator(
    generator: Generator,
    model: RetinaNet,
    score_threshold: float = 0.05,
    max_detections: int = 100,
    each: Callable[[Record, Detections], None] | None = None,
) -> tuple[Dataset, list[Detections], float]:
    """Detect objects in every image of a generator with an inference model.

    The generator gives the images, their sides and their preprocessing. `each` and unreadable
    images are treated as in `detect_dataset`.

    Returns:
        The generator's data set, the detections in each image, and the seconds per image.
    """
    dataset = dataset_of(generator)
    detector = Detector(
        model,
        input_of(generator),
        dataset.class_names,
        score_threshold=score_threshold,
        max_detections=max_detections,
        batch_size=generator.batch_size,
    )

    def read(index: int) -> np.ndarray:
        return reversed_channels(generator.load_image(index))

    has_files = generator.dataset is not None and type(generator).load_image is Generator.load_image
    found = detect_dataset(detector, dataset, "skip", each, "evaluate", None if has_files else read)
    return *found, detector.seconds_per_image


def input_of(generator: Generator) -> ModelInput:
    """Return the `ModelInput` that prepares an image as the generator does."""
    preprocess = None
    if generator.preprocess_image is not None:

        def preprocess(image: np.ndarray) -> np.ndarray:
            return np.asarray(generator.preprocess_image(reversed_channels(image)), "float32")

    return ModelInput(
        None if generator.no_resize else generator.image_min_side,
        generator.image_max_side,
        preprocess=preprocess,
    )


def reversed_channels(image: np.ndarray) -> np.ndarray:
    """Return an image (H, W, 3) in RGB as BGR, or the other way round."""
    return np.ascontiguousarray(image[..., ::-1])


def dataset_of(generator: Generator) -> Dataset:
    """Return the data set of a generator, made from its methods if it was given none."""
    if generator.dataset is not None:
        return generator.dataset
    records = []
    for index in range(generator.size()):
        annotations = generator.load_annotations(index)
        path, ignore = generator.image_path(index), annotations.get("ignore")
        records.append(
            make_record(path, index, annotations["bboxes"], annotations["labels"], ignore)
        )
    names = [name_of(generator, label) for label in range(generator.num_classes())]
    return Dataset(records, names, list(range(1, len(names) + 1)))


def name_of(generator: Generator, label: int) -> str:
    """Return the class name of a label, the label as text if the generator has no names."""
    try:
        return str(generator.label_to_name(label))
    except NotImplementedError:
        return str(label)
