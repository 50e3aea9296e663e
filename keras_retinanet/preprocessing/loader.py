"""The training loader: batches of images with matched anchors, each a function of its step."""

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np

from keras_retinanet.choices import AUGMENTATIONS, complete
from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.augmentation import augment
from keras_retinanet.preprocessing.buckets import (
    MOST_BUCKETS,
    Size,
    ascending,
    buckets_for,
    rounded_hull,
    smallest,
)
from keras_retinanet.preprocessing.collate import Anchoring, compact_targets, stack_images
from keras_retinanet.preprocessing.dataset import Dataset
from keras_retinanet.preprocessing.epochs import (
    Batching,
    batches_of,
    by_bucket,
    by_ratio,
    repeat_factors,
)
from keras_retinanet.preprocessing.examples import ImageReader, Sizing, annotations_of
from keras_retinanet.utils.image import choose
from keras_retinanet.utils.threads import prefetch

MIXED_IN = {"mosaic": 3, "mixup": 1}  # images that an operation adds to one

Batch = tuple[np.ndarray, dict[str, np.ndarray]]
Example = tuple[np.ndarray, dict[str, np.ndarray]]


@dataclass(eq=False)
class Loader:
    """Batches of a checked data set, each a function of (seed, epoch, index).

    A batch is `(images (B, H, W, 3), {boxes (B, M, 4), labels (B, M), matches (B, N)})`; see
    `collate.compact_targets`. Images are uint8 RGB, or float32 if `normalize` is given. M is the
    same in all batches.

    Attributes:
        dataset: its images have a size (`preprocessing.dataset.checked`).
        augmentation: a key of `AUGMENTATIONS`, or {operation: {"chance", "strength"}}.
        normalize: turns an RGB image (H, W, 3) uint8 into the model's input (H, W, 3), for models
            that do not contain their normalization.
        seed: with epoch and index, decides all random changes.
        strict: raise an InputError at a broken image instead of leaving it out with a warning.
        mixed_until: the step from which on mosaic and mixup are left out, None for never.
        share: (host, hosts): a batch has the rows of this host alone, an equal part of those that
            all hosts load together.
        failure: the InputError that ended a stream; TensorFlow passes on only its text.
        arrivals: the times at which the batches of the latest stream were ready, see `arrival`.
    """

    dataset: Dataset
    sizing: Sizing = field(default_factory=Sizing)
    anchoring: Anchoring = field(default_factory=Anchoring)
    batching: Batching = field(default_factory=Batching)
    augmentation: str | dict[str, dict[str, float]] = "none"
    normalize: Callable[[np.ndarray], np.ndarray] | None = None
    seed: int = 0
    strict: bool = False
    mixed_until: int | None = None
    share: tuple[int, int] = (0, 1)
    failure: InputError | None = field(default=None, init=False)
    arrivals: deque[float] = field(default_factory=deque, init=False)

    def __post_init__(self) -> None:
        unknown = [record.path for record in self.dataset.records if record.size is None]
        if unknown:
            raise ValueError(f"{unknown[0]} has no size; pass the data set through `checked`.")
        chosen = self.augmentation
        if isinstance(chosen, str):
            chosen = choose(AUGMENTATIONS, "augmentation", chosen)
        self.operations = complete(chosen)
        self.reader = ImageReader(self.dataset.records, self.strict)
        self.buckets = lru_cache(self._buckets)
        self._batches = lru_cache(2)(self._make_batches)  # of this epoch and, ahead, of the next

    def __len__(self) -> int:
        """Return the number of batches in an epoch, the same for all epochs."""
        return len(self.groups_of(0))

    def stream(self, start: int = 0, workers: int = 1, ahead: int = 10) -> Iterable[Batch]:
        """Return the batches from step `start` on, without end, for Keras's `fit`.

        On TensorFlow, Keras fixes the shapes of an iterable by its first two batches, so the result
        is a `tf.data.Dataset` that leaves height, width and the number of anchors open.

        Args:
            workers: threads that make batches.
            ahead: number of batches to make ahead.
        """
        import keras  # only here: batches need no backend

        # in TensorFlow batches wait for the trainer; others ask for one when they need it
        arrivals: deque[float] = deque(
            maxlen=None if keras.backend.backend() == "tensorflow" else 1
        )
        self.arrivals = arrivals

        def batches() -> Iterator[Batch]:
            try:
                for batch in prefetch(self.batch_at, itertools.count(start), workers, ahead):
                    arrivals.append(time.monotonic())
                    yield batch
            except InputError as error:
                self.failure = error
                raise

        if keras.backend.backend() != "tensorflow":
            return batches()
        import tensorflow as tf

        size, most = self.batching.batch_size, self.most_boxes
        signature = (
            tf.TensorSpec((size, None, None, 3), self.input_dtype),
            {
                "boxes": tf.TensorSpec((size, most, 4), "float32"),
                "labels": tf.TensorSpec((size, most), "int32"),
                "matches": tf.TensorSpec((size, None), "int32"),
            },
        )
        return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(2)

    def arrival(self) -> float:
        """Return when the next batch of the latest stream was ready, in `time.monotonic` seconds.

        Call it once for each batch, after training on it.
        """
        return self.arrivals.popleft() if self.arrivals else 0.0

    def batch_at(self, step: int) -> Batch:
        """Return the batch of a step, counted from the start of training over all epochs."""
        epoch, index = divmod(step, len(self))
        group, side = self.groups_of(epoch)[index], self.side_of(epoch, index)
        seeds = [(self.seed, epoch, image, row) for row, image in enumerate(group)]
        mix = self.mixed_until is None or step < self.mixed_until
        host, hosts = self.share
        rows = list(zip(group, seeds, strict=True))
        rows = rows[len(rows) * host // hosts : len(rows) * (host + 1) // hosts]
        examples = [self.example(*row, side, mix) for row in rows]
        images, annotations = zip(*examples, strict=True)
        hull = rounded_hull(self._frame(image, side) for image in group)
        width, height = smallest(self.buckets(side), hull)
        sizes = [image.shape[1::-1] for image in images]
        return (
            stack_images(images, (width, height), self.input_dtype, self.normalize is None),
            compact_targets(sizes, annotations, (height, width), self.anchoring, self.most_boxes),
        )

    def example(
        self, index: int, seed: tuple[int, ...], side: int | None = None, mix: bool = True
    ) -> Example:
        """Return an image (H, W, 3), augmented and resized, and its annotations.

        A broken image gives an array without pixels: its row of the batch stays black, and all of
        its anchors are ignored.

        Args:
            seed: decides the augmentation.
            side: px of the short side; None takes the side of `sizing`.
            mix: False leaves out the operations that add other images.
        """
        record = self.dataset.records[index]
        annotations = annotations_of(record)
        image = self.reader.read(index)
        if image is None:
            return np.zeros((0, 0, 3), self.input_dtype), annotations
        rng = np.random.default_rng(seed)
        drawn = np.random.default_rng(rng.integers(2**63))  # apart from the operations

        def other() -> Example:
            chosen = int(drawn.integers(len(self.dataset.records)))
            second = self.reader.read(chosen)
            if second is None:
                return image, annotations
            return second, annotations_of(self.dataset.records[chosen])

        size = self.sizing.fit(record.size, side).size
        others = other if mix else None
        changed, moved = augment(image, annotations, rng, size, others, **self.operations)
        if self.normalize is not None:
            changed = np.asarray(self.normalize(changed[..., ::-1]), "float32")
        return changed, moved

    @property
    def input_dtype(self) -> str:
        return "uint8" if self.normalize is None else "float32"

    def groups_of(self, epoch: int) -> list[list[int]]:
        """Return the image indices of each batch of an epoch."""
        return self._batches(epoch if self.batching.shuffle else 0)

    def images_of(self, step: int) -> list[str]:
        """Return the paths of the images of a step, counted from the start of training."""
        epoch, index = divmod(step, len(self))
        return [str(self.dataset.records[image].path) for image in self.groups_of(epoch)[index]]

    def _make_batches(self, epoch: int) -> list[list[int]]:
        rng = np.random.default_rng((self.seed, epoch))
        threshold = self.batching.repeat_threshold
        factors = repeat_factors(self.dataset, threshold) if threshold else None
        return batches_of(self._lists, self.batching, rng, factors)

    @cached_property
    def _lists(self) -> list[np.ndarray]:
        """The image indices, with images that may share a batch in one list."""
        records = self.dataset.records
        if self.batching.group_method == "ratio":
            return by_ratio([record.size[0] / record.size[1] for record in records])
        if self.batching.group_method == "bucket":
            return by_bucket([self.bucket_of(index) for index in range(len(records))])
        return [np.arange(len(records))]

    def side_of(self, epoch: int, index: int) -> int | None:
        """Return the short side in px of the images of a batch, None for the side of `sizing`."""
        if not self.sizing.multi_scale:
            return None
        rng = np.random.default_rng((self.seed, epoch, index, 1))
        return int(rng.choice(self.sizing.multi_scale))

    def bucket_of(self, index: int, side: int | None = None) -> Size:
        """Return the padding bucket (width, height) px of an image."""
        return smallest(self.buckets(side), self._frame(index, side))

    def _frame(self, index: int, side: int | None) -> Size:
        return self.sizing.fit(self.dataset.records[index].size, side).frame

    def _buckets(self, side: int | None = None) -> list[Size]:
        """Return at most 4 padding buckets, in ascending order of area; one holds any batch."""
        sizes = [self._frame(index, side) for index in range(len(self.dataset.records))]
        if self.batching.group_method != "bucket":  # any images may share a batch
            return ascending([*buckets_for(sizes, MOST_BUCKETS - 1), rounded_hull(sizes)])
        if side is None:
            return buckets_for(sizes)
        return ascending(rounded_hull(sizes[index] for index in rows) for rows in self._lists)

    @cached_property
    def most_boxes(self) -> int:
        """The largest number of boxes that an augmented image may have, at least 1."""
        mixed = [
            count
            for name, count in MIXED_IN.items()
            if name in self.operations and self.operations[name]["chance"] > 0
        ]
        counts = [len(record.boxes) for record in self.dataset.records]
        return max([1, *counts]) * (1 + sum(mixed))
