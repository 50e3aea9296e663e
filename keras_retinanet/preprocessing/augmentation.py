"""Random changes of an image and its boxes together."""

import numpy as np

from ..boxes import area
from ..utils.image import (
    TransformParameters,
    adjust_transform_for_image,
    apply_transform,
    random_visual_effect_generator,
)
from ..utils.transform import random_transform, transform_aabb

NONE = {}
LIGHT = {"flip_x_chance": 0.5}
DEFAULT = {
    "flip_x_chance": 0.5,
    "min_translation": (-0.1, -0.1),
    "max_translation": (0.1, 0.1),
    "min_scaling": (0.8, 0.8),
    "max_scaling": (1.25, 1.25),
    "effects": True,
}
STRONG = {
    **DEFAULT,
    "min_rotation": -0.1,
    "max_rotation": 0.1,
    "min_shear": -0.1,
    "max_shear": 0.1,
    "min_scaling": (0.6, 0.6),
    "max_scaling": (1.6, 1.6),
}
AUGMENTATIONS = {"none": NONE, "light": LIGHT, "default": DEFAULT, "strong": STRONG}

KEPT_SHARE = 0.3  # of a box's area that must stay in view


def augment(image, annotations, rng, effects=False, parameters=None, **transform):
    """The image (H, W, 3) BGR uint8 and annotations after a random transform and visual effects.

    `transform` holds the ranges of `utils.transform.random_transform`; `rng` is a NumPy Generator.
    """
    if effects:
        image = next(random_visual_effect_generator(prng=rng))(image)
    if transform:
        matrix = random_transform(prng=rng, **transform)
        image, annotations = transform_both(image, annotations, matrix, parameters)
    return image, annotations


def transform_both(image, annotations, matrix, parameters=None):
    """The image and its annotations moved by `matrix` (3, 3); see `adjust_transform_for_image`.

    Boxes become the upright boxes of their moved corners, are clipped to the image, and are
    dropped when less than `KEPT_SHARE` of them stays in view.
    """
    parameters = parameters or TransformParameters()
    matrix = adjust_transform_for_image(matrix, image, parameters.relative_translation)
    moved = apply_transform(matrix, image, parameters)
    boxes = annotations["bboxes"]
    boxes = np.array([transform_aabb(matrix, box) for box in boxes], "float32").reshape(-1, 4)
    height, width = image.shape[:2]
    clipped = np.clip(boxes, 0, (width, height, width, height)).astype("float32")
    kept = area(clipped) >= KEPT_SHARE * area(boxes)
    annotations = {key: np.asarray(values)[kept] for key, values in annotations.items()}
    return moved, {**annotations, "bboxes": clipped[kept]}
