"""A server in this process, whose models need no runtime."""

import contextlib
import io
import threading

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("httpx")
pytest.importorskip("prometheus_client")

from starlette.testclient import TestClient

from keras_retinanet.engines import Engine
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.parts import Inputs, PostProcess
from keras_retinanet.serving.app import Settings, create_app
from keras_retinanet.serving.models import Models, Running


class Halves(Engine):
    """Finds a cat in the left half of each image, and a doubtful dog in the right one."""

    name = "halves"
    restarts = 0

    def __init__(self, path=None):
        self.path = path
        self.batches = []
        self.closed = False
        self.hold = None  # an Event to wait for
        self.entered = threading.Event()
        self.info = ModelInfo(
            2,
            ("cat", "dog"),
            inputs=Inputs("raw", None, 64, 96),
            postprocess=PostProcess(max_detections=4),
            outputs="detections",
        )

    def __call__(self, images):
        self.entered.set()
        if self.hold is not None:
            self.hold.wait(20)
        self.batches.append(len(images))
        count, height, width = images.shape[:3]
        boxes = [[0, 0, width / 2, height], [width / 2, 0, width, height]]
        return (
            np.tile(np.float32(boxes), (count, 1, 1)),
            np.tile(np.float32([0.9, 0.3]), (count, 1)),
            np.tile(np.int32([0, 1]), (count, 1)),
        )

    def close(self):
        self.closed = True


@pytest.fixture
def started(monkeypatch):
    """The engines that were started, in order."""
    engines = []

    def start(self, path):
        engines.append(Halves(path))
        return engines[-1:]

    monkeypatch.setattr(Models, "start", start)
    return engines


@pytest.fixture
def make_app(started, tmp_path):
    """Return the application with models of some names."""

    def make(*names, running=None, versions=1, paths=None, **settings):
        paths = paths or {name: tmp_path / f"{name}.onnx" for name in names or ("pets",)}
        for path in paths.values():
            if not path.exists():
                path.write_bytes(b"a model")
        return create_app(Models(paths, running or Running(), versions), Settings(**settings))

    return make


@pytest.fixture
def serve(make_app):
    """Start a server with models of some names, and return its client."""
    with contextlib.ExitStack() as stack:

        def run(*names, **how):
            client = TestClient(make_app(*names, **how), raise_server_exceptions=False)
            stack.enter_context(client)
            while client.get("/readyz").status_code == 503:
                pass
            return client

        yield run


def encoded(size=(64, 48), suffix="PNG", color=(200, 10, 10)):
    """Return an image file as bytes."""
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, suffix)
    return file.getvalue()


@pytest.fixture(scope="session")
def image():
    """A PNG file of 64 x 48 px, which the model takes at 80 x 64 px in a bucket of 96 x 64."""
    return encoded()
