"""The share of boxes that an anchor reaches, by hand."""

import dataclasses

import numpy as np
import pytest

from keras_retinanet.preprocessing.best_recall import (
    SIZES,
    best_recalls,
    objects_of,
    of_all_classes,
)
from keras_retinanet.preprocessing.collate import Anchoring
from keras_retinanet.preprocessing.dataset import Dataset, make_record
from keras_retinanet.preprocessing.examples import Sizing
from keras_retinanet.utils.anchors import AnchorParameters

SQUARES = Anchoring(AnchorParameters(sizes=(32,), strides=(32,), ratios=(1,), scales=(1,)), [5])
AS_IT_IS = Sizing(None)


def recalls(*images, size=(96, 64), sizing=AS_IT_IS, overlap=0.5, assigner=None):
    """Of images of `size`, each a list of (label, box); anchors are the squares of a grid."""
    records = [
        make_record(
            f"{i}.png",
            i,
            [row[1] for row in rows],
            [row[0] for row in rows],
            [len(row) > 2 for row in rows],
            size=size,
        )
        for i, rows in enumerate(images)
    ]
    rule = {"name": "iou", "positive_overlap": overlap}
    anchoring = dataclasses.replace(SQUARES, assigner=assigner or rule)
    return best_recalls(Dataset(records, ["cat", "dog"], [1, 2]), sizing, anchoring)


def test_boxes_that_an_anchor_reaches_count():
    cats = [
        (0, (0, 0, 32, 32)),  # an anchor itself
        (0, (32, 32, 64, 48)),  # half of one: IoU 0.5
        (0, (16, 16, 48, 48)),  # a quarter of four: 256 / (1024 + 1024 - 256) = 1/7
        (0, (4, 4, 8, 8)),  # 16 of 1024
    ]
    assert recalls(cats, [(1, (0, 0, 31, 32))], []) == {"cat": (4, 0.5), "dog": (1, 1.0)}


@pytest.mark.parametrize("assigner", ["atss", {"name": "iou", "best_anchor": True}])
def test_rules_without_a_least_overlap_have_no_share(assigner):
    rows = [(0, (0, 0, 32, 32)), (0, (4, 4, 8, 8))]
    assert recalls(rows, assigner=assigner) == {"cat": (2, None), "dog": (0, None)}
    assert recalls(rows, assigner="iou") == {"cat": (2, 0.5), "dog": (0, None)}


def test_the_share_of_all_classes_counts_boxes():
    assert of_all_classes({"a": (3, 1.0), "b": (1, 0.0), "c": (0, None)}) == 0.75
    assert of_all_classes({"a": (3, None), "b": (0, None)}) is None
    assert of_all_classes({}) is None


def test_a_class_without_boxes_has_no_share():
    assert recalls([(0, (0, 0, 32, 32))]) == {"cat": (1, 1.0), "dog": (0, None)}
    assert recalls([]) == {"cat": (0, None), "dog": (0, None)}
    assert recalls() == {"cat": (0, None), "dog": (0, None)}


def test_boxes_are_measured_at_the_size_that_the_model_sees():
    # 192 x 128 px become 96 x 64: the box becomes an anchor
    rows = [(0, (64, 64, 128, 128))]
    assert recalls(rows, size=(192, 128))["cat"] == (1, 0.0)
    assert recalls(rows, size=(192, 128), sizing=Sizing(64, 96))["cat"] == (1, 1.0)


def test_ignored_boxes_do_not_count():
    rows = [(0, (0, 0, 32, 32)), (0, (0, 0, 5, 5), "ignored")]
    assert recalls(rows)["cat"] == (1, 1.0)


def test_anchors_in_the_padding_do_not_count():
    # of 72 px, the anchor from 64 to 96 has its centre at 80, beyond the image, in a bucket of 96
    rows = [(0, (64, 0, 72, 32))]
    assert recalls(rows, size=(72, 32), overlap=0.2)["cat"] == (1, 0.0)
    assert recalls(rows, size=(81, 32), overlap=0.2)["cat"] == (1, 1.0)


def test_the_objects_of_a_data_set():
    records = [
        make_record(
            "0.png",
            0,
            [(0, 0, 20, 10), (0, 0, 40, 80), (2, 2, 4, 4)],
            [1, 0, 1],
            [False, False, True],
            size=(100, 80),
        ),
        make_record("1.png", 1, size=(10, 10)),
        make_record("2.png", 2, [(5, 5, 15, 15)], [2], size=(30, 60)),
    ]
    found = objects_of(Dataset(records, ["a", "b", "c"], [1, 2, 3]), Sizing(40, 60))
    # 100 x 80 becomes 50 x 40, 30 x 60 stays, for the long side; the third box is ignored
    np.testing.assert_allclose(found.boxes, [[0, 0, 10, 5], [0, 0, 20, 40], [5, 5, 15, 15]])
    assert found.boxes.dtype == "float32"
    assert found.labels.tolist() == [1, 0, 2]
    assert found.image_sizes.tolist() == [[50, 40], [50, 40], [30, 60]]
    assert [list(SIZES)[i] for i in found.size_classes] == ["small"] * 3


def test_size_classes_begin_at_their_area():
    corners = [(31, 33), (32, 32), (96, 95), (96, 96), (900, 900)]  # 1023, 1024, 9120, 9216 px²
    record = make_record("0.png", 0, [(0, 0, *c) for c in corners], [0] * 5, size=(900, 900))
    found = objects_of(Dataset([record], ["a"], [1]), AS_IT_IS)
    assert found.size_classes.tolist() == [0, 1, 1, 2, 2]


def test_a_data_set_without_objects():
    found = objects_of(Dataset([make_record("0.png", 0, size=(8, 8))], ["a"], [1]), AS_IT_IS)
    assert (found.boxes.shape, found.image_sizes.shape) == ((0, 4), (0, 2))
    assert found.size_classes.shape == (0,)
