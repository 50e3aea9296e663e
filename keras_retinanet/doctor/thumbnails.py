"""Thumbnails of a defect: the boxes in question drawn large enough to be seen."""

import base64
from collections.abc import Sequence

import cv2
import numpy as np

from ..errors import InputError
from ..utils.image import read_image_rgb
from ..utils.visualization import draw_box
from .findings import Place

WIDTH, HEIGHT = 300, 225  # px, at most
RED, BLUE, GROUND = (214, 40, 40), (30, 120, 220), (225, 228, 232)
ZOOM = 0.3  # of the view that the boxes in question fill, at least
LEAST_PART = 0.3  # of the image's width and height that is shown around small boxes
FAR = 1.5  # widths and heights of the image around it that are still shown
LEAST = 6  # px that even a box without area is drawn


def thumbnail(place: Place) -> str | None:
    """Draw a `Place` as a JPEG image in a data URL; None if its image cannot be read.

    The boxes in question are red, the others blue; boxes outside the image are on grey.
    """
    try:
        image = read_image_rgb(place.path)
    except InputError:
        return None
    size = np.array(image.shape[1::-1], float)  # (2,)
    boxes = _drawable(place.boxes, size)
    left, top, right, bottom = window = _window(boxes, size)
    scale = min(WIDTH / (right - left), HEIGHT / (bottom - top))
    shape = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    image = _shrunk(image, scale)
    zoom = scale * size / image.shape[1::-1]  # (2,), from px of the image to those of the view
    shift = zoom / 2 - 0.5 - scale * window[:2]  # OpenCV's pixel centres lie at 0
    matrix = np.array([[zoom[0], 0, shift[0]], [0, zoom[1], shift[1]]])
    view = cv2.warpAffine(image, matrix, shape, borderValue=GROUND)
    for some, color, thickness in ((_drawable(place.others, size), BLUE, 1), (boxes, RED, 2)):
        for box in (some - np.tile(window[:2], 2)) * scale:
            middle, half = (box[:2] + box[2:]) / 2, np.maximum(box[2:] - box[:2], LEAST) / 2
            draw_box(view, np.concatenate([middle - half, middle + half]), color, thickness)
    _, data = cv2.imencode(".jpg", view[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _drawable(boxes: np.ndarray | Sequence, size: np.ndarray) -> np.ndarray:
    """Return the boxes (n, 4) that are numbers, their corners in order and not too far away."""
    rows = np.asarray(boxes, float).reshape(-1, 4)
    rows = rows[np.isfinite(rows).all(axis=1)]
    low, high = np.minimum(rows[:, :2], rows[:, 2:]), np.maximum(rows[:, :2], rows[:, 2:])
    around = np.tile(size, 2)
    return np.clip(np.concatenate([low, high], axis=1), -FAR * around, (1 + FAR) * around)


def _window(boxes: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return the view, (4,) px: the image, a part of it around small boxes, or more than it."""
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


def _shrunk(image: np.ndarray, scale: float) -> np.ndarray:
    """Return the image averaged to `scale` if that is below 1, else as it is."""
    if scale >= 1:
        return image
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
