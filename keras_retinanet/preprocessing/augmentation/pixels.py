"""Random changes of pixel values of an image (H, W, 3) uint8 BGR; nothing moves.

Ranges hold at strength 1. All but `cutout` return a new image.
"""

from itertools import combinations
from statistics import NormalDist

import cv2
import numpy as np

from ...boxes import area, intersection
from .sampling import GREY, KEPT_SHARE, Annotations, Example, only

LUMA = np.array([0.114, 0.587, 0.299])  # of BGR
# the normal number of each uniform byte: drawing bytes is ten times faster than normal numbers
NORMAL = np.array([NormalDist().inv_cdf((byte + 0.5) / 256) for byte in range(256)])


def colour(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Change contrast and brightness by up to 0.1, hue by 0.05 of the circle, saturation by 0.05.

    All changes are linear in the colours, so they are one matrix: a change of hue is a rotation
    about the axis of greys.
    """
    by = rng.uniform(-1, 1, 4) * strength
    contrast, saturation = np.maximum(0, 1 + by[:2] * (0.1, 0.05))
    brightness, hue = by[2:] * (0.1 * 255, 0.05 * 2 * np.pi)
    turn, _ = cv2.Rodrigues(np.full(3, -hue / np.sqrt(3)))  # (3, 3), BGR runs against the circle
    grey = np.broadcast_to(LUMA, (3, 3))
    tint = turn @ (saturation * np.eye(3) + (1 - saturation) * grey)
    mean = np.array(cv2.mean(image)[:3])
    shift = tint @ ((1 - contrast) * mean + brightness)
    return cv2.transform(image, np.column_stack([contrast * tint, shift]))


def blur(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Blur by a Gaussian with a sigma of up to 1.5 px."""
    sigma = max(0.1, rng.uniform(0, 1.5) * strength)  # OpenCV takes 0 for unknown
    return cv2.GaussianBlur(image, (0, 0), sigma)


def noise(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Add Gaussian noise to each channel of each pixel, with a sigma of up to 10 (of 255)."""
    table = np.clip(np.rint(128 + rng.uniform(0, 10) * strength * NORMAL), 0, 255).astype("uint8")
    height, width, channels = image.shape
    words = rng.integers(2**64 - 1, size=-(-image.size // 8), dtype="uint64", endpoint=True)
    drawn = words.view("uint8")[: image.size].reshape(height, width * channels)
    added = cv2.LUT(drawn, table).reshape(image.shape)
    return cv2.addWeighted(image, 1, added, 1, -128, dst=added)


def jpeg(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Compress as JPEG with a quality of 40 to 100."""
    quality = max(1, round(100 - rng.uniform(0, 60) * strength))
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


PIXELS = {"colour": colour, "blur": blur, "noise": noise, "jpeg": jpeg}  # as in a camera


def cutout(
    image: np.ndarray, annotations: Annotations, rng: np.random.Generator, strength: float
) -> Example:
    """Draw one to three grey rectangles on the image, with sides of up to 0.3 of its sides.

    A box is dropped if less than `KEPT_SHARE` of its area stays in view. DeVries and Taylor 2017,
    arXiv 1708.04552.
    """
    size = image.shape[1::-1]
    sides = np.minimum(rng.uniform(0.05, 0.3, (rng.integers(1, 4), 2)) * strength, 1)
    corners = rng.uniform(size=sides.shape) * (1 - sides)
    rectangles = np.rint(np.hstack([corners, corners + sides]) * (*size, *size)).astype(int)
    for x1, y1, x2, y2 in rectangles:
        image[y1:y2, x1:x2] = GREY
    boxes = np.asarray(annotations["bboxes"], "float64")
    shown = area(boxes) - covered(boxes, rectangles)  # (n,)
    return image, only(annotations, shown >= KEPT_SHARE * area(boxes))


def covered(boxes: np.ndarray, rectangles: np.ndarray) -> np.ndarray:
    """Return the area of each box (n, 4) that a few rectangles (m, 4) cover: (n,).

    Computed by inclusion and exclusion: the area that two rectangles share is subtracted, the area
    that three share is added, and so on.
    """
    total = np.zeros(len(boxes))
    for count in range(1, len(rectangles) + 1):
        for some in combinations(rectangles, count):
            common = np.append(np.max(some, axis=0)[:2], np.min(some, axis=0)[2:])
            total -= (-1) ** count * intersection(boxes, common)
    return total
