"""VOC average precision: hand arithmetic, and a slow scalar count as the oracle."""

import numpy as np
import pytest

from keras_retinanet.detections import Detections
from keras_retinanet.evaluation.voc import (
    average_precision,
    evaluate_voc,
    match,
    mean_average_precision,
    precision_recall,
    voc_metric,
)
from keras_retinanet.preprocessing.dataset import Dataset, Record


def record(boxes=(), labels=None, ignore=None):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    n = len(boxes)
    return Record(
        path="a.jpg",
        image_id=1,
        size=(200, 200),
        boxes=boxes,
        labels=np.zeros(n, np.int64) if labels is None else np.array(labels, np.int64),
        ignore=np.zeros(n, bool) if ignore is None else np.array(ignore, bool),
        area=(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]),
    )


def detection(boxes=(), scores=(), labels=None):
    n = len(scores)
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.array(scores, np.float32),
        labels=np.zeros(n, np.int64) if labels is None else np.array(labels, np.int64),
    )


def dataset(*records, names=("thing",)):
    return Dataset(list(records), list(names), list(range(1, len(names) + 1)))


def scalar_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = width * height if width > 0 and height > 0 else 0.0
    sizes = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (a, b)]
    return shared / (sum(sizes) - shared)


def slow_ap(data, detections, label, iou_threshold):
    """One detection at a time over the whole data set; every hit adds 1/n of recall."""
    queue = [
        (float(score), image, box.tolist())
        for image, found in enumerate(detections)
        for box, score, its in zip(found.boxes, found.scores, found.labels, strict=True)
        if its == label
    ]
    taken, outcomes = set(), []
    for _, image, box in sorted(queue, key=lambda row: -row[0]):
        truth = data.records[image]
        mine = [j for j in range(len(truth.boxes)) if truth.labels[j] == label]
        overlap, j = max(
            ((scalar_iou(box, truth.boxes[j].tolist()), -j) for j in mine), default=(-1.0, 0)
        )
        if overlap >= iou_threshold and truth.ignore[-j]:
            continue
        outcomes.append(overlap >= iou_threshold and (image, j) not in taken)
        if outcomes[-1]:
            taken.add((image, j))
    total = sum(int(((r.labels == label) & ~r.ignore).sum()) for r in data.records)
    precisions = [sum(outcomes[: k + 1]) / (k + 1) for k in range(len(outcomes))]
    best = [max(precisions[k:]) for k, hit in enumerate(outcomes) if hit]
    return (sum(best) / total if total else 0.0), total


def padilla(folder):
    """The data set and the detections of a folder of text files, one pair per image."""

    def rows(path):
        table = [line.split()[1:] for line in path.read_text().splitlines() if line.strip()]
        table = np.array(table, np.float32)
        table[:, -2:] += table[:, -4:-2]  # width and height to the far corner
        return table

    records, detections = [], []
    for path in sorted((folder / "groundtruths").glob("*.txt")):
        records.append(record(rows(path)))
        found = rows(folder / "detections" / path.name)
        found = found[np.argsort(-found[:, 0], kind="stable")]
        detections.append(detection(found[:, 1:], found[:, 0]))
    return dataset(*records), detections


@pytest.mark.parametrize("threshold", [0.3, 0.5])
def test_padilla_agrees_with_the_slow_count(shared, threshold):
    data, detections = padilla(shared / "data" / "map_padilla")
    expected = slow_ap(data, detections, 0, threshold)
    found = evaluate_voc(data, detections, threshold)[0]
    assert found[1] == expected[1] == 15
    assert found[0] == pytest.approx(expected[0], abs=1e-12)
    assert found[0] > 0


def test_padilla_by_hand(shared):
    # At 0.3 the hits are the detections of rank 1, 3, 10, 12, 13 and 14; precision at or beyond
    # them is 1, 2/3 and four times 6/14. Eleven points: recalls .2, .3 and .4 = 6/15 have 6/14.
    # At 0.5 the hit is the third alone, with precision 1/3.
    data, detections = padilla(shared / "data" / "map_padilla")
    assert evaluate_voc(data, detections, 0.3)[0][0] == pytest.approx((1 + 2 / 3 + 24 / 14) / 15)
    eleven = evaluate_voc(data, detections, 0.3, eleven_point=True)[0][0]
    assert eleven == pytest.approx((1 + 2 / 3 + 18 / 14) / 11)
    assert evaluate_voc(data, detections, 0.5)[0][0] == pytest.approx(1 / 3 / 15)


def test_padilla_as_published(shared):
    # Padilla et al. 2020 count a box of x1..x2 as x2 - x1 + 1 wide and publish 0.2456 (from
    # truncated terms) and 0.2684: growing all boxes by that pixel makes rank 23 a hit, 7/23.
    data, detections = padilla(shared / "data" / "map_padilla")
    for found in [*data.records, *detections]:
        found.boxes[:, 2:] += 1
    area = evaluate_voc(data, detections, 0.3)[0][0]
    eleven = evaluate_voc(data, detections, 0.3, eleven_point=True)[0][0]
    assert area == pytest.approx((1 + 2 / 3 + 24 / 14 + 7 / 23) / 15)
    assert (area, eleven) == pytest.approx((0.2456, 0.2684), abs=1e-4)


def random_case(seed):
    """Images with 0 to 6 boxes of 3 classes and detections that jitter them, some by chance."""
    rng = np.random.default_rng(seed)
    records, detections = [], []
    for _ in range(12):
        n, extra = rng.integers(0, 7), rng.integers(0, 4)
        corner = rng.uniform(0, 100, (n, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(10, 60, (n, 2))], axis=1)
        labels = rng.integers(0, 3, n)
        records.append(record(boxes, labels, rng.random(n) < 0.2))
        corner = rng.uniform(0, 100, (extra, 2))
        noise = np.concatenate([corner, corner + rng.uniform(10, 60, (extra, 2))], axis=1)
        rows = rng.integers(0, n, 2 * n) if n else np.zeros(0, int)
        jittered = boxes[rows] + rng.normal(0, 4, (len(rows), 4))
        scores = np.sort(rng.random(len(rows) + extra))[::-1]
        order = rng.permutation(len(scores))
        detections.append(
            detection(
                np.concatenate([jittered, noise])[order],
                scores,
                np.concatenate([labels[rows], rng.integers(0, 3, extra)])[order],
            )
        )
    return dataset(*records, names=("a", "b", "c")), detections


@pytest.mark.parametrize("seed", range(5))
def test_random_data_agree_with_the_slow_count(seed):
    data, detections = random_case(seed)
    found = evaluate_voc(data, detections, 0.5)
    assert list(found) == [0, 1, 2]
    for label in found:
        assert found[label] == pytest.approx(slow_ap(data, detections, label, 0.5), abs=1e-12)
        assert 0 < found[label][0] < 1


def test_by_hand():
    # Two boxes. By score: hit, miss, hit. Precision 1, 1/2, 2/3; recall 1/2, 1/2, 1.
    # Area: 1/2 x 1 + 1/2 x 2/3 = 5/6. Eleven points: six at 1 (0 to .5), five at 2/3: 28/33.
    data = dataset(record([[0, 0, 10, 10], [50, 50, 60, 60]]))
    found = [detection([[0, 0, 10, 10], [80, 0, 90, 10], [50, 50, 60, 60]], scores=[0.9, 0.8, 0.7])]
    assert evaluate_voc(data, found)[0] == (pytest.approx(5 / 6), 2)
    assert evaluate_voc(data, found, eleven_point=True)[0] == (pytest.approx(28 / 33), 2)


def test_threshold_is_met_by_an_equal_overlap():
    # 10x10 and its half 10x5: IoU is exactly 0.5.
    data, found = dataset(record([[0, 0, 10, 10]])), [detection([[0, 0, 10, 5]], [0.9])]
    assert evaluate_voc(data, found, 0.5)[0] == (1.0, 1)
    assert evaluate_voc(data, found, 0.51)[0] == (0.0, 1)


def test_second_detection_of_a_box_is_a_miss_and_the_best_score_wins():
    truth = record([[0, 0, 10, 10]])
    found = detection([[0, 0, 10, 9], [0, 0, 10, 10]], scores=[0.6, 0.9])
    assert match(found, truth).tolist() == [0, 1]


def test_ignored_box_is_neither_rewarded_nor_punished():
    # The detections at the difficult box vanish from the curve: one hit out of one remains.
    truth = record([[0, 0, 10, 10], [50, 50, 60, 60]], ignore=[True, False])
    found = detection([[0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60]], scores=[0.95, 0.9, 0.8])
    assert match(found, truth).tolist() == [-1, -1, 1]
    assert evaluate_voc(dataset(truth), [found])[0] == (1.0, 1)
    unfound = evaluate_voc(dataset(truth), [detection()])[0]
    assert unfound == (0.0, 1)


def test_classes_do_not_mix():
    data = dataset(record([[0, 0, 10, 10]], labels=[0]), names=("a", "b"))
    found = [detection([[0, 0, 10, 10]], [0.9], labels=[1])]
    assert evaluate_voc(data, found) == {0: (0.0, 1), 1: (0.0, 0)}
    assert evaluate_voc(data, found, iou_threshold=0) == {0: (0.0, 1), 1: (0.0, 0)}


def test_detections_in_an_empty_image_are_misses():
    # Miss at 0.9 in the empty image, hit at 0.8: precision 1/2 over all of recall.
    data = dataset(record(), record([[0, 0, 10, 10]]))
    found = [detection([[0, 0, 10, 10]], [0.9]), detection([[0, 0, 10, 10]], [0.8])]
    assert evaluate_voc(data, found)[0] == (pytest.approx(0.5), 1)
    assert evaluate_voc(data, found, eleven_point=True)[0] == (pytest.approx(0.5), 1)


@pytest.mark.parametrize("eleven_point", [False, True])
def test_nothing_found_and_nothing_to_find(eleven_point):
    full, empty = dataset(record([[0, 0, 10, 10]])), dataset(record())
    assert evaluate_voc(full, [detection()], eleven_point=eleven_point) == {0: (0.0, 1)}
    assert evaluate_voc(empty, [detection()], eleven_point=eleven_point) == {0: (0.0, 0)}
    assert evaluate_voc(dataset(), [], eleven_point=eleven_point) == {0: (0.0, 0)}


def test_one_dict_per_record_is_asked_for():
    with pytest.raises(ValueError, match="argument"):
        evaluate_voc(dataset(record()), [])


def test_eleven_points_reach_recalls_that_are_met_exactly():
    # Three hits of ten boxes: precision 1 at recalls 0, .1, .2 and .3, nothing above: 4/11.
    curve = precision_recall(np.array([0.9, 0.8, 0.7]), np.array([1, 1, 1]), 10)
    assert average_precision(*curve, eleven_point=True) == pytest.approx(4 / 11)
    assert average_precision(*curve) == pytest.approx(3 / 10)


def test_mean_counts_only_classes_with_boxes():
    # (0.5 + 0.8) / 2 = 0.65; weighted (0.5 x 1 + 0.8 x 3) / 4 = 0.725.
    average_precisions = {0: (0.5, 1), 1: (0.8, 3), 2: (0.0, 0)}
    assert mean_average_precision(average_precisions) == pytest.approx(0.65)
    assert mean_average_precision(average_precisions, weighted=True) == pytest.approx(0.725)
    assert mean_average_precision({0: (0.0, 0)}) == 0.0
    assert mean_average_precision({}) == 0.0
    assert voc_metric(average_precisions) == pytest.approx(0.65)
    assert voc_metric({0: (0.0, 0)}) is None
