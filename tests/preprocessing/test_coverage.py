"""The share of boxes that an anchor reaches, by hand."""

import numpy as np
import pytest

from keras_retinanet.preprocessing.coverage import MOST_IMAGES, anchor_coverage
from keras_retinanet.preprocessing.dataset import Dataset, make_record
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.utils.anchors import AnchorParameters

SQUARES = AnchorParameters(sizes=(32,), strides=(32,), ratios=(1,), scales=(1,))


def generator(*images, size=(96, 64), names=("cat", "dog"), **options):
    """Images of `size` (w, h), each a list of (label, box); anchors are the squares of a grid."""
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
    dataset = Dataset(records, list(names), [1, 2][: len(names)])
    defaults = {"no_resize": True, "anchor_params": SQUARES, "pyramid_levels": [5]}
    return Generator(dataset, **{**defaults, **options})


def test_coverage_counts_the_boxes_that_an_anchor_reaches():
    cats = [
        (0, (0, 0, 32, 32)),  # an anchor itself
        (0, (32, 32, 64, 48)),  # half of one: IoU 0.5
        (0, (16, 16, 48, 48)),  # a quarter of four: 256 / (1024 + 1024 - 256) = 1/7
        (0, (4, 4, 8, 8)),  # 16 of 1024
    ]
    coverage = anchor_coverage(generator(cats, [(1, (0, 0, 31, 32))], []))
    assert coverage == {"cat": (4, 0.5), "dog": (1, 1.0)}


def test_a_class_without_boxes_has_no_share():
    assert anchor_coverage(generator([(0, (0, 0, 32, 32))])) == {"cat": (1, 1.0), "dog": (0, None)}
    assert anchor_coverage(generator([])) == {"cat": (0, None), "dog": (0, None)}


def test_boxes_are_measured_at_the_size_that_the_model_sees():
    # 192 x 128 px become 96 x 64: the box becomes an anchor
    rows = [(0, (64, 64, 128, 128))]
    sides = {"no_resize": False, "image_min_side": 64, "image_max_side": 96}
    assert anchor_coverage(generator(rows, size=(192, 128)))["cat"] == (1, 0.0)
    assert anchor_coverage(generator(rows, size=(192, 128), **sides))["cat"] == (1, 1.0)


def test_ignored_boxes_do_not_count():
    rows = [(0, (0, 0, 32, 32)), (0, (0, 0, 5, 5), "ignored")]
    assert anchor_coverage(generator(rows))["cat"] == (1, 1.0)


@pytest.mark.parametrize("count", [MOST_IMAGES, 2 * MOST_IMAGES + 3])
def test_large_sets_are_sampled_and_counted_in_full(count):
    images = [[(0, (0, 0, 32, 32) if i % 5 else (0, 0, 4, 4))] for i in range(count)]
    coverage = anchor_coverage(generator(*images, group_method="none"))
    assert coverage["cat"][0] == count
    assert np.isclose(coverage["cat"][1], 0.8, atol=0.01)
