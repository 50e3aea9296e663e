"""How large pictures are and which way up they lie, found without decoding them."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from keras_retinanet.errors import InputError

TAIL = 65_536  # bytes at the end of an image file that are looked at
ENDINGS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82", "GIF": b"\0;"}
LENGTHS = {"BMP": (2, 0), "WEBP": (4, 8)}  # where the head states the length, and what it omits


def image_size(path):
    """(width, height) in px of the upright picture (EXIF orientation applied).

    Raises:
        InputError: for a file that is missing, no image, or truncated.
    """
    return upright_size(*measure(path))


def image_sizes(paths):
    """`image_size` of many files at once, None for those that it refuses."""

    def size(path):
        try:
            return image_size(path)
        except InputError:
            return None

    return in_threads(size, paths)


def measure(path):
    """((width, height) in px of the picture as it is stored, its EXIF orientation from 1 to 8).

    Reads the head and the tail of the file; decodes the picture only when the tail looks cut off.

    Raises:
        InputError: for a file that is missing, no image, or truncated.
    """
    if not os.path.isfile(path):
        reason = "expected an image. Received: a folder" if os.path.isdir(path) else "no such file"
        raise InputError(f"{path}: {reason}")
    try:
        head, tail, length = _ends(path)
        with Image.open(path) as image:
            size = image.size
            if not _looks_complete(image.format, head, tail, length) or _has_late_exif(image, tail):
                image.load()
            return size, _orientation(image)
    except UnidentifiedImageError:
        raise InputError(f"{path}: not an image, or too little of one") from None
    except Exception as error:  # what a damaged file raises differs from format to format
        reason = str(error) or type(error).__name__
        raise InputError(f"{path}: damaged or cut off ({reason})") from None


def upright_size(size, orientation):
    """(width, height) of a stored picture of that size once it is brought upright."""
    return size[::-1] if orientation in (5, 6, 7, 8) else size


def upright_boxes(boxes, size, orientation):
    """Boxes (n, 4) drawn on the stored picture, of `size` (width, height), on the upright one."""
    width, height = size
    x1, y1, x2, y2 = boxes.T
    if orientation in (2, 3, 7, 8):
        x1, x2 = width - x2, width - x1
    if orientation in (3, 4, 6, 7):
        y1, y2 = height - y2, height - y1
    if orientation in (5, 6, 7, 8):
        x1, y1, x2, y2 = y1, x1, y2, x2
    return np.stack([x1, y1, x2, y2], axis=1)  # (n, 4)


def in_threads(call, items):
    """The results of a call that waits for files, in the order of the items."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(call, items))


def _ends(path):
    """The first and the last bytes of a file, and its length."""
    with open(path, "rb") as file:
        head = file.read(8)
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - TAIL))
        return head, file.read(), length


def _looks_complete(image_format, head, tail, length):
    """Whether a file ends as its format does. Formats that have no certain end never do."""
    if image_format in LENGTHS:
        offset, omitted = LENGTHS[image_format]
        return 0 < int.from_bytes(head[offset : offset + 4], "little") <= length - omitted
    ending = ENDINGS.get(image_format)
    return ending is not None and tail.rstrip(b"\0\r\n ").endswith(ending)


def _has_late_exif(image, tail):
    """Whether a PNG file has its EXIF behind the pixels, where only decoding finds it."""
    if image.format != "PNG" or "exif" in image.info:
        return False
    return b"eXIf" in tail or b"Raw profile type exif" in tail


def _orientation(image):
    """The EXIF orientation of an open image, 1 (upright) where its EXIF is broken."""
    try:
        # The base class's method, for that of PNG images decodes the picture.
        return Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except Exception:  # a good picture may carry a bad header
        return 1
