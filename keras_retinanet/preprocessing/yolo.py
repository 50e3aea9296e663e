"""A generator of YOLO data sets."""

from __future__ import annotations

import os
from typing import Any

from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.preprocessing.readers.yolo import read_yolo

__all__ = ["YoloGenerator", "read_yolo"]


class YoloGenerator(Generator):
    """Batches of a YOLO data set; `path` and `set_name` of `read_yolo`, **kwargs to `Generator`."""

    def __init__(self, path: str | os.PathLike, set_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(dataset=read_yolo(path, set_name), **kwargs)
