"""Groups, worst images, sentences and advice: by hand, on an image with one error of each kind."""

import numpy as np
import pytest

from keras_retinanet.evaluation.advice import Training, Words, advise
from keras_retinanet.evaluation.coco import evaluate_coco
from keras_retinanet.evaluation.explanation import explain
from keras_retinanet.evaluation.in_words import summary
from keras_retinanet.evaluation.thresholds import Rule

from .cases import dataset, detection, random_case, record

WORDS = Words("csv boxes.csv", "model.keras", " --split val")
# a small, a medium and a large object, the large one at the left edge and tall
BOXES = [[10, 10, 30, 30], [100, 10, 150, 60], [0, 100, 100, 450]]
ELSEWHERE = [300, 300, 340, 340]


def explained(data, found, rule=Rule()):  # noqa: B008
    return explain(data, found, evaluate_coco(data, found), rule)


@pytest.fixture
def explanation():
    """The medium and the large object are found; the small one is not, and one is imagined."""
    data = dataset(record(BOXES), record())
    found = [
        detection([BOXES[1], BOXES[2], ELSEWHERE], [0.9, 0.8, 0.7]),
        detection([ELSEWHERE], [0.1]),
    ]
    return explained(data, found)


def group(explanation, title, start):
    [row] = [each for each in explanation.groups[title] if each.name.startswith(start)]
    return row


def test_groups_by_hand(explanation):
    assert explanation.least == pytest.approx([0.75], abs=0.01)  # between 0.7 and 0.8
    small = group(explanation, "size", "small")
    assert (small.objects, small.recall, small.precision, small.iou) == (1, 0, None, None)
    medium = group(explanation, "size", "medium")
    assert (medium.objects, medium.recall, medium.precision) == (1, 1, 1)
    assert medium.iou == pytest.approx(1)
    tall = group(explanation, "width : height", "under 1:3")  # 100 : 350
    assert (tall.objects, tall.recall) == (1, 1)
    assert group(explanation, "objects in image", "2 to 4").recall == pytest.approx(2 / 3)
    assert group(explanation, "place", "at its edge").objects == 1
    assert group(explanation, "place", "inside").recall == 1 / 2


@pytest.mark.parametrize("seed", range(3))
def test_every_object_is_in_one_group_of_each_kind(seed):
    explanation = explained(*random_case(seed))
    total = explanation.matching.counts().sum()
    found = sum(each.hits for each in explanation.chosen)
    for groups in explanation.groups.values():
        assert sum(each.objects for each in groups) == total
        assert sum(each.objects * (each.recall or 0) for each in groups) == pytest.approx(found)


def test_worst_images(explanation):
    assert explanation.worst.tolist() == [[0, 1, 0]]  # the wrong ones are below the threshold
    data = dataset(record(BOXES), record(BOXES[:1]), record())
    found = [detection(), detection([BOXES[0]], [0.9]), detection([ELSEWHERE], [0.95])]
    worst = explained(data, found, Rule("recall", 0.2)).worst
    assert worst.tolist() == [[0, 3, 0], [2, 0, 1]]


def test_summary(explanation):
    words = " ".join(summary(explanation))
    assert "on 3 objects in 2 images" in words
    assert "precision is 1.00 and recall is 0.67" in words
    assert "1 missed object, 0 detections of nothing, and 0 objects taken" in words
    nothing = explained(dataset(record()), [detection()])
    assert summary(nothing) == ["There are 0 objects in 1 image, so nothing can be measured."]
    assert advise(nothing, WORDS)[-1].command.endswith("--choose-thresholds f1")


def test_interval_is_in_the_summary(explanation):
    explanation.metrics["intervals"] = {"AP": [0.25, 0.75]}
    assert "(95% interval 0.25 to 0.75, AP50" in summary(explanation)[0]


def test_costliest_errors_are_in_the_summary(explanation):
    costs = {"class": 0.01, "missed": 0.3, "background": 0.125}
    kinds = {kind: {"count": 1, "AP50": cost} for kind, cost in costs.items()}
    explanation.metrics["errors"] = {"kinds": kinds}
    words = " ".join(summary(explanation))
    assert "most is lost to these errors: missed (0.30) and background (0.12)." in words


def test_thresholds_that_are_stored_need_no_step(explanation):
    stores = Words("csv boxes.csv", "model.keras", stores=True)
    assert not any("--choose-thresholds" in step.command for step in advise(explanation, stores))
    other = Words("csv boxes.csv", "model.onnx")
    assert not any("--choose-thresholds" in step.command for step in advise(explanation, other))


def steps(explanation, **options):
    return " | ".join(
        step.command for step in advise(explanation, WORDS, Training(**options)) if step.command
    )


def test_advice_of_anchors_and_thresholds(explanation):
    stored = "retinanet-evaluate csv boxes.csv model.keras --split val --choose-thresholds f1"
    assert steps(explanation) == stored
    assert steps(explanation, best_recall=0.96) == stored
    assert "retinanet-train csv boxes.csv --fit-anchors" in steps(explanation, best_recall=0.9)
    sentence = advise(explanation, WORDS, Training(0.9))[0].sentence
    assert "90%" in sentence


@pytest.mark.parametrize(
    ("history", "epochs"),
    [
        ({5: 0.1, 15: 0.3, 20: 0.33}, 40),  # 0.03 since epoch 15, three quarters of 20
        ({5: 0.1, 15: 0.3, 20: 0.31}, None),
        ({5: 0.4, 15: 0.3, 20: 0.33}, None),  # it was better before
        ({20: 0.5}, None),
        ({}, None),
    ],
)
def test_advice_of_more_epochs(explanation, history, epochs):
    asked = f"retinanet-train csv boxes.csv --epochs {epochs}"
    assert (asked in steps(explanation, history=history)) == (epochs is not None)


def test_advice_of_small_objects_and_missing_labels():
    """12 images with all three objects; the small ones are never found, and all imagined objects
    are surer than the found ones."""
    data = dataset(*(record(BOXES) for _ in range(12)))
    found = [detection([ELSEWHERE, *BOXES[1:]], [0.9, 0.8, 0.7]) for _ in range(12)]
    commands = steps(explained(data, found))
    assert "--tile 320" in commands
    assert "retinanet-doctor csv boxes.csv" in commands
    small_too = [detection([*BOXES], [0.9, 0.8, 0.7]) for _ in range(12)]
    commands = steps(explained(data, small_too))
    assert "--tile" not in commands
    assert "doctor" not in commands


def test_advice_of_rare_confused_and_loose():
    """A rare class that is never found, and b that is taken for a; the boxes have IoU 0.6."""
    loose = [[x1, y1, x2, y1 + 0.6 * (y2 - y1)] for x1, y1, x2, y2 in BOXES]
    records = [record(BOXES, [0, 1, 0]) for _ in range(20)] + [record(BOXES[:1], [2])]
    found = [detection(loose, [0.9, 0.8, 0.7], [0, 0, 0]) for _ in range(20)] + [detection()]
    explanation = explained(dataset(*records, names=("a", "b", "rare")), found)
    advice = advise(explanation, WORDS)
    sentences = " ".join(step.sentence for step in advice)
    assert "20 objects of b (of 20) are detected as a" in sentences
    assert "(rare)" in sentences
    commands = steps(explanation)
    assert "--repeat-threshold 0.1" in commands
    assert "--box-loss giou" in commands
    assert "--box-loss giou" not in steps(explanation, box_loss="ciou")


def test_chosen_rule_is_used(explanation):
    data, found = random_case(0)
    by_recall = explained(data, found, Rule("recall", 0.5))
    assert all(each.recall >= 0.5 for each in by_recall.chosen if each.objects)
    assert np.all(by_recall.least <= 1)
