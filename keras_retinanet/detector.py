"""From images to boxes: the one implementation that commands, callbacks and scripts share."""

from __future__ import annotations

import copy
import dataclasses
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any

import numpy as np

from keras_retinanet import nms_numpy
from keras_retinanet.bucketing import batches
from keras_retinanet.choices import TEST_SPLITS
from keras_retinanet.detections import Detections
from keras_retinanet.detector_options import (
    DetectorOptions,
    check_fixed,
    check_threshold,
    chosen,
    least_scores,
    sufficient,
)
from keras_retinanet.engines import Engine, open_engine
from keras_retinanet.errors import InputError
from keras_retinanet.evaluation import evaluate_coco, evaluate_voc, voc_metric
from keras_retinanet.evaluation.detections import detect_dataset
from keras_retinanet.model_input import ModelInput, Prepared
from keras_retinanet.nms_numpy import Found
from keras_retinanet.parts import PostProcess
from keras_retinanet.preprocessing.dataset import Dataset, with_classes
from keras_retinanet.preprocessing.source import open_dataset
from keras_retinanet.utils.resizing import to_original, within_frame
from keras_retinanet.utils.text import listed
from keras_retinanet.utils.threads import prefetch, usable_threads
from keras_retinanet.views import merged, views_of

READERS = 4, 16  # the fewest and the most threads that decode images ahead
WINDOW = 8  # batches that an image may wait for others of its bucket


@dataclasses.dataclass
class _Clock:
    """The time spent in the model, without the first batch of each shape, which may compile."""

    seconds: float = 0.0
    images: int = 0
    shapes: set = dataclasses.field(default_factory=set)

    def add(self, seconds: float, images: int, shape: tuple[int, ...]) -> None:
        if shape in self.shapes:
            self.seconds += seconds
            self.images += images
        self.shapes.add(shape)


class Detector:
    """Find objects in images, in pixels of the original image.

    Args:
        model: an `Engine`, or a Keras model: an inference model, or a training model, which is
            converted.
        inputs: the preparation of images for the model; None takes the model's.
        class_names: in label order; None takes the model's.
        **options: options of `DetectorOptions`.

    Raises:
        InputError: if the post-processing of an inference model differs from the options.

    Attributes:
        engine: the runtime with the model.
        info: the model's `ModelInfo`; None for a Keras model that is not a RetinaNet.
        model: the Keras model; None if another runtime runs the file.
        several: True if the detector takes several views of an image.

    >>> from keras_retinanet.models import backbone
    >>> from keras_retinanet.parts import Design, Heads, Pyramid
    >>> design = Design(Pyramid(width=8), Heads(depth=1))
    >>> tiny = backbone("resnet10_0.25").detector(["cat", "dog"], design=design)
    >>> detector = Detector(tiny, image_min_side=64, image_max_side=64)
    >>> found = detector(np.zeros((48, 64, 3), "uint8"))
    >>> found.boxes.shape[1], found.image.shape
    (4, (48, 64, 3))
    >>> [found.index for found in detector.stream(np.zeros((3, 48, 64, 3), "uint8"))]
    [0, 1, 2]
    """

    def __init__(
        self,
        model: Any,
        inputs: ModelInput | None = None,
        class_names: list[str] | None = None,
        **options: Any,
    ) -> None:
        self.options = DetectorOptions(**options)
        self.engine = model if isinstance(model, Engine) else _keras_engine(model, self.options)
        self.model = self.engine.model
        self.info = self.engine.info
        self.clock = _Clock()
        self.several = self.options.views.several
        names: Sequence[str] | None = class_names
        if self.info is not None:
            if self.info.outputs == "detections":
                check_fixed(self.info.postprocess, self.options)
            names = names or self.info.class_names
        self.class_names = None if names is None else list(names)
        self._least_scores()  # checks the names
        sizes = self.options.image_min_side, self.options.image_max_side, self.options.no_resize
        if self.engine.resizes and any(sizes):
            raise InputError(
                "A SavedModel resizes in its graph; leave out image_min_side, image_max_side and "
                "no_resize."
            )
        self.inputs = inputs or ModelInput.of(self.info.inputs, *sizes, self.info.size)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike,
        engine: str = "auto",
        precision: str | None = None,
        threads: int | None = None,
        **options: Any,
    ) -> Detector:
        """Return the detector of a model file.

        Args:
            path: a `.keras` file, of an inference model or a training snapshot; a `.onnx`, `.xml`
                or `.tflite` file; or the folder of a SavedModel.
            engine, precision, threads: see `engines.open_engine`.
            **options: options of `DetectorOptions`.

        Raises:
            InputError: if there is no such file, it has no detector, or its runtime is missing.
        """
        settled = DetectorOptions(**options)
        return cls(open_engine(path, engine, precision, threads, settled), **options)

    @property
    def seconds_per_image(self) -> float:
        """The time per image in the model, without the first batch of each shape; else 0.0."""
        return self.clock.seconds / max(1, self.clock.images)

    def __call__(self, image: Any) -> Detections | list[Detections]:
        """Return the objects in an image, or a list of them for a list of images.

        Args:
            image: a path, an encoded image as bytes, an array (H, W, 3) uint8 RGB, or a PIL image.

        Raises:
            InputError: names the file that cannot be read.
        """
        if isinstance(image, (list, tuple)):
            return list(self.stream(image))
        [found] = self.detect_prepared([self.prepare(image)])
        return found

    def prepare(
        self, image: Any, index: int = 0, read: Callable[[Any], np.ndarray] | None = None
    ) -> Prepared:
        """Read and resize an image for the model, see `ModelInput.prepare`."""
        return self.inputs.prepare(image, index, read)

    def stream(
        self,
        images: Iterable,
        on_error: str = "raise",
        read: Callable[[Any], np.ndarray] | None = None,
    ) -> Iterator[Detections]:
        """Yield the objects in each of any number of images, in order.

        Images are decoded ahead in threads. Images of one bucket share a batch, and wait for each
        other for a bounded time.

        Args:
            images: images as in `__call__`, or arguments for `read`.
            on_error: "raise" an InputError for an image that cannot be read, or "skip" it, with one
                warning at the end; `index` identifies the others.
            read: turns an element of `images` into an RGB image (H, W, 3) uint8; called in one
                thread.

        Raises:
            InputError: if a file, or every file, cannot be read.
        """
        if isinstance(images, (str, bytes, os.PathLike)):
            raise InputError("stream takes images one after the other, such as a list of paths.")
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}.")
        size, first = self.options.batch_size, 0
        if self.info is not None and self.info.batch is not None:
            size = min(size, self.info.batch)
        if isinstance(images, Sized):
            size = max(1, min(size, len(images)))
        broken: list[InputError] = []
        done: dict[int, Detections | None] = {}

        def prepare(pair: tuple[int, Any]) -> Prepared | tuple[int, InputError]:
            try:
                return self.prepare(pair[1], pair[0], read)
            except InputError as error:
                if on_error == "raise":
                    raise
                return pair[0], error

        def readable() -> Iterator[Prepared]:
            threads = 1 if read else readers()
            for item in prefetch(prepare, enumerate(images), threads, threads + 2 * size):
                if isinstance(item, Prepared):
                    yield item
                else:
                    done[item[0]] = None
                    broken.append(item[1])

        for group in batches(readable(), size, WINDOW * size):
            rows = size if self.inputs.canvases == "few" else len(group)
            done.update((found.index, found) for found in self.detect_prepared(group, rows))
            while first in done:
                found = done.pop(first)
                first += 1
                if found is not None:
                    yield found
        if broken:
            _report(broken, first + len(done))

    def evaluate(
        self,
        data: str | os.PathLike | Dataset,
        split: str | None = None,
        score_threshold: float = PostProcess.score_threshold,
        max_detections: int = 100,
        iou_threshold: float = 0.5,
        **options: Any,
    ) -> dict:
        """Return the COCO metrics on a data set, see `evaluate_coco`, and Pascal VOC's as "VOC".

        Args:
            data: a data set, or its path, which `open_dataset` opens with `split` and `options`.
            split: by default the first of `TEST_SPLITS` that exists, or the only split.
            iou_threshold: the minimum IoU of a match in the Pascal VOC metric.

        Raises:
            InputError: if the data set has classes that the detector does not know.
        """
        if not isinstance(data, Dataset):
            options = {"classes": self.class_names, "usual": TEST_SPLITS, **options}
            data = open_dataset(data, split=split, **options)
        data = self.labelled(data)
        detector = copy.copy(self)
        detector.options = dataclasses.replace(
            self.options, score_threshold=score_threshold, max_detections=max_detections
        )
        if self.info is not None:
            check_threshold(self.info.postprocess, score_threshold)
        data, detections = detect_dataset(detector, data, on_error="skip")
        metrics = evaluate_coco(data, detections, max_detections)
        metrics["VOC"] = voc_metric(evaluate_voc(data, detections, iou_threshold))
        return metrics

    def labelled(self, dataset: Dataset) -> Dataset:
        """Return a data set with the labels of the detector.

        Raises:
            InputError: if the data set has a class that the detector does not know or, for a
                detector without class names, another number of classes.
        """
        if self.class_names is not None:
            return with_classes(dataset, self.class_names)
        count = self.info.num_classes
        if dataset.num_classes != count:
            names = listed(dataset.class_names)
            raise InputError(f"The data set has the classes {names}, but the model has {count}.")
        return dataset

    def detect_prepared(self, group: Sequence[Prepared], size: int = 1) -> list[Detections]:
        """Return the detections in images of one bucket, in their order.

        The batch is filled up with black to `size` images, so that batches have few shapes.
        """
        if self.several:
            return [self._in_views(item) for item in group]
        return self._run(group, size)

    def _run(self, group: Sequence[Prepared], size: int) -> list[Detections]:
        batch = self.inputs.batch(group, size)
        start = time.perf_counter()
        boxes, scores, labels = self.engine(batch)
        self.clock.add(time.perf_counter() - start, len(group), batch.shape)
        sides = batch.shape[2], batch.shape[1]
        rows = zip(boxes, scores, labels, strict=True)
        return [
            self._in_image(item, *self._suppress(found, sides))
            for item, found in zip(group, rows, strict=False)
        ]

    def _in_views(self, item: Prepared) -> Detections:
        """Return the detections in several views of an image, merged by NMS."""
        views = views_of(item.image, self.inputs, self.options.views)
        prepared = [view.inputs.prepare(view.image, index) for index, view in enumerate(views)]
        size = min(self.options.batch_size, self.info.batch or self.options.batch_size)
        groups = batches(prepared, size, len(prepared))
        seen = [each for group in groups for each in self._run(group, len(group))]
        found = [
            (views[each.index].in_image(each.boxes), each.scores, each.labels)
            for each in sorted(seen, key=lambda each: each.index)
        ]
        whole = item.image.shape[1], item.image.shape[0]
        boxes, scores, labels = merged(found, chosen(self.info.postprocess, self.options), whole)
        most = self.options.max_detections
        return Detections(
            boxes[:most],
            scores[:most],
            labels[:most],
            self.class_names,
            item.image,
            item.path,
            item.index,
        )

    def _least_scores(self) -> np.ndarray:
        held = None if self.info is None else self.info.postprocess
        return least_scores(self.options, self.class_names, held)

    def _suppress(self, found: Found, size: tuple[int, int]) -> Found:
        """Return the detections in one image of the input; an engine may give its candidates."""
        if self.info is None or self.info.outputs == "detections":
            return found
        return nms_numpy.detections(found, chosen(self.info.postprocess, self.options), size)

    def _in_image(
        self, item: Prepared, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray
    ) -> Detections:
        """Return the outputs (D, ...) for one padded image as detections in the original image.

        Drops padding rows and detections centred in the padding, and clips boxes to the image.
        """
        options = self.options
        kept = labels >= 0  # (D,)
        kept &= sufficient(scores, labels, self._least_scores())
        kept &= within_frame(boxes, item.fit)
        order = np.flatnonzero(kept)[np.argsort(-scores[kept], kind="stable")]
        order = order[: options.max_detections]
        return Detections(
            to_original(boxes[order], item.fit, item.image.shape[1::-1]),
            scores[order],
            labels[order],
            self.class_names,
            item.image,
            item.path,
            item.index,
        )


def readers() -> int:
    """Return the number of threads that decode images: all that this process may use, in bounds."""
    fewest, most = READERS
    return min(max(fewest, usable_threads()), most)


def _keras_engine(model: Any, options: DetectorOptions) -> Engine:
    """Return the engine of a Keras model; it uses the model's current weights in each call."""
    from keras_retinanet.engines.keras import KerasEngine, inference_model

    return KerasEngine(inference_model(model, options))


def _report(broken: list[InputError], count: int) -> None:
    """Warn of skipped images; raise an InputError if all images were skipped."""
    if len(broken) == count:
        raise InputError(f"None of {count} images can be read; the last: {broken[-1]}")
    warnings.warn(
        f"Skipped {len(broken)} of {count} images that cannot be read; the first: {broken[0]}",
        UserWarning,
        stacklevel=3,
    )
