"""Histograms by hand."""

import numpy as np

from keras_retinanet.doctor.histograms import histograms
from keras_retinanet.doctor.splits import Split
from keras_retinanet.preprocessing.dataset import Dataset, make_record


def split_of(*records, **options):
    made = [
        make_record(f"{i}.png", i, boxes, [0] * len(boxes), size=(100, 100), **options)
        for i, boxes in enumerate(records)
    ]
    return Split("train", Dataset(made, ["cat"], [1]), [str(r) for r in made], [], [], {}, None)


def test_sides_ratios_and_counts():
    split = split_of([(0, 0, 8, 8), (0, 0, 4, 16), (0, 0, 64, 16)], [(0, 0, 5, 5)], [])
    sides, ratios, counts = histograms([split])
    # sides 8, 8, 32, 5
    assert dict(zip(sides.bins, sides.shares["train"], strict=True)) == {
        "0-8": 0.25, "8-16": 0.5, "16-32": 0, "32-64": 0.25, "64-128": 0, "128-256": 0,
        "256-512": 0, "512+": 0,
    }  # fmt: skip
    # 1:1 twice, 1:4, 4:1
    ratio = dict(zip(ratios.bins, ratios.shares["train"], strict=True))
    assert {name: share for name, share in ratio.items() if share} == {
        "5:1 to 3:1": 0.25,
        "3:2 to 2:3": 0.5,
        "1:3 to 1:5": 0.25,
    }
    # 3, 1 and 0 objects
    count = dict(zip(counts.bins, counts.shares["train"], strict=True))
    assert {name: share for name, share in count.items() if share} == {
        "0": 1 / 3,
        "1": 1 / 3,
        "3-4": 1 / 3,
    }
    assert counts.bins == ["0", "1", "2", "3-4", "5-8", "9-16", "17-32", "33-64", "65+"]


def test_ignored_boxes_do_not_count():
    _, _, counts = histograms([split_of([(0, 0, 8, 8)], ignore=[True])])
    assert counts.shares["train"][0] == 1


def test_no_images_have_no_shares():
    for histogram in histograms([split_of()]):
        assert not histogram.shares["train"].any()


def test_every_object_is_in_a_bin():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 50, (200, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0.01, 50, (200, 2))], axis=1)
    for histogram in histograms([split_of(*np.split(boxes, 20))]):
        assert np.isclose(histogram.shares["train"].sum(), 1)
