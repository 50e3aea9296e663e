"""Detections and their conversions for other programs."""

import sys
import types

import numpy as np
import pytest

from keras_retinanet import Detections
from keras_retinanet.errors import InputError


@pytest.fixture
def found():
    return Detections(
        boxes=np.array([[2, 3, 12, 8], [0, 0, 5, 5]], "float32"),
        scores=np.array([0.75, 0.5], "float32"),
        labels=np.array([1, 0], "int32"),
        class_names=["cat", "dog"],
        image=np.zeros((60, 80, 3), "uint8"),
        index=4,
    )


def test_names_follow_the_labels(found):
    assert len(found) == 2
    assert found.names == ["dog", "cat"]
    assert Detections(found.boxes, found.scores, found.labels).names == ["1", "0"]


def test_plot_draws_on_a_copy(found):
    drawn = np.asarray(found.plot())
    assert drawn.shape == (60, 80, 3)
    assert drawn.any()
    assert not found.image.any()
    with pytest.raises(InputError):
        Detections(found.boxes, found.scores, found.labels).plot()


def test_coco_rows_count_from_one_by_default(found):
    first, second = found.to_coco()
    assert first == {
        "image_id": 5,
        "category_id": 2,
        "bbox": [2.0, 3.0, 10.0, 5.0],
        "score": 0.75,
    }
    assert second["bbox"] == [0.0, 0.0, 5.0, 5.0]
    ids = [(row["image_id"], row["category_id"]) for row in found.to_coco(9, [10, 20])]
    assert ids == [(9, 20), (9, 10)]


def test_coco_rows_leave_out_padding_and_non_finite_values():
    boxes = np.array([[0, 0, 9, 9], [0, 0, 9, np.nan], [0, 0, 9, 9], [0, 0, 9, 9]], "float32")
    scores = np.array([0.9, 0.8, np.nan, 0.6], "float32")
    found = Detections(boxes, scores, np.array([0, 0, 0, -1]))
    assert [row["score"] for row in found.to_coco()] == pytest.approx([0.9])


def test_no_detections_convert_to_empty_rows():
    none = Detections(np.zeros((0, 4), "float32"), np.zeros(0, "float32"), np.zeros(0, "int32"))
    assert (len(none), none.names, none.to_coco()) == (0, [], [])


def test_missing_package_names_its_pip_command(found, monkeypatch):
    for name, convert in (
        ("supervision", found.to_supervision),
        ("pandas", found.to_dataframe),
    ):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ImportError, match=f"pip install {name}"):
            convert()


def test_dataframe_and_supervision_get_the_columns(found, monkeypatch):
    given = types.SimpleNamespace(Detections=lambda **columns: columns, DataFrame=dict)
    monkeypatch.setitem(sys.modules, "supervision", given)
    monkeypatch.setitem(sys.modules, "pandas", given)
    columns = found.to_supervision()
    assert columns["xyxy"].tolist() == found.boxes.tolist()
    assert columns["class_id"].tolist() == [1, 0]
    assert columns["data"]["class_name"].tolist() == ["dog", "cat"]
    table = found.to_dataframe()
    assert list(table) == ["x1", "y1", "x2", "y2", "score", "label", "name"]
    assert table["x2"].tolist() == [12, 5]
