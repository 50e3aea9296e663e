"""Inputs of an export, made from images: to calibrate int8 with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..model_input import ModelInput
from ..models import RetinaNet

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
