"""Random matrices (3, 3) that move the content of an image of `size` (width, height) px.

Ranges hold at strength 1; strength 2 squares factors and doubles angles.
"""

import numpy as np

from ...boxes import area, intersection
from ...utils.transform import change_transform_origin, rotation, scaling, shear, translation
from .sampling import Size


def flip(size: Size, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Mirror left and right."""
    return translation((size[0], 0)) @ scaling((-1, 1))


def vertical_flip(size: Size, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Turn upside down."""
    return translation((0, size[1])) @ scaling((1, -1))


def scale(size: Size, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Scale about the centre, each axis by 0.8 to 1.25, and shift by up to 0.1 of the image."""
    factors = rng.uniform(1.25**-strength, 1.25**strength, 2)
    return _shift(size, rng, strength) @ _centred(scaling(factors), size)


def large_scale(size: Size, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Scale by 0.1 to 2, put anywhere: large-scale jitter. Ghiasi et al. 2021, arXiv 2012.07177."""
    factor = rng.uniform(0.1**strength, 2**strength)
    room = np.multiply(size, 1 - factor)  # below 0 if the image outgrows its frame
    return translation(rng.uniform(size=2) * room) @ scaling((factor, factor))


def affine(size: Size, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Turn and shear by up to 0.1 rad, and shift by up to 0.1 of the image."""
    turn, lean = rng.uniform(-0.1, 0.1, 2) * strength
    return _shift(size, rng, strength) @ _centred(rotation(turn) @ shear(lean), size)


GEOMETRY = {move.__name__: move for move in (flip, vertical_flip, scale, large_scale, affine)}


def _centred(matrix: np.ndarray, size: Size) -> np.ndarray:
    return change_transform_origin(matrix, np.divide(size, 2))


def _shift(size: Size, rng: np.random.Generator, strength: float) -> np.ndarray:
    return translation(rng.uniform(-0.1, 0.1, 2) * min(strength, 1) * size)


def crop(size: Size, boxes: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Enlarge a random window to the whole image: its sides are 0.5 to 1 of the image's sides.

    The window has whole px and the image's aspect ratio. It grows until each of `boxes` (n, 4) is
    entirely inside or outside.
    """
    frame, boxes = np.array(size), np.asarray(boxes, "float64")
    sides = rng.uniform(0.5**strength, 1) * frame
    corner = rng.uniform(size=2) * (frame - sides)
    window = _in_ratio(np.concatenate([corner, corner + sides]), frame)
    while True:
        shared = intersection(boxes, window)  # (n,)
        cut = boxes[(shared > 0) & (shared < area(boxes))]
        if not len(cut):
            return scaling(frame / (window[2:] - window[:2])) @ translation(-window[:2])
        low, high = cut[:, :2].min(axis=0), cut[:, 2:].max(axis=0)
        grown = np.append(np.minimum(window[:2], low), np.maximum(window[2:], high))
        window = _in_ratio(grown, frame)


def _in_ratio(window: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return the smallest window of whole px around another one, with the ratio of `size`."""
    low, high = np.floor(window[:2]), np.ceil(window[2:])
    sides = np.minimum(np.ceil(((high - low) / size).max() * size), size)
    corner = np.clip(np.floor((low + high - sides) / 2), 0, size - sides)
    return np.append(corner, corner + sides)  # (4,)
