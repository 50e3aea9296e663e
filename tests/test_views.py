"""Tiles, mirrored and scaled views: what they cover, and boxes in the image."""

import numpy as np
import pytest

from keras_retinanet.detector import Detector
from keras_retinanet.engines import Engine
from keras_retinanet.model_info import ModelInfo
from keras_retinanet.model_input import ModelInput
from keras_retinanet.parts import Inputs
from keras_retinanet.views import Views, starts, views_of


class Bright(Engine):
    """Finds the bounding box of bright pixels in each image of the input."""

    name = "bright"

    def __init__(self):
        self.info = ModelInfo(1, ("lamp",), inputs=Inputs("raw", None, None, None))
        self.calls = 0

    def __call__(self, images):
        self.calls += len(images)
        boxes = np.zeros((len(images), 1, 4), "float32")
        scores = np.full((len(images), 1), -1, "float32")
        for row, image in enumerate(images):
            rows, columns = np.nonzero(image[..., 0] > 128)
            if len(rows):
                boxes[row, 0] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
                scores[row, 0] = 0.9
        return boxes, scores, np.zeros((len(images), 1), "int32")


@pytest.fixture
def image():
    """A lamp of 10 x 20 px at (70, 40) in a dark image of 100 x 80 px."""
    image = np.zeros((80, 100, 3), "uint8")
    image[40:60, 70:80] = 255
    return image


@pytest.mark.parametrize(
    "views",
    [
        Views(),
        Views(tile=40, overlap=0.25),
        Views(tile=500),
        Views(flip=True),
        Views(tile=30, overlap=0.9, flip=True),
    ],
)
def test_every_view_gives_boxes_of_image(image, views):
    detector = Detector(Bright(), views=views, no_resize=True, batch_size=3)
    found = detector(image)
    assert found.boxes[0].tolist() == [70, 40, 80, 60]
    dark = detector(np.zeros_like(image))
    assert (len(dark), dark.boxes.shape) == (0, (0, 4))
    assert [len(each) for each in detector.stream([image, np.zeros_like(image)])] == [len(found), 0]


def test_views_are_merged_by_nms(image):
    engine = Bright()
    found = Detector(engine, views=Views(flip=True), no_resize=True)(image)
    assert engine.calls == 2
    assert found.boxes.tolist() == [[70, 40, 80, 60]]


@pytest.mark.parametrize("length", [1, 39, 40, 41, 100, 1001])
@pytest.mark.parametrize("overlap", [0, 0.25, 0.9])
def test_tiles_cover_and_overlap(length, overlap):
    places = starts(length, 40, overlap)
    assert places[0] == 0
    assert max(places) + 40 >= length
    assert max(places) <= max(0, length - 40)
    assert np.diff(places).max(initial=0) <= 40 * (1 - overlap) + 1e-6


def test_scales_change_the_sides_of_the_model_only():
    image = np.zeros((50, 100, 3), "uint8")
    one, half = views_of(image, ModelInput(64, 128), Views(scales=(0.5,)))
    assert one.inputs.fit((100, 50)).size == (128, 64)
    assert half.inputs.fit((100, 50)).size == (64, 32)
    assert half.image is image
