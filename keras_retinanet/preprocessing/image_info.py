"""Image info: the size and orientation of image files, read without decoding them."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from keras_retinanet.errors import InputError
from keras_retinanet.utils.image_file import decoding, open_image, orientation
from keras_retinanet.utils.packed import image_source
from keras_retinanet.utils.threads import in_threads

TAIL = 65_536  # bytes at the end of an image file that are checked
ENDINGS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82", "GIF": b"\0;"}
LENGTHS = {"BMP": (2, 0), "WEBP": (4, 8)}  # offset of the length, and bytes that it leaves out


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
        """Turn boxes (n, 4) xyxy px of the stored image into boxes of the upright one."""
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
    """Read the head and the tail of an image file; decode it only if the tail looks truncated.

    Raises:
        InputError: if the file is missing, not an image, or truncated.
    """
    if not os.path.isfile(path):
        reason = "a folder, not an image" if os.path.isdir(path) else "no such file"
        raise InputError(f"{path}: {reason}.")
    try:
        with open_image(path) as image:
            size = image.size
            if _needs_decoding(image, path):
                with decoding(image):
                    image.load()
            return ImageInfo(size, orientation(image))
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"{path}: not an image, or truncated.") from None
    except Exception as error:  # the errors for damaged files differ between formats
        reason = str(error) or type(error).__name__
        raise InputError(f"{path}: damaged or truncated ({reason}).") from None


def image_sizes(paths: Iterable) -> list[tuple[int, int] | None]:
    """Return the `size` of many images at once, None for those that cannot be read."""

    def size(path: str | os.PathLike) -> tuple[int, int] | None:
        try:
            return image_info(path).size
        except InputError:
            return None

    return in_threads(size, paths)


def _needs_decoding(image: Image.Image, path: str | os.PathLike) -> bool:
    """Return True if the end of a file is not the end of its format, or its format has no fixed
    end, or a PNG file has its EXIF data behind the pixels, where only decoding finds them.
    """
    source = image_source(path)
    with open(path, "rb") if source is path else source as file:
        head = file.read(8)
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - TAIL))
        tail = file.read()
    late_exif = b"eXIf" in tail or b"Raw profile type exif" in tail
    if image.format == "PNG" and "exif" not in image.info and late_exif:
        return True
    if image.format in LENGTHS:
        offset, omitted = LENGTHS[image.format]
        return not 0 < int.from_bytes(head[offset : offset + 4], "little") <= length - omitted
    ending = ENDINGS.get(image.format)
    return ending is None or not tail.rstrip(b"\0\r\n ").endswith(ending)
