"""Affine transforms: 3x3 matrices on column vectors (x, y, 1), angles in radians, lengths in px.

`prng` is a NumPy RandomState or Generator everywhere.
"""

import numpy as np

DEFAULT_PRNG = np.random.RandomState(0)


def colvec(*values):
    """A column vector (n, 1)."""
    return np.array([values]).T


def transform_aabb(transform, aabb):
    """The smallest upright boxes around transformed boxes (..., 4) xyxy, in the same shape."""
    aabb = np.asarray(aabb)
    corners = aabb[..., [[0, 1], [2, 1], [2, 3], [0, 3]]]  # (..., 4, 2)
    moved = corners @ transform[:2, :2].T + transform[:2, 2]
    boxes = np.concatenate([moved.min(axis=-2), moved.max(axis=-2)], axis=-1)
    return boxes.astype(aabb.dtype) if aabb.dtype.kind == "f" else boxes


def rotation(angle):
    """Counter-clockwise where y points up, so clockwise in an image."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def translation(vector):
    return np.array([[1, 0, vector[0]], [0, 1, vector[1]], [0, 0, 1]])


def scaling(factor):
    return np.array([[factor[0], 0, 0], [0, factor[1], 0], [0, 0, 1]])


def shear(angle):
    """The y axis leans by the angle and keeps its length."""
    return np.array([[1, -np.sin(angle), 0], [0, np.cos(angle), 0], [0, 0, 1]])


def random_vector(low, high, prng=DEFAULT_PRNG):
    low, high = np.array(low), np.array(high)
    if low.shape != high.shape or low.ndim != 1:
        raise ValueError(f"Expected two vectors of one length. Received: {low}, {high}")
    return prng.uniform(low, high)


def random_rotation(min, max, prng=DEFAULT_PRNG):
    return rotation(prng.uniform(min, max))


def random_translation(min, max, prng=DEFAULT_PRNG):
    """`min` and `max` are vectors (2,)."""
    return translation(random_vector(min, max, prng))


def random_scaling(min, max, prng=DEFAULT_PRNG):
    """`min` and `max` are vectors (2,); the axes are scaled apart."""
    return scaling(random_vector(min, max, prng))


def random_shear(min, max, prng=DEFAULT_PRNG):
    return shear(prng.uniform(min, max))


def random_flip(flip_x_chance, flip_y_chance, prng=DEFAULT_PRNG):
    """Mirror left and right with the first chance, top and bottom with the second."""
    flip_x = prng.uniform(0, 1) < flip_x_chance
    flip_y = prng.uniform(0, 1) < flip_y_chance
    return scaling((1 - 2 * flip_x, 1 - 2 * flip_y))


def change_transform_origin(transform, center):
    """The transform (3, 3) carried out about `center` (2,) instead of (0, 0)."""
    center = np.array(center)
    return translation(center) @ transform @ translation(-center)


def random_transform(
    min_rotation=0,
    max_rotation=0,
    min_translation=(0, 0),
    max_translation=(0, 0),
    min_shear=0,
    max_shear=0,
    min_scaling=(1, 1),
    max_scaling=(1, 1),
    flip_x_chance=0,
    flip_y_chance=0,
    prng=DEFAULT_PRNG,
):
    """A matrix (3, 3) that flips, scales, shears, translates and rotates, in that order."""
    rotate = random_rotation(min_rotation, max_rotation, prng)
    translate = random_translation(min_translation, max_translation, prng)
    lean = random_shear(min_shear, max_shear, prng)
    scale = random_scaling(min_scaling, max_scaling, prng)
    flip = random_flip(flip_x_chance, flip_y_chance, prng)
    return rotate @ translate @ lean @ scale @ flip


def random_transform_generator(prng=None, **kwargs):
    """An infinite generator of `random_transform(**kwargs)`.

    Without a `prng` the transforms are the same in each run.
    """
    prng = np.random.RandomState(0) if prng is None else prng
    while True:
        yield random_transform(prng=prng, **kwargs)
