"""Messages about a file that belongs to another source."""

import pytest

from keras_retinanet.weights import SOURCES, detectron2, mmdetection, torchvision
from keras_retinanet.weights.signs import SIGNS, received

pytestmark = pytest.mark.core


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("torchvision", torchvision.names_of({})["classification"]["last"]),
        ("detectron2", detectron2.NAMES["classification"]["last"]),
        ("mmdetection", mmdetection.head_names({}, "retina")["classification"]["last"]),
        ("mmdetection", mmdetection.head_names({}, "gfl")["classification"]["last"]),
    ],
)
def test_sources_are_known_by_the_names_of_their_heads(source, name):
    tensors = {"a.weight": 1, "b.weight": 2, f"{name}.weight": 3}
    names = f"tensors such as a.weight, b.weight, {name}.weight"
    assert received(tensors) == f"{names}; name the source {source}"


def test_other_tensors():
    assert received({}) == "no tensors"
    assert received({"a": 1, "b\n": 2}) == "tensors such as a, b?"
    found = received({"layer1.0.conv1.weight": 1})
    assert found.endswith("; name the source backbone")
    found = received({"regression_submodel/pyramid_regression_8/kernel": 1})
    assert found.endswith("; name the source keras-retinanet")
    assert set(SIGNS.values()) <= set(SOURCES)
