"""Detectors on Ray Serve, with Ray's batching of requests.

serve run keras_retinanet.serving.ray:application path=/models/detector.onnx
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ray import serve

from ..detector import Detector
from ..errors import InputError
from .app import objects

EVERY = np.zeros(1)  # least scores


class DetectorDeployment:
    """A detector that answers images, in batches that Ray forms.

    Args:
        path: the path of the model file, the same on every machine.
        **options: options of `Detector.load`.
    """

    def __init__(self, path: str, **options: Any) -> None:
        self.detector = Detector.load(path, **{"batch_size": 8, **options})
        self.sizes: list[int] = []  # of the latest batches

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.01)
    async def detect(self, files: list[bytes]) -> list[dict]:
        """Return {"detections": [...]} for each encoded image, or {"error": sentence}."""
        self.sizes = [*self.sizes[-99:], len(files)]
        answers: list[dict] = [{"error": "The image cannot be read."} for _ in files]
        try:
            for found in self.detector.stream(files, on_error="skip"):
                most = self.detector.options.max_detections
                answers[found.index] = {"detections": objects(found, EVERY, most)}
        except InputError:  # none of the images can be read
            return answers
        return answers

    async def batch_sizes(self) -> list[int]:
        """Return the numbers of images in the latest batches."""
        return self.sizes

    async def __call__(self, request: Any) -> dict:
        """Answer an HTTP request whose body is an encoded image."""
        return await self.detect(await request.body())


def application(arguments: dict[str, Any]) -> serve.Application:
    """Return the application for `serve run`, from `path` and options of `Detector.load`."""
    return serve.deployment()(DetectorDeployment).bind(**arguments)
