"""Image info: the size and orientation of image files, read without decoding them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from keras_retinanet.errors import InputError

TAIL = 65_536  # bytes at the end of an image file that are checked
ENDINGS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82", "GIF": b"\0;"}
LENGTHS = {"BMP": (2, 0), "WEBP": (4, 8)}  # where the head states the length, and what it omits


@dataclass(frozen=True)
class ImageInfo:
    """The size of an image as its file stores it, and its EXIF orientation from 1 to 8."""

    stored_size: tuple[int, int]  # (width, height) px
    orientation: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """The (width, height) px of the upright image."""
        return self.stored_size[::-1] if self.orientation in (5, 6, 7, 8) else self.stored_size

    def upright(self, boxes: np.ndarray) -> np.ndarray:
        """Turn boxes (n, 4) xyxy px of the stored image into those of the upright one."""
        width, height = self.stored_size
        x1, y1, x2, y2 = boxes.T
        if self.orientation in (2, 3, 7, 8):
            x1, x2 = width - x2, width - x1
        if self.orientation in (3, 4, 6, 7):
            y1, y2 = height - y2, height - y1
        if self.orientation in (5, 6, 7, 8):
            x1, y1, x2, y2 = y1, x1, y2, x2
        return np.stack([x1, y1, x2, y2], axis=1)  # (n, 4)


def image_info(path: str | os.PathLike) -> ImageInfo:
    """Read the head and the tail of an image file; decode it only if the tail looks cut off.

    Raises:
        InputError: if the file is missing, not an image, or truncated.
    """
    if not os.path.isfile(path):
        reason = "a folder, not an image" if os.path.isdir(path) else "no such file"
        raise InputError(f"{path}: {reason}")
    try:
        head, tail, length = _ends(path)
        with Image.open(path) as image:
            size = image.size
            if not _looks_complete(image.format, head, tail, length) or _has_late_exif(image, tail):
                image.load()
            return ImageInfo(size, _orientation(image))
    except UnidentifiedImageError:
        raise InputError(f"{path}: not an image, or too little of one") from None
    except Exception as error:  # each format raises other errors for damaged files
        reason = str(error) or type(error).__name__
        raise InputError(f"{path}: damaged or cut off ({reason})") from None


def image_size(path: str | os.PathLike) -> tuple[int, int]:
    """Return the (width, height) px of the upright image; raises as `image_info`."""
    return image_info(path).size


def image_sizes(paths: Iterable) -> list[tuple[int, int] | None]:
    """Return the `image_size` of many files at once, None for those that cannot be read."""

    def size(path: str | os.PathLike) -> tuple[int, int] | None:
        try:
            return image_size(path)
        except InputError:
            return None

    return in_threads(size, paths)


def in_threads(call: Callable, items: Iterable) -> list:
    """Return the results of a call that waits for files, in the order of the items."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(call, items))


def _ends(path: str | os.PathLike) -> tuple[bytes, bytes, int]:
    """Return the first and the last bytes of a file, and its length."""
    with open(path, "rb") as file:
        head = file.read(8)
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - TAIL))
        return head, file.read(), length


def _looks_complete(image_format: str | None, head: bytes, tail: bytes, length: int) -> bool:
    """Return True if a file ends as its format does; formats without a certain end never do."""
    if image_format in LENGTHS:
        offset, omitted = LENGTHS[image_format]
        return 0 < int.from_bytes(head[offset : offset + 4], "little") <= length - omitted
    ending = ENDINGS.get(image_format)
    return ending is not None and tail.rstrip(b"\0\r\n ").endswith(ending)


def _has_late_exif(image: Image.Image, tail: bytes) -> bool:
    """Return True if a PNG file has its EXIF behind the pixels, where only decoding finds it."""
    if image.format != "PNG" or "exif" in image.info:
        return False
    return b"eXIf" in tail or b"Raw profile type exif" in tail


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of an open image, 1 (upright) if its EXIF is broken."""
    try:
        # The base class's method: the method of PNG images decodes the pixels.
        return Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except Exception:  # a good image may carry a bad header
        return 1
