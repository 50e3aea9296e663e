"""A set of images as the doctor sees it: pictures measured, all boxes in flat arrays."""

import dataclasses
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
from tqdm import tqdm

from keras_retinanet.doctor.jpeg import damages
from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import Dataset, Record, upright
from keras_retinanet.preprocessing.measure import measure
from keras_retinanet.utils.image import read_image_rgb
from keras_retinanet.utils.resizing import resized_size


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """A set of n images whose pictures can be read, with N boxes in all.

    `keys` are equal for identical pictures: of the pixels when these were read, else of the file.
    """

    name: str
    dataset: Dataset  # of the images that can be read
    keys: list[str]  # n
    faults: list[str]  # entries that the reader could not read
    broken: list[tuple[Record, str]]  # images whose picture cannot be read, and why
    damaged: dict[str, str]  # path of a picture that can be read, but in part is garbled: how
    sides: tuple[int, int] | None  # min side and max side of the model's input, None for as it is

    @property
    def records(self):
        return self.dataset.records

    @cached_property
    def sizes(self):
        """(n, 2) width and height in px."""
        return np.array([record.size for record in self.records], float).reshape(-1, 2)

    @cached_property
    def mismatched(self):
        """Which images are of another size than the annotation says: (n,) bool."""
        pairs = [(record.stated_size or record.size, record.size) for record in self.records]
        return np.array([tuple(stated) != tuple(size) for stated, size in pairs], bool)

    @cached_property
    def seen_sizes(self):
        """(n, 2) width and height of the model's input."""
        if self.sides is None:
            return self.sizes
        resized = [resized_size(record.size, *self.sides) for record in self.records]
        return np.array(resized, float).reshape(-1, 2)

    @cached_property
    def image(self):
        """The index of each box's image: (N,) int."""
        counts = [len(record.boxes) for record in self.records]
        return np.repeat(np.arange(len(counts)), counts)

    @cached_property
    def first(self):
        """The index of each image's first box: (n,) int."""
        counts = np.array([len(record.boxes) for record in self.records], int)
        return np.cumsum(counts) - counts

    @cached_property
    def boxes(self):
        """(N, 4) px."""
        return np.concatenate([np.empty((0, 4)), *(record.boxes for record in self.records)])

    @cached_property
    def labels(self):
        """(N,) int."""
        return np.concatenate([np.empty(0, int), *(record.labels for record in self.records)])

    @cached_property
    def counted(self):
        """Which boxes are to be learnt, not ignored: (N,) bool."""
        return ~np.concatenate([np.empty(0, bool), *(record.ignore for record in self.records)])

    @cached_property
    def seen(self):
        """The boxes (N, 4) in px of the model's input."""
        return self.boxes * np.tile(self.seen_sizes / self.sizes, 2)[self.image]

    def box(self, index):
        """(record, index in it) of box `index` of the N."""
        image = self.image[index]
        return self.records[image], index - self.first[image]


def inspect(name, dataset, faults=(), thorough=False, sides=None, progress=False):
    """The `Split` of a data set.

    Args:
        faults: what the reader could not read.
        thorough: decode every picture wholly; else the head and the tail of each file are read.
        sides: min side and max side in px of the model's input.
        progress: show a bar while pictures are decoded.
    """

    def look(record):
        try:
            return _look(record, thorough)
        except InputError as error:
            return record, None, str(error)

    bar = {"desc": name, "unit": "image", "disable": not (progress and thorough), "leave": False}
    with ThreadPoolExecutor() as pool:  # opening waits, and decoding leaves Python alone
        looks = pool.map(look, dataset.records)
        results = list(tqdm(looks, total=len(dataset.records), **bar))
    records = [record for record, key, _ in results if key]
    return Split(
        name,
        dataclasses.replace(dataset, records=records),
        [key for _, key, _ in results if key],
        list(faults),
        [(record, why) for record, key, why in results if not key],
        damages([record.path for record in records]) if thorough else {},
        sides,
    )


def _look(record, thorough):
    """(the record with its size, the key of its picture, "")"""
    if record.size is None:  # else it is upright already
        record = upright(record, *measure(record.path))
    if not thorough:
        return record, os.path.realpath(record.path), ""
    try:
        pixels = read_image_rgb(record.path)
    except InputError as error:
        raise InputError(f"{record.path}: damaged or cut off ({error.__cause__})") from None
    shape = repr(pixels.shape).encode()
    return record, hashlib.blake2b(pixels, digest_size=16, key=shape).hexdigest(), ""
