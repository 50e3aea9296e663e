"""The one interface of every runtime: a batch of images in, boxes, scores and labels out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from ..model_info import ModelInfo

Outputs = tuple[np.ndarray, np.ndarray, np.ndarray]  # boxes, scores, labels


class Engine(ABC):
    """A model file that a runtime has loaded.

    Attributes:
        name: the runtime's name, a key of `engines.ENGINES`.
        info: the facts in the file; None for a Keras model that is no RetinaNet.
        model: the Keras model, for the engine that runs one.
    """

    name: str
    info: ModelInfo | None
    model: Any = None

    @abstractmethod
    def __call__(self, images: np.ndarray) -> Outputs:
        """Run the model.

        Args:
            images: (B, H, W, 3) uint8 or float32, resized and padded, as `info.inputs` says.

        Returns:
            boxes (B, C, 4) xyxy px of the padded images, scores (B, C) and labels (B, C): the
            candidates or, after NMS, the detections, see `ModelInfo.outputs`.
        """
