"""The matching of a data set: by hand, and the matches of pycocotools' COCOeval as the oracle."""

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_retinanet.evaluation.coco import ground_truth, results
from keras_retinanet.evaluation.matching import NOTHING, match

from .cases import SQUARE, dataset, detection, random_case, record


def oracle_matches(data, detections, threshold):
    """(score, True if matched, True if ignored) of every detection, sorted, by COCOeval."""
    truth = COCO()
    truth.dataset = ground_truth(data)
    truth.createIndex()
    found = COCO()
    rows = results(data, detections)
    for i, row in enumerate(rows, start=1):
        row.update(id=i, area=row["bbox"][2] * row["bbox"][3], iscrowd=0)
    found.dataset = {**truth.dataset, "annotations": rows}
    found.createIndex()
    evaluator = COCOeval(truth, found, "bbox")
    evaluator.params.iouThrs = np.array([threshold])
    evaluator.params.maxDets = [1000]
    evaluator.params.areaRng = [[0, 1e10]]
    evaluator.params.areaRngLbl = ["all"]
    evaluator.evaluate()
    rows = []
    for image in filter(None, evaluator.evalImgs):
        matched, ignored = image["dtMatches"][0] > 0, image["dtIgnore"][0] > 0
        rows += zip(image["dtScores"], matched & ~ignored, ignored, strict=True)
    return sorted(rows)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_matches_are_those_of_pycocotools(seed, threshold):
    data, detections = random_case(seed)
    found = match(data, detections, threshold).found
    ours = sorted(zip(found.score, found.right, found.ignored, strict=True))
    oracle = oracle_matches(data, detections, threshold)
    np.testing.assert_allclose([row[0] for row in ours], [row[0] for row in oracle])
    assert [row[1:] for row in ours] == [row[1:] for row in oracle]
    assert 0 < found.right.sum() < len(ours)


def test_the_best_score_takes_the_object_and_the_next_one_takes_what_is_left():
    data = dataset(record([SQUARE, [40, 0, 140, 100]]))
    # IoU with the objects: 1 and 60 / 140; 95 / 105 and 55 / 145 ; 0.5 with the second at best
    boxes = [SQUARE, [5, 0, 100, 100], [60, 0, 160, 100]]
    matching = match(data, [detection(boxes, [0.9, 0.8, 0.7])])
    assert matching.found.object.tolist() == [0, NOTHING, 1]
    assert matching.found.iou.tolist() == pytest.approx([1, 0, 80 / 120])
    assert matching.objects.found_by.tolist() == [0, 2]
    assert matching.found.wrong.tolist() == [False, True, False]
    pairs = zip(matching.pairs.detection, matching.pairs.object, strict=True)
    assert sorted(pairs) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]


def test_ignored_boxes_class_and_empty_images():
    data = dataset(
        record(), record([SQUARE, SQUARE], [0, 1], [True, False]), record(), names=("a", "b")
    )
    half = [0, 0, 50, 50]  # all of it in the ignored box
    found = [
        detection([SQUARE], [0.5]),
        detection([half, half, SQUARE], [0.9, 0.8, 0.7], [0, 1, 1]),
        detection(),
    ]
    matching = match(data, found)
    assert matching.found.image.tolist() == [0, 1, 1, 1]
    assert matching.found.object.tolist() == [NOTHING, NOTHING, NOTHING, 1]
    assert matching.found.ignored.tolist() == [False, True, False, False]
    assert matching.counts().tolist() == [0, 1]
    assert matching.found_at(np.array([0.0, 0.6])).tolist() == [False, True]
    assert matching.found_at(np.array([0.0, 0.71])).tolist() == [False, False]


def test_nothing_at_all():
    for data, found in ((dataset(), []), (dataset(record()), [detection()])):
        matching = match(data, found)
        assert len(matching.found.score) == len(matching.objects.label) == 0
        assert matching.found.box.shape == (0, 4)
        assert matching.counts().tolist() == [0]
        assert len(matching.found_at(np.zeros(1))) == 0
