"""Objects that the anchors reach, by hand."""

import numpy as np

from keras_retinanet.doctor.anchors import coverage, suggest, unreached
from keras_retinanet.doctor.splits import Split
from keras_retinanet.preprocessing.dataset import Dataset, make_record
from keras_retinanet.utils.anchors import AnchorParameters

SQUARES = AnchorParameters(sizes=(32,), strides=(32,), ratios=(1,), scales=(1,))


def split_of(*records, size=(96, 64), sides=None, **options):
    """A `Split` of records (boxes, labels) without a look at their images."""
    made = [
        make_record(f"{i}.png", i, boxes, labels, size=size, **options)
        for i, (boxes, labels) in enumerate(records)
    ]
    data = Dataset(made, ["cat", "dog"], [1, 2])
    return Split("train", data, [record.path for record in made], [], [], {}, sides)


CATS = [
    (0, 0, 32, 32),  # an anchor itself
    (32, 32, 64, 48),  # half of one: IoU 0.5
    (16, 16, 48, 48),  # a quarter of four: 256 / (1024 + 1024 - 256) = 1/7
    (4, 4, 8, 8),  # 16 of 1024
]


def test_shares_by_class_and_size():
    split = split_of((CATS, [0] * 4), ([(0, 0, 31, 32)], [1]), ((), ()))
    seen = coverage(split, SQUARES, [5])
    # cats of 512 and 16 px² are small, those of 1024 px² medium; the dog has 992 px²
    assert seen.counts.tolist() == [[2, 2, 0, 4], [1, 0, 0, 1], [3, 2, 0, 5]]
    assert seen.reached.tolist() == [[1, 1, 0, 2], [1, 0, 0, 1], [2, 1, 0, 3]]
    assert seen.missed.tolist() == [False, False, True, True, False]


def test_boxes_are_measured_at_the_size_that_the_model_sees():
    box = [(64, 64, 128, 128)]  # of 192 x 128 px, which become 96 x 64: the box is an anchor
    assert coverage(split_of((box, [0]), size=(192, 128)), SQUARES, [5]).missed.all()
    half = split_of((box, [0]), size=(192, 128), sides=(64, 96))
    assert not coverage(half, SQUARES, [5]).missed.any()
    assert half.seen.tolist() == [[32, 32, 64, 64]]


def test_ignored_boxes_and_boxes_of_another_size_do_not_count():
    assert coverage(split_of((CATS, [0] * 4), ignore=[True] * 4), SQUARES, [5]).counts.sum() == 0
    other = split_of((CATS, [0] * 4), stated_size=(192, 128))
    assert coverage(other, SQUARES, [5]).counts.sum() == 0


def test_nothing_to_reach():
    for split in (split_of(), split_of(((), ()))):
        seen = coverage(split)
        assert seen.counts.shape == (3, 4)
        assert unreached(split, seen) == []
        assert not suggest(split, seen).is_better


def find(reached, missed, label=0):
    """The findings for so many objects of a class that are reached and missed, and 100 dogs."""
    near, far = (0, 0, 32, 32), (16, 16, 48, 48)
    labels = [label] * (reached + missed)
    split = split_of(([near] * reached + [far] * missed, labels), ([near] * 100, [1] * 100))
    return unreached(split, coverage(split, SQUARES, [5]))


def test_a_class_may_miss_a_few():
    assert find(38, 2) == []  # 5%
    (finding,) = find(37, 3)
    assert (finding.severity, finding.count, finding.total) == ("warning", 3, 140)
    assert finding.advice.startswith("Most missed: cat 8%.")
    assert finding.places[0].text == "0.png (box 16, 16, 48, 48 in 96 x 64 px)"


def test_a_class_of_few_objects_tells_nothing():
    assert find(0, 19) == []
    assert len(find(0, 20)) == 1


def test_missing_half_of_all_spoils_the_training():
    assert find(0, 100)[0].severity == "warning"  # 100 of 200
    assert find(0, 101)[0].severity == "error"


def test_a_few_objects_spoil_nothing():
    for count, findings in ((19, 0), (20, 1)):
        split = split_of(([CATS[2]] * count, [i % 2 for i in range(count)]))
        assert len(unreached(split, coverage(split, SQUARES, [5]))) == findings


def test_fitted_anchors_reach_more():
    # objects of 10 px, of which the default's anchors of 32 px reach none
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 54, (60, 2))
    split = split_of((np.concatenate([corners, corners + 10], axis=1), [0] * 60))
    seen = coverage(split)
    assert seen.missed.all()
    suggestion = suggest(split, seen)
    assert suggestion.is_better
    assert suggestion.before == 0
    assert suggestion.after > 0.4  # anchors of 10 px stand 8 px apart
    again = coverage(split, suggestion.params, suggestion.levels)
    assert again.reached[-1, -1] == round(60 * suggestion.after)


def test_anchors_that_reach_all_are_left_alone():
    split = split_of(([(0, 0, 40, 40)] * 30, [0] * 30))
    suggestion = suggest(split, coverage(split))
    assert not suggestion.is_better
    assert (suggestion.before, suggestion.after) == (1, 1)
