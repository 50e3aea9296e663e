"""The bodies of TensorFlow Serving's REST interface.

https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..detections import Detections
from ..model_info import ModelInfo
from .limits import Limits, Refused

INPUT = "images"
SIGNATURES = {  # name: (type, shape) of its input
    "serving_default": ("DT_FLOAT", (-1, -1, -1, 3)),
    "serving_uint8": ("DT_UINT8", (-1, -1, -1, 3)),
    "serving_bytes": ("DT_STRING", (-1,)),
}

Image = bytes | np.ndarray  # an encoded file, or (H, W, 3) uint8 RGB


def images_of(body: Any, limits: Limits) -> list[Image]:
    """Return the images in the body of a predict request.

    Raises:
        Refused: if the body is not such a request, or is beyond the limits.
    """
    if not isinstance(body, dict):
        raise Refused(400, "The body must be a JSON object.")
    signature = body.get("signature_name") or "serving_default"
    if not isinstance(signature, str) or signature not in SIGNATURES:
        raise Refused(400, f"Unknown signature; known: {', '.join(SIGNATURES)}.")
    given = [key for key in ("instances", "inputs") if key in body]
    if len(given) != 1:
        raise Refused(400, "The body must have instances or inputs, and not both.")
    values = body[given[0]]
    if given[0] == "inputs" and isinstance(values, dict) and "b64" not in values:
        values = only_input(values)
    if not isinstance(values, list) or not values:
        raise Refused(400, f"{given[0]} must be a list of images, with at least one.")
    if len(values) > limits.images:
        raise Refused(413, f"A request may have at most {limits.images} images.")
    return [image_of(value, limits) for value in values]


def only_input(values: dict) -> Any:
    """Return the value of the only input. Raises `Refused` if it has another name."""
    if set(values) != {INPUT}:
        raise Refused(400, f"The only input is {INPUT}.")
    return values[INPUT]


def image_of(value: Any, limits: Limits) -> Image:
    """Return an image from {"b64": text}, rows of pixels, or {"images": one of them}."""
    if isinstance(value, dict) and set(value) == {INPUT}:
        value = value[INPUT]
    if isinstance(value, dict):
        return decoded(value, limits)
    if not isinstance(value, list):
        raise Refused(400, 'An image must be rows of pixels, or {"b64": text}.')
    try:
        pixels = np.asarray(value, "float32")
    except (TypeError, ValueError, OverflowError):
        raise Refused(400, "The rows of an image must have the same length.") from None
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise Refused(400, "The rows of an image must hold pixels of three numbers.")
    if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 255):
        raise Refused(400, "The numbers of an image must be from 0 to 255.")
    limits.check_pixels(pixels.shape[1], pixels.shape[0])
    return np.rint(pixels).astype("uint8")


def decoded(value: dict, limits: Limits) -> bytes:
    """Return the encoded image file in {"b64": text}."""
    text = value.get("b64")
    if set(value) != {"b64"} or not isinstance(text, str):
        raise Refused(400, 'An encoded image must be {"b64": text}.')
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, "The text of b64 is not base64.") from None
    limits.check_image(data)
    return data


def predictions(found: Sequence[Detections], info: ModelInfo, columns: bool) -> dict:
    """Return the body of an answer; unused rows are -1, as in a SavedModel's outputs.

    Args:
        columns: in columns, as for a request with `inputs`; else a dict for each image.
    """
    rows = [padded(each, info.postprocess.max_detections) for each in found]
    if columns:
        return {"outputs": {name: [row[name] for row in rows] for name in rows[0]}}
    return {"predictions": rows}


def padded(found: Detections, count: int) -> dict[str, list]:
    """Return detections as lists of `count` rows."""
    empty = count - len(found)
    return {
        "boxes": found.boxes.tolist() + [[-1.0] * 4] * empty,
        "scores": found.scores.tolist() + [-1.0] * empty,
        "labels": found.labels.tolist() + [-1] * empty,
    }


def status(numbers: Sequence[int]) -> dict:
    """Return the status of loaded versions."""
    states = [
        {
            "version": str(number),
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }
        for number in sorted(numbers, reverse=True)
    ]
    return {"model_version_status": states}


def metadata(name: str, number: int, info: ModelInfo) -> dict:
    """Return the metadata of a version: its signatures."""
    count = info.postprocess.max_detections
    outputs = {
        "boxes": tensor("boxes", "DT_FLOAT", (-1, count, 4)),
        "scores": tensor("scores", "DT_FLOAT", (-1, count)),
        "labels": tensor("labels", "DT_INT32", (-1, count)),
    }
    signatures = {
        signature: {
            "inputs": {INPUT: tensor(INPUT, kind, shape)},
            "outputs": outputs,
            "method_name": "tensorflow/serving/predict",
        }
        for signature, (kind, shape) in SIGNATURES.items()
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(number)},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }


def tensor(name: str, kind: str, shape: Sequence[int]) -> dict:
    """Return TensorFlow's description of a tensor."""
    sides = [{"size": str(side), "name": ""} for side in shape]
    return {
        "dtype": kind,
        "tensor_shape": {"dim": sides, "unknown_rank": False},
        "name": f"{name}:0",
    }
