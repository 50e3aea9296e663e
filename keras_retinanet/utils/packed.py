"""Images that a JSON file of labelme packs as base64 text: its path is the path of the image."""

from __future__ import annotations

import base64
import io
import json
import os
from typing import Any

from keras_retinanet.errors import InputError
from keras_retinanet.utils.text import check_regular, read_text


def is_packed(path: object) -> bool:
    """Return True if a path is the path of a JSON file, which packs the image."""
    return isinstance(path, str | os.PathLike) and os.fspath(path).lower().endswith(".json")


def image_source(path: Any) -> Any:
    """Return what Pillow opens for the path of an image: the path, or the bytes in a JSON file."""
    if is_packed(path):
        return io.BytesIO(unpacked(json.loads(read_text(path)), path))
    if isinstance(path, str | os.PathLike):
        check_regular(path)
    return path


def image_name(path: str) -> str:
    """Return the file name of an image, also of one in a JSON file."""
    name = json.loads(read_text(path))["imagePath"].replace("\\", "/") if is_packed(path) else path
    return os.path.basename(name)


def unpacked(content: Any, path: str | os.PathLike) -> bytes:
    """Return the bytes of the image in the content of a JSON file.

    Raises:
        InputError: if `imageData` is not base64 text.
    """
    try:
        return base64.b64decode(content["imageData"], validate=True)
    except (KeyError, TypeError, ValueError) as error:  # ValueError: binascii.Error, or no ASCII
        raise InputError(f"{path}: malformed imageData: {error}.") from None
