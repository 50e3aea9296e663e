"""Boxes that cannot be right, and boxes drawn twice, against all pairs."""

import dataclasses
import time
import tracemalloc

import numpy as np
import pytest

from keras_retinanet.boxes import iou
from keras_retinanet.doctor.boxes import NEAR, check_boxes, twins
from keras_retinanet.doctor.checks import examine
from keras_retinanet.doctor.splits import Split
from keras_retinanet.preprocessing.box_faults import CUT, GOOD, INVERTED, OUTSIDE
from keras_retinanet.preprocessing.dataset import Dataset, make_record


def split_of(*records, size=(96, 64)):
    """A `Split` of records (boxes, labels, ignore) without a look at their images."""
    made = [
        make_record(f"{i}.png", i, *rest[:2], ignore=rest[2] if len(rest) > 2 else None, size=size)
        for i, rest in enumerate(records)
    ]
    data = Dataset(made, ["cat", "dog"], [1, 2])
    return Split("train", data, [record.path for record in made], [], [], {}, None)


def test_boxes_of_an_image_of_another_size_are_not_compared_with_it():
    boxes = [(200, 200, 210, 210), (-5, 0, 9, 9), (9, 5, 5, 9)]
    sizes = {"size": (64, 64), "stated_size": (300, 300)}
    records = [make_record("0.png", 0, boxes, [0] * 3, size=(64, 64))]
    split = split_of()
    same = dataclasses.replace(split, dataset=Dataset(records, ["cat"], [1]))
    assert same.states.tolist() == [OUTSIDE, CUT, INVERTED]
    records = [make_record("0.png", 0, boxes, [0] * 3, **sizes)]
    other = dataclasses.replace(split, dataset=Dataset(records, ["cat"], [1]))
    assert other.states.tolist() == [GOOD, GOOD, INVERTED]


def test_no_boxes():
    assert split_of().states.shape == (0,)
    assert (
        twins(split_of()) == twins(split_of(((), ()))) == {"equal": {}, "classes": {}, "near": {}}
    )


def test_boxes_that_are_no_numbers_are_an_error(folder):
    splits = folder.read()
    data, _ = splits["train"]
    record = data.records[0]
    bad = [(5, np.nan, 9, 9), (5, 5, np.inf, 9)]
    data.records[0] = make_record(
        record.path, 0, [*record.boxes, *bad], [*record.labels, 0, 0], stated_size=(96, 64)
    )
    findings = examine(splits, sides=None).findings
    assert [(f.severity, f.count, f.total) for f in findings] == [("error", 2, 38)]
    assert findings[0].name == "boxes with NaN or infinite coordinates"
    assert findings[0].places[0].text.endswith("train0.png (box 5, nan, 9, 9 in 96 x 64 px)")


@pytest.mark.parametrize("seed", range(5))
def test_twins_are_those_of_all_pairs_of_boxes(seed):
    rng = np.random.default_rng(seed)
    records = []
    for count in (0, 1, 2, 40):
        corner = rng.uniform(0, 30, (count, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(5, 30, (count, 2))], axis=1)
        again = boxes[rng.permutation(count)] + rng.normal(0, 0.4, (count, 4))
        boxes = np.concatenate([boxes, again, boxes[: count // 4]])
        records.append((boxes, rng.integers(0, 2, len(boxes)), rng.random(len(boxes)) < 0.1))
    split = split_of(*records)
    expected = {"equal": set(), "classes": set(), "near": set()}
    for b in range(len(split.boxes)):
        before = [a for a in range(b) if split.image[a] == split.image[b]]
        before = [a for a in before if split.counted[[a, b]].all() and a not in expected["equal"]]
        kinds = set()
        for a in before:
            same = bool((split.boxes[a] == split.boxes[b]).all())
            if split.labels[a] == split.labels[b] and iou(split.boxes[a], split.boxes[b]) > NEAR:
                kinds.add("equal" if same else "near")
            elif same:
                kinds.add("classes")
        for kind in {"equal"} & kinds or kinds:
            expected[kind].add(b)
    assert len(expected["near"]) >= 10
    assert expected["equal"]
    found = twins(split)
    assert {kind: set(each) for kind, each in found.items()} == expected
    assert all(a < b for each in found.values() for b, a in each.items())


@pytest.mark.parametrize(("jitter", "count"), [(0, 20_000), (0.1, 5_000)])
def test_boxes_that_coincide_take_little_time_and_memory(jitter, count):
    moved = np.random.default_rng(0).normal(0, jitter, (count, 4))
    split = split_of((np.array([10, 10, 60, 60]) + moved, [0] * count))
    tracemalloc.start()
    start = time.perf_counter()
    findings = check_boxes([split])
    seconds = time.perf_counter() - start
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [finding.count for finding in findings] == [count - 1]
    assert seconds < 60
    assert most < 100e6


def test_twins_by_hand():
    box, near, other = (0, 0, 10, 10), (0, 0, 10, 9.5), (20, 20, 40, 40)
    split = split_of(
        ([box, other, box, box], [0, 0, 0, 0]),  # two copies of the first
        ([box, box], [0, 1]),
        ([box, near], [0, 0]),
        ([box, near], [0, 1]),  # two objects that nearly coincide
        ([box, box], [0, 0], [True, False]),  # an ignored one
    )
    found = twins(split)
    assert sorted(found["equal"]) == [2, 3]
    assert found["classes"] == {5: 4}
    assert found["near"] == {7: 6}


def test_a_copy_and_a_near_one_are_counted_apart():
    box, near = (0, 0, 10, 10), (0, 0, 10, 9.5)
    found = twins(split_of(([near, box, box], [0, 0, 0])))
    assert found["equal"] == {2: 1}
    assert found["near"] == {1: 0}


def test_ignored_boxes_are_not_tiny_or_twice_or_seen(folder):
    splits = folder.read()
    data, _ = splits["train"]
    record = data.records[0]
    extra = [(2, 2, 34, 34), (4, 4, 5, 5), (0, 0, 96, 64)]
    boxes, labels = [*record.boxes, *extra], [*record.labels, 0, 0, 0]
    ignore = [False] * 4 + [True] * 3
    data.records[0] = make_record(record.path, 0, boxes, labels, ignore)
    assert examine(splits, sides=None).findings == []


SHARE, LARGE = (0.1, 0.2, 0.5, 0.9), (10, 10, 40, 40)


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ([[SHARE, (-0.005, 0, 1.005, 1)], [SHARE]], [True, True]),
        ([[(0, 0, 1, 1)], [LARGE, LARGE]], [False, False]),  # a real box of 1 px
        ([[SHARE], [SHARE], []], [True, True, False]),
        ([[SHARE, SHARE], [LARGE]], [True, False]),  # two boxes of three
        ([[SHARE], [LARGE]], [False, False]),  # not most
        ([[SHARE, SHARE, SHARE, LARGE]], [False]),  # not all of the image
        ([[SHARE, (0, np.nan, 1, 1)]], [False]),
        ([[(0.5, 0.5, 1.1, 0.9)]], [False]),
        ([[], []], [False, False]),
        ([], []),
    ],
)
def test_boxes_in_shares_of_their_picture(images, expected):
    split = split_of(*((boxes, [0] * len(boxes)) for boxes in images))
    assert split.in_shares.tolist() == expected


@pytest.mark.parametrize(
    ("boxes", "count"),
    [
        ([(-1, 5, 20, 20), LARGE, (5, -1, 20, 20), (-1, -1, 20, 20)], 3),
        ([(-1, 5, 20, 20), (-0.5, 5, 20, 20)], None),  # rounding
        ([(-1, 5, 20, 20), (-3, 5, 20, 20)], None),
        ([(-1, -2, 20, 20)], None),
        ([LARGE], None),
        ([], None),
    ],
)
def test_boxes_that_begin_at_minus_1_count_from_0(boxes, count):
    findings = check_boxes([split_of((boxes, [0] * len(boxes)))])
    findings = [finding for finding in findings if "begin 1 px" in finding.name]
    assert [f.count for f in findings] == [count] * (count is not None)
    assert all("--zero-based" in finding.advice for finding in findings)


@pytest.mark.parametrize(
    ("boxes", "from_0"),
    [
        ([(-1, 5, 0, 20), (5, -1, 20, 0)], True),
        ([(-1, 5, 0, 20), (-9, 5, -1, 20)], False),
        ([(-1, 5, 0, 20), (96, 5, 99, 20)], False),
    ],
)
def test_the_advice_for_boxes_outside(boxes, from_0):
    (finding,) = check_boxes([split_of((boxes, [0, 0]))])
    assert finding.name == "boxes outside their image"
    assert ("--zero-based" in finding.advice) is from_0
