"""Affine transforms: 3x3 matrices on column vectors (x, y, 1), angles in radians, lengths in px.

`prng` is a NumPy RandomState or Generator everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Vector = Sequence[float] | np.ndarray  # (2,); translation and scaling take (2, 1) too

DEFAULT_PRNG = np.random.RandomState(0)


def colvec(*values: float) -> np.ndarray:
    """Return a column vector (n, 1)."""
    return np.array([values]).T


def transform_aabb(transform: np.ndarray, aabb: np.ndarray) -> np.ndarray:
    """Return the smallest upright boxes around transformed boxes (..., 4) xyxy."""
    aabb = np.asarray(aabb)
    corners = aabb[..., [[0, 1], [2, 1], [2, 3], [0, 3]]]  # (..., 4, 2)
    moved = corners @ transform[:2, :2].T + transform[:2, 2]
    boxes = np.concatenate([moved.min(axis=-2), moved.max(axis=-2)], axis=-1)
    return boxes.astype(aabb.dtype) if aabb.dtype.kind == "f" else boxes


def rotation(angle: float) -> np.ndarray:
    """Rotate counter-clockwise if y points up, so clockwise in an image."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def translation(vector: Vector) -> np.ndarray:
    x, y = np.ravel(vector)
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])


def scaling(factor: Vector) -> np.ndarray:
    x, y = np.ravel(factor)
    return np.array([[x, 0, 0], [0, y, 0], [0, 0, 1]])


def shear(angle: float) -> np.ndarray:
    """Lean the y axis by the angle; it keeps its length."""
    return np.array([[1, -np.sin(angle), 0], [0, np.cos(angle), 0], [0, 0, 1]])


def random_vector(low: Vector, high: Vector, prng: Any = DEFAULT_PRNG) -> np.ndarray:
    low, high = np.array(low), np.array(high)
    if low.shape != high.shape or low.ndim != 1:
        raise ValueError(f"low and high must be vectors of one length, got {low} and {high}.")
    return prng.uniform(low, high)


def random_rotation(min: float, max: float, prng: Any = DEFAULT_PRNG) -> np.ndarray:
    return rotation(prng.uniform(min, max))


def random_translation(min: Vector, max: Vector, prng: Any = DEFAULT_PRNG) -> np.ndarray:
    return translation(random_vector(min, max, prng))


def random_scaling(min: Vector, max: Vector, prng: Any = DEFAULT_PRNG) -> np.ndarray:
    """Scale each axis by a factor of its range."""
    return scaling(random_vector(min, max, prng))


def random_shear(min: float, max: float, prng: Any = DEFAULT_PRNG) -> np.ndarray:
    return shear(prng.uniform(min, max))


def random_flip(flip_x_chance: float, flip_y_chance: float, prng: Any = DEFAULT_PRNG) -> np.ndarray:
    """Mirror left and right with the first chance, top and bottom with the second."""
    flip_x = prng.uniform(0, 1) < flip_x_chance
    flip_y = prng.uniform(0, 1) < flip_y_chance
    return scaling((1 - 2 * flip_x, 1 - 2 * flip_y))


def change_transform_origin(transform: np.ndarray, center: Vector) -> np.ndarray:
    """Return the transform (3, 3) about `center` instead of (0, 0)."""
    center = np.array(center)
    return translation(center) @ transform @ translation(-center)


def random_transform(
    min_rotation: float = 0,
    max_rotation: float = 0,
    min_translation: Vector = (0, 0),
    max_translation: Vector = (0, 0),
    min_shear: float = 0,
    max_shear: float = 0,
    min_scaling: Vector = (1, 1),
    max_scaling: Vector = (1, 1),
    flip_x_chance: float = 0,
    flip_y_chance: float = 0,
    prng: Any = DEFAULT_PRNG,
) -> np.ndarray:
    """Return a matrix (3, 3) that flips, scales, shears, translates and rotates, in that order."""
    rotate = random_rotation(min_rotation, max_rotation, prng)
    translate = random_translation(min_translation, max_translation, prng)
    lean = random_shear(min_shear, max_shear, prng)
    scale = random_scaling(min_scaling, max_scaling, prng)
    flip = random_flip(flip_x_chance, flip_y_chance, prng)
    return rotate @ translate @ lean @ scale @ flip


def random_transform_generator(prng: Any = None, **kwargs: Any) -> Iterator[np.ndarray]:
    """Yield `random_transform(**kwargs)` without end.

    Without a `prng` the transforms are the same in each run.
    """
    prng = np.random.RandomState(0) if prng is None else prng
    while True:
        yield random_transform(prng=prng, **kwargs)
