"""A split with the sizes of its images and all boxes in flat arrays."""

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from dataclasses import field

import numpy as np
from tqdm import tqdm

from ..errors import InputError
from ..preprocessing.box_faults import CUT, GOOD, OUTSIDE, box_states, usable
from ..preprocessing.dataset import Dataset, Record, upright
from ..preprocessing.image_info import image_info
from ..utils.image_file import rgb_strips, upright_image
from ..utils.resizing import resized_size
from ..utils.terminal import one_line
from ..utils.threads import in_threads
from .jpeg import damages

NEARLY = 0.01  # tolerance of shares of an image below 0 or above 1


@dataclasses.dataclass(eq=False)
class Split:
    """The n images of a split that can be read, and their N boxes in arrays."""

    name: str
    dataset: Dataset  # of the images that can be read
    keys: list[str]  # n, equal for identical images: hashes of the pixels, or the paths
    faults: Sequence[str]  # entries that the reader could not read
    broken: list[tuple[Record, str]]  # images that cannot be read, and why
    damaged: dict[str, str]  # {path of an image that is partly garbled: how}
    sides: tuple[int, int] | None  # min and max side of the model's input, None without resizing

    # of the n images
    records: list[Record] = field(init=False)
    sizes: np.ndarray = field(init=False)  # (n, 2) width and height in px
    seen_sizes: np.ndarray = field(init=False)  # (n, 2) width and height of the model's input
    mismatched: np.ndarray = field(init=False)  # (n,) bool: the size differs from the stated size
    in_shares: np.ndarray = field(init=False)  # (n,) bool: boxes seem to be shares, not px

    # of the N boxes
    image: np.ndarray = field(init=False)  # (N,) int, the index of the box's image
    row: np.ndarray = field(init=False)  # (N,) int, the index of the box in its image
    boxes: np.ndarray = field(init=False)  # (N, 4) px
    begin: np.ndarray = field(init=False)  # (N,) the smaller of x1 and y1
    seen: np.ndarray = field(init=False)  # (N, 4) px of the model's input
    labels: np.ndarray = field(init=False)  # (N,) int
    counted: np.ndarray = field(init=False)  # (N,) bool: not ignored
    states: np.ndarray = field(init=False)  # (N,) int, see `box_states`
    learnt: np.ndarray = field(init=False)  # (N,) bool: neither ignored nor dropped
    placed: np.ndarray = field(init=False)  # (N,) bool: learnt, and probably in px of its image

    def __post_init__(self) -> None:
        self.records = records = self.dataset.records
        sizes = [record.size for record in records]
        seen = [size if self.sides is None else resized_size(size, *self.sides) for size in sizes]
        stated_sizes = [record.stated_size or record.size for record in records]
        counts = np.array([len(record.boxes) for record in records], int)  # (n,)
        self.sizes, self.seen_sizes, stated = (
            np.array(each, float).reshape(-1, 2) for each in (sizes, seen, stated_sizes)
        )
        self.mismatched = (stated != self.sizes).any(axis=1)
        self.image = np.repeat(np.arange(len(counts)), counts)
        self.row = np.arange(len(self.image)) - np.repeat(np.cumsum(counts) - counts, counts)
        self.boxes = np.concatenate([np.empty((0, 4)), *(record.boxes for record in records)])
        self.begin = self.boxes[:, :2].min(axis=1, initial=np.inf)
        self.labels = np.concatenate([np.empty(0, int), *(record.labels for record in records)])
        self.counted = ~np.concatenate([np.empty(0, bool), *(record.ignore for record in records)])
        with np.errstate(invalid="ignore", over="ignore"):  # boxes may hold NaN and infinity
            self.seen = self.boxes * np.tile(self.seen_sizes / self.sizes, 2)[self.image]
            states = box_states(self.boxes, self.sizes[self.image])
        # if the size of an image differs from the stated size, its boxes may be in px of either
        unjudged = self.mismatched[self.image] & np.isin(states, (OUTSIDE, CUT))
        self.states = np.where(unjudged, GOOD, states)
        # all coordinates are 0 to 1; if most boxes are larger, these are small boxes in px
        fits = ((self.boxes >= -NEARLY) & (self.boxes <= 1 + NEARLY)).all(axis=1)
        fitting = np.bincount(self.image[fits], minlength=len(counts))
        images = (counts > 0) & (fitting == counts)
        self.in_shares = images & (2 * counts[images].sum() > counts.sum())
        self.learnt = self.counted & usable(self.states)
        self.placed = self.learnt & ~(self.mismatched | self.in_shares)[self.image]


def inspect(
    name: str,
    dataset: Dataset,
    faults: Sequence[str] = (),
    thorough: bool = False,
    sides: tuple[int, int] | None = None,
    progress: bool = False,
) -> Split:
    """Read the size of every image of a data set, and the images themselves if `thorough`.

    Args:
        thorough: decode every image; otherwise read only the head and the tail of each file.
        progress: show a bar while images are decoded.
    """

    def look(record: Record) -> tuple[Record, str | None, str]:
        try:
            return _look(record, thorough)
        except InputError as error:
            return record, None, str(error).rstrip(".")

    hidden, count = not (progress and thorough), len(dataset.records)
    results = in_threads(
        look,
        dataset.records,
        lambda looks: tqdm(looks, one_line(name), count, unit="image", disable=hidden, leave=False),
    )
    records = [record for record, key, _ in results if key]
    return Split(
        name,
        dataclasses.replace(dataset, records=records),
        [key for _, key, _ in results if key],
        [fault.rstrip(".") for fault in faults],
        [(record, why) for record, key, why in results if not key],
        damages([record.path for record in records]) if thorough else {},
        sides,
    )


def _look(record: Record, thorough: bool) -> tuple[Record, str, str]:
    """Return (the record with its size, the key of its image, ""); the "" means no fault."""
    if record.size is None:  # otherwise its boxes are upright already
        record = upright(record, image_info(record.path))
    if not thorough:
        return record, os.path.realpath(record.path), ""
    try:
        with upright_image(record.path) as image:
            size = "{} x {}".format(*image.size).encode()
            key = hashlib.blake2b(digest_size=16, key=size)
            for strip in rgb_strips(image):
                key.update(strip.data)
    except InputError as error:
        if error.__cause__ is None:  # too large
            raise
        raise InputError(f"{record.path}: damaged or truncated ({error.__cause__}).") from None
    return record, key.hexdigest(), ""
