"""Images for an export: to calibrate int8, and to compare the export with the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from ..model_input import ModelInput, read_rgb
from ..models import RetinaNet
from ..synthetic import draw_image
from ..typing import StrPath

USUAL = (640, 480)  # px of the image whose padding bucket is the usual size


def usual_size(model: RetinaNet) -> tuple[int, int]:
    """Return the (width, height) px that a 4:3 image is padded to."""
    inputs = replace(ModelInput.of(model), canvases="few")
    return inputs.bucket(inputs.fit(USUAL))


def inputs_of(
    model: RetinaNet, images: Sequence[Any], size: tuple[int, int] | None = None
) -> list[np.ndarray]:
    """Return images as inputs (1, H, W, 3) float32 of a model.

    Args:
        images: as for `ModelInput.prepare`.
        size: (width, height) px of all inputs; None for the padding bucket of each image.
    """
    inputs = ModelInput.of(model, size=size)
    return [inputs.batch([inputs.prepare(image)]).astype("float32") for image in images]


def proof_images(
    paths: Sequence[StrPath], size: tuple[int, int], count: int = 3
) -> list[np.ndarray]:
    """Return images (H, W, 3) uint8 RGB of a size, to compare an export with its model.

    Args:
        paths: image files, of which the first few are used; [] for synthetic images.
        size: (width, height) px.
    """
    if paths:
        found = [Image.fromarray(read_rgb(path)) for path in paths[:count]]
    else:
        side = max(64, min(size))
        drawn = [draw_image(np.random.default_rng(seed), side) for seed in range(count)]
        found = [Image.fromarray(image) for image, _ in drawn]
    return [np.asarray(image.resize(size, Image.Resampling.BILINEAR)) for image in found]
