"""Thumbnails of images in data URLs: the boxes in question drawn large enough to be seen."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.utils.image_file import rgb_array, upright_image
from keras_retinanet.utils.visualization import draw_box

WIDTH, HEIGHT = 300, 225  # px, at most
RED, BLUE, GROUND = (214, 40, 40), (30, 120, 220), (225, 228, 232)
ZOOM = 0.3  # least share of the view that the boxes in question fill
LEAST_PART = 0.3  # least share of the image's sides that is shown around small boxes
FAR = 1.5  # largest margin around the image, in widths and heights of the image
MOST = 500  # largest number of boxes of a layer that are drawn
LEAST = 6  # px, the least side of a drawn box


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """Boxes (n, 4) px of the upright image in one RGB colour, with lines of `thickness` px."""

    boxes: np.ndarray | Sequence
    color: tuple[int, int, int]
    thickness: int = 2


def thumbnail(
    path: str,
    layers: Sequence[Layer],
    focus: np.ndarray | Sequence = (),
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> str | None:
    """Draw an image with its boxes as a JPEG in a data URL; None if the image cannot be read.

    Boxes outside the image are on grey.

    Args:
        layers: the boxes to draw, the topmost last.
        focus: (n, 4) px, the boxes in question; if they are small, only a part around them is
            shown.
        size: the largest width and height, px.
    """
    try:
        with upright_image(path) as image:
            view = _view(image, layers, focus, size)
    except InputError:
        return None
    _, data = cv2.imencode(".jpg", view[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _view(
    image: Image.Image,
    layers: Sequence[Layer],
    focus: np.ndarray | Sequence,
    most: tuple[int, int],
) -> np.ndarray:
    """Return the view of an image with the boxes drawn, (h, w, 3) RGB."""
    size = np.array(image.size, float)  # (2,)
    left, top, right, bottom = window = _window(_drawable(focus, size), size)
    scale = min(most[0] / (right - left), most[1] / (bottom - top))
    shape = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    start = np.floor(np.clip(window[:2], 0, size - 1))  # (2,) px, of the part that is seen
    end = np.ceil(np.clip(window[2:], start + 1, size))
    if 2 * (end - start).prod() < size.prod():
        image = image.crop((*start.astype(int), *end.astype(int)))
    else:
        start, end = np.zeros(2), size
    pixels = rgb_array(image, max(1, int(1 / scale)))
    zoom = scale * (end - start) / pixels.shape[1::-1]  # (2,), from `pixels` to px of the view
    shift = zoom / 2 - 0.5 - scale * (window[:2] - start)  # OpenCV's pixel centres are at 0
    matrix = np.array([[zoom[0], 0, shift[0]], [0, zoom[1], shift[1]]])
    view = cv2.warpAffine(pixels, matrix, shape, borderValue=GROUND)
    for layer in layers:
        for box in (_drawable(layer.boxes[:MOST], size) - np.tile(window[:2], 2)) * scale:
            middle, half = (box[:2] + box[2:]) / 2, np.maximum(box[2:] - box[:2], LEAST) / 2
            corners = np.concatenate([middle - half, middle + half])
            draw_box(view, corners, layer.color, layer.thickness)
    return view


def _drawable(boxes: np.ndarray | Sequence, size: np.ndarray) -> np.ndarray:
    """Return the boxes (n, 4) that are numbers, their corners in order and not too far away."""
    rows = np.asarray(boxes, float).reshape(-1, 4)
    rows = rows[np.isfinite(rows).all(axis=1)]
    low, high = np.minimum(rows[:, :2], rows[:, 2:]), np.maximum(rows[:, :2], rows[:, 2:])
    around = np.tile(size, 2)
    return np.clip(np.concatenate([low, high], axis=1), -FAR * around, (1 + FAR) * around)


def _window(boxes: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return the view (4,) px: the image, a part around small boxes, or more for boxes outside."""
    whole = np.concatenate([[0, 0], size])
    if not len(boxes):
        return whole
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    if (low < 0).any() or (high > size).any():
        margin = 0.02 * size
        low, high = np.minimum(low - margin, 0), np.maximum(high + margin, size)
        return np.concatenate([low, high])
    share = np.clip(((high - low) / size).max() / ZOOM, LEAST_PART, 1)
    part = np.minimum(np.maximum(share * size, 32), size)
    start = np.clip((low + high - part) / 2, 0, size - part)
    return np.concatenate([start, start + part])
