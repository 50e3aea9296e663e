"""Read and write image files, in bounded memory over all threads."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from keras_retinanet.errors import InputError
from keras_retinanet.utils.outputs import write_bytes
from keras_retinanet.utils.packed import image_source
from keras_retinanet.utils.text import MOST, printable

File = str | os.PathLike | BinaryIO

MOST_PIXELS = 250_000_000  # of an image, by default; reading takes up to 8 bytes for each pixel
VARIABLE = "KERAS_RETINANET_MAX_PIXELS"
TOGETHER = 100_000_000  # pixels that all threads together decode at a time
STRIP = 4_000_000  # pixels that are converted at a time
# blocks that glibc gives back to the system when an image is closed, instead of keeping them for
# each thread (https://pillow.readthedocs.io/en/stable/reference/block_allocator.html)
Image.core.set_block_size(64 * 2**20)

UPRIGHT = {  # EXIF orientation: the operation that turns the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_changed = threading.Condition()
_in_use = 0  # pixels
_opening = threading.Lock()


def open_image(path: File) -> Image.Image:
    """Open an image without decoding it, also beyond the size that Pillow allows.

    Raises:
        InputError: if the image has more than `MOST_PIXELS`, or the number in the environment
            variable KERAS_RETINANET_MAX_PIXELS.
    """
    source = image_source(path)
    try:
        image = Image.open(source)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        with _opening:
            allowed, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(source)
            finally:
                Image.MAX_IMAGE_PIXELS = allowed
    text = os.environ.get(VARIABLE, "")
    most, (width, height) = int(text) if text.isdecimal() else MOST_PIXELS, image.size
    if width * height > most:
        image.close()
        raise InputError(
            f"{_name(path)}: {width} x {height} px are more than {most:,} pixels; make the image "
            f"smaller, or set {VARIABLE}={width * height} to read it in about "
            f"{width * height * 8 / 1e9:.0f} GB of memory."
        )
    return image


@contextlib.contextmanager
def decoding(image: Image.Image) -> Iterator[None]:
    """Wait until the image fits into `TOGETHER`; a larger image waits until no other is decoded."""
    global _in_use
    pixels = min(image.width * image.height, TOGETHER)
    with _changed:
        _changed.wait_for(lambda: _in_use + pixels <= TOGETHER)
        _in_use += pixels
    try:
        yield
    finally:
        with _changed:
            _in_use -= pixels
            _changed.notify_all()


@contextlib.contextmanager
def upright_image(path: File) -> Iterator[Image.Image]:
    """Decode an image file for the block, upright; `rgb_strips` and `rgb_array` convert it.

    Raises:
        InputError: if the file is missing, is not an image, is broken, or is too large.
    """
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(open_image(path))
            stack.enter_context(decoding(opened))
            image = _upright(opened)
            stack.callback(image.close)  # frees the pixels before others are decoded
            if image is not opened:
                opened.close()
        except InputError:
            raise
        except Exception as error:  # Pillow's decoders raise many kinds of errors
            reason = "too little memory" if isinstance(error, MemoryError) else error
            if isinstance(error, UnidentifiedImageError):
                reason = "not an image of a known format"
            elif isinstance(error, OSError) and error.strerror:
                reason = error.strerror  # without the path
            reason = printable(reason, MOST)
            raise InputError(f"{_name(path)}: the image cannot be read ({reason}).") from error
        try:
            yield image
        except MemoryError as error:
            raise InputError(
                f"{_name(path)}: the image cannot be read (too little memory)."
            ) from error


def read_image_rgb(path: File) -> np.ndarray:
    """Read an image file as an upright (H, W, 3) uint8 RGB array.

    The EXIF orientation is applied and transparency dropped. 16-bit grey and floating point of 0 to
    1 are scaled to 8 bits; floating point of 0 to 255 is rounded.

    Raises:
        InputError: if the file is missing, is not an image, is broken, or is too large.
    """
    with upright_image(path) as image:
        return rgb_array(image)


def read_image_bgr(path: str | os.PathLike) -> np.ndarray:
    """Read an image file as `read_image_rgb` does, with the channels in OpenCV's order."""
    return np.ascontiguousarray(read_image_rgb(path)[..., ::-1])


def write_image_bgr(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write a BGR image (H, W, 3) uint8 to a file, in the format of its suffix.

    Raises:
        InputError: if the file cannot be written.
    """
    import cv2

    _, data = cv2.imencode(os.path.splitext(path)[1], image)
    write_bytes(path, data.tobytes())


def upright_rgb(image: Image.Image) -> np.ndarray:
    """Return a PIL image as an upright (H, W, 3) uint8 RGB array, see `read_image_rgb`."""
    return rgb_array(_upright(image))


def rgb_array(image: Image.Image, shrink: int = 1) -> np.ndarray:
    """Return the pixels of an upright image, (H, W, 3) uint8 RGB.

    With `shrink`, each pixel is the mean of that many rows and columns.
    """
    size = -(-image.height // shrink), -(-image.width // shrink)
    pixels, top = np.empty((*size, 3), "uint8"), 0
    for strip in rgb_strips(image, shrink):
        if shrink > 1:
            import cv2

            new = size[1], -(-len(strip) // shrink)
            strip = cv2.resize(strip, new, interpolation=cv2.INTER_AREA)
        pixels[top : top + len(strip)] = strip
        top += len(strip)
    return pixels


def rgb_strips(image: Image.Image, multiple: int = 1) -> Iterator[np.ndarray]:
    """Yield the rows of an upright image from top to bottom, (h, W, 3) uint8 RGB.

    All strips but the last have a multiple of `multiple` rows.
    """
    width, height = image.size
    rows = max(1, STRIP // width // multiple) * multiple
    for top in range(0, height, rows):
        strip = image
        if rows < height:
            strip = image.crop((0, top, width, min(top + rows, height)))
        if strip.mode == "P" and "transparency" in strip.info:
            strip = strip.convert("RGBA")
        yield np.asarray(strip.convert("RGB"))


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of an open image, 1 (upright) if its EXIF is broken."""
    try:
        # the base class's method: the method of PNG images decodes the pixels
        return Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except Exception:  # a good image may carry a bad header
        return 1


def _name(path: File) -> str:
    """Return the path of an image for a message, "image" for the bytes of one."""
    return printable(path, 1000) if isinstance(path, str | os.PathLike) else "image"


def _upright(image: Image.Image) -> Image.Image:
    """Return the image decoded and turned upright, grey and floating point with 8 bits."""
    image.load()
    turn = UPRIGHT.get(orientation(image))
    image = image if turn is None else image.transpose(turn)
    if image.mode == "I" or image.mode.startswith("I;16"):
        grey = np.clip(np.asarray(image, "int32"), 0, 65535)
        return Image.fromarray(np.rint(grey / 257).astype("uint8"))
    if image.mode == "F":
        return Image.fromarray(_float_to_eight_bit(np.asarray(image)))
    return image


def _float_to_eight_bit(values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    if not 0 <= low <= high <= 255:  # NaN neither
        raise ValueError(f"its values are {low:g} to {high:g}, not 0 to 1 or 0 to 255")
    return np.rint(values * (255 if high <= 1 else 1)).astype("uint8")
