"""The interface that all runtimes share: a batch of images in; boxes, scores and labels out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..detector_options import DetectorOptions
from ..errors import InputError
from ..model_info import ModelInfo
from ..typing import StrPath
from ..utils.text import printable

Outputs = tuple[np.ndarray, np.ndarray, np.ndarray]  # boxes, scores, labels
NAMES = ("boxes", "scores", "labels")  # of a file's outputs


@dataclass(frozen=True)
class Settings:
    """The settings of a runtime.

    Attributes:
        precision: the precision to compute in, one of `choices.ENGINE_PRECISIONS`; None takes the
            file's.
        threads: None takes as many as the process may use.
        options: options of the detector, for the conversion of a training model.
    """

    precision: str | None = None
    threads: int | None = None
    options: DetectorOptions = DetectorOptions()


class Engine(ABC):
    """A model that a runtime has loaded; takes one call at a time.

    Attributes:
        name: the runtime, a key of `choices.ENGINES`.
        info: the facts in the file; None for a Keras model that is not a RetinaNet.
        model: the Keras model of the engine that runs one, else None.
        resizes: True if the graph resizes images of any size to the model's sides.
    """

    name: str
    info: ModelInfo | None
    model: Any = None
    resizes: bool = False

    @abstractmethod
    def __call__(self, images: np.ndarray) -> Outputs:
        """Run the model.

        Args:
            images: (B, H, W, 3) uint8 or float32, resized and padded, as `info.inputs` says.

        Returns:
            boxes (B, C, 4) xyxy px of the padded images, scores (B, C) and labels (B, C): the
            candidates or, after NMS, the detections, see `ModelInfo.outputs`.
        """


def read_info(path: StrPath, text: str | bytes | None) -> ModelInfo:
    """Return the facts in the metadata of a file.

    Raises:
        InputError: if there are none, or they are damaged.
    """
    if text is None:
        raise InputError(
            f"{path} has no metadata of keras_retinanet; write it with retinanet-convert-model."
        )
    try:
        return ModelInfo.from_json(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def check_outputs(path: StrPath, found: list[str]) -> None:
    """Raise an InputError unless a file has the outputs `NAMES`."""
    if missing := [name for name in NAMES if name not in found]:
        raise InputError(f"{path} has no output {missing[0]}; export the model again.")


def check_precision(path: StrPath, engine: str, precision: str | None) -> None:
    """Raise an InputError if a precision is requested, for engines that use the file's."""
    if precision not in (None, "float32"):
        raise InputError(
            f"{path}: {engine} cannot compute in {precision}; use openvino or no precision."
        )


def damaged(path: StrPath, kind: str, error: Exception) -> InputError:
    """Return the error for a file that the runtime refuses."""
    words = str(error).strip().splitlines()
    reason = words[0][:200].rstrip(".") if words else type(error).__name__
    return InputError(f"{path}: damaged, or not {kind}: {printable(reason)}.")
