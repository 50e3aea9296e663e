"""The detections in a data set, made once; every metric is computed from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from keras_retinanet.detections import Detections
from keras_retinanet.preprocessing.dataset import Dataset, Record

if TYPE_CHECKING:
    from keras_retinanet.detector import Detector


def detect_dataset(
    detector: Detector,
    dataset: Dataset,
    on_error: str = "skip",
    each: Callable[[Record, Detections], None] | None = None,
    progress: str | None = None,
    read: Callable[[int], np.ndarray] | None = None,
) -> tuple[Dataset, list[Detections]]:
    """Return the data set of the images that can be read, and the detections in each of them.

    Args:
        on_error: as for `Detector.stream`.
        each: called with every record and its detections, which hold their image only during the
            call.
        progress: the title of a progress bar; None for no bar.
        read: returns the RGB image (H, W, 3) uint8 of an index; None reads the file of the record.
    """
    images: Sequence[Any] = (
        range(len(dataset.records)) if read else [record.path for record in dataset.records]
    )
    stream: Iterable[Detections] = detector.stream(images, on_error, read)
    if progress:
        stream = tqdm(stream, desc=progress, total=len(images), unit="image", mininterval=1)
    records, detections = [], []
    for found in stream:
        records.append(dataset.records[found.index])
        if each:
            each(records[-1], found)
        detections.append(dataclasses.replace(found, image=None))
    return dataclasses.replace(dataset, records=records), detections
