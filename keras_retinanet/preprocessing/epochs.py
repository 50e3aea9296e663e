"""Epochs: the grouping of images into batches, their order, and the repetition of rare images."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_retinanet.choices import GROUPINGS
from keras_retinanet.preprocessing.dataset import Dataset


@dataclass(frozen=True)
class Batching:
    """The rule by which an epoch is cut into batches.

    Attributes:
        batch_size: images in a batch.
        group_method: "bucket" (images of one padding bucket), "ratio" (images of similar aspect
            ratio), "random" or "none" (the order of the data set).
        shuffle: draw a new order for each epoch.
        repeat_threshold: share of images, 0 to 1. Images with a class that fewer images show are
            repeated (`repeat_factors`); 0 repeats none.
    """

    batch_size: int = 1
    group_method: str = "bucket"
    shuffle: bool = True
    repeat_threshold: float = 0.0

    def __post_init__(self) -> None:
        if self.group_method not in GROUPINGS:
            raise ValueError(
                f"Unknown group_method {self.group_method!r}; known: {', '.join(GROUPINGS)}."
            )


def by_ratio(ratios: Sequence[float]) -> list[np.ndarray]:
    """Return one list of all image indices, in ascending order of width / height."""
    return [np.argsort(ratios, kind="stable")]


def by_bucket(buckets: Sequence[Hashable]) -> list[np.ndarray]:
    """Return a list of image indices for each bucket, in ascending order of the buckets."""
    members: dict = {}
    for index, bucket in enumerate(buckets):
        members.setdefault(bucket, []).append(index)
    return [np.array(indices) for _, indices in sorted(members.items())]


def batches_of(
    lists: Sequence[np.ndarray],
    batching: Batching,
    rng: np.random.Generator,
    factors: np.ndarray | None = None,
) -> list[list[int]]:
    """Cut lists of image indices into the batches of an epoch.

    The last batch of a list is filled up with images from the list's start.

    Args:
        lists: image indices; no batch holds images of two lists.
        factors: (n,), how often an epoch has each image, 1 or more; None for once.
    """
    if factors is not None:
        lists = [repeated(indices, factors, rng) for indices in lists]
    method = batching.group_method
    if method == "random" or (method == "bucket" and batching.shuffle):
        lists = [rng.permutation(indices) for indices in lists]
    size = batching.batch_size
    batches = [
        [int(i) for i in np.take(indices, range(start, start + size), mode="wrap")]
        for indices in lists
        for start in range(0, len(indices), size)
    ]
    if batching.shuffle:
        rng.shuffle(batches)
    return batches


def repeat_factors(dataset: Dataset, threshold: float) -> np.ndarray:
    """Return how often an epoch should have each of n images: (n,), 1 or more.

    The factor of a class is sqrt(threshold / share of the images that show it), but at least 1.
    An image has the largest factor of its classes. Gupta et al. 2019, arXiv 1908.03195.
    """
    shown = np.zeros((len(dataset.records), dataset.num_classes), bool)
    for row, record in zip(shown, dataset.records, strict=True):
        row[record.labels[~record.ignore]] = True
    share = shown.mean(axis=0)  # (K,)
    factors = np.sqrt(threshold / np.maximum(share, 1e-9))  # (K,)
    return np.where(shown, np.maximum(factors, 1), 1).max(axis=1, initial=1)


def repeated(indices: np.ndarray, factors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the indices in their order, each as often as its factor says.

    With a factor of 1.4, four of ten epochs have the image twice and the others once. The number of
    indices is always the same, so all epochs are equally long.
    """
    if not len(indices):
        return indices
    ends = np.cumsum(factors[indices])
    count = int(np.ceil(ends[-1]))
    points = (np.arange(count) + rng.random()) * (ends[-1] / count)  # at most 1 apart
    return indices[np.minimum(np.searchsorted(ends, points, side="right"), len(indices) - 1)]
