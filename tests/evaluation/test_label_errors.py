"""Suspicious labels: each kind by hand, the files, and planted errors."""

import csv
import io
import json

import numpy as np
import pytest

from keras_retinanet.evaluation.label_errors import (
    CLASS,
    COLUMNS,
    MISSING,
    PLACE,
    UNSEEN,
    missing_labels,
    suspects_coco,
    suspects_csv,
    wrong_labels,
)
from keras_retinanet.evaluation.matching import NOTHING, match

from .cases import SQUARE, dataset, detection, record

PLACES = [[200 * i, 0, 200 * i + 100, 100] for i in range(6)]
MOVED = [650, 0, 750, 100]  # IoU 1 / 3 with the fourth place
# the labels: found, called b, moved, never found. A detection has no label.
DATA = dataset(
    record(image_id=7),
    record([PLACES[0], PLACES[1], PLACES[3], PLACES[4]], [0, 0, 0, 1], image_id=8),
    names=("a", "b"),
    category_ids=[5, 6],
)
FOUND = [
    detection([SQUARE], [0.3]),
    detection([PLACES[0], PLACES[1], MOVED, PLACES[5]], [0.9, 0.8, 0.7, 0.6], [0, 1, 0, 1]),
]


@pytest.fixture
def matching():
    return match(DATA, FOUND)


def test_missing_labels_by_hand(matching):
    suspects = missing_labels(matching)
    # indices count the detection of the first image; MOVED overlaps a label by 1 / 3
    assert suspects.detection.tolist() == [4, 3, 0]
    assert suspects.suspicion == pytest.approx([0.6, 0.7 * 2 / 3, 0.3])
    assert set(suspects.kind) == {MISSING}
    assert set(suspects.object) == {NOTHING}


def test_wrong_labels_by_hand(matching):
    suspects = wrong_labels(matching)
    assert suspects.object.tolist() == [1, 2, 3, 0]
    assert suspects.kind.tolist() == [CLASS, PLACE, UNSEEN, UNSEEN]
    assert suspects.detection.tolist() == [2, 3, NOTHING, NOTHING]
    # (1 - confirmed + contradicted) / 2
    assert suspects.suspicion == pytest.approx([(1 + 0.8) / 2, (1 + 0.7) / 2, 1 / 2, 0.1 / 2])
    assert wrong_labels(matching).first(2).object.tolist() == [1, 2]


def test_a_detection_of_another_object_is_no_contradiction():
    """Two labels of IoU 0.6, both found: neither of the two detections speaks against the other."""
    two = [SQUARE, [25, 0, 125, 100]]
    suspects = wrong_labels(match(dataset(record(two)), [detection(two, [0.9, 0.8])]))
    assert suspects.kind.tolist() == [UNSEEN, UNSEEN]
    assert sorted(suspects.suspicion) == pytest.approx([0.05, 0.1])


def test_files(matching):
    missing, wrong = missing_labels(matching), wrong_labels(matching)
    rows = list(csv.DictReader(io.StringIO(suspects_csv(DATA, matching, wrong))))
    assert tuple(rows[0]) == COLUMNS
    assert [row["kind"] for row in rows] == [CLASS, PLACE, UNSEEN, UNSEEN]
    assert (rows[0]["class"], rows[0]["detected class"], rows[0]["score"]) == ("a", "b", "0.8000")
    assert (rows[1]["x1"], rows[1]["detected x1"]) == ("600.0", "650.0")
    assert rows[2]["detected class"] == ""
    content = json.loads(json.dumps(suspects_coco(DATA, matching, wrong.first(2))))
    assert [image["id"] for image in content["images"]] == [8]
    notes = [each.get("attributes", {}).get("kind") for each in content["annotations"]]
    assert notes == [None, CLASS, PLACE, None]
    content = suspects_coco(DATA, matching, missing.first(2))
    assert len(content["annotations"]) == 4 + 2
    assert len({each["id"] for each in content["annotations"]}) == 6
    added = content["annotations"][4]
    assert added["category_id"] == 6
    assert added["bbox"] == [1000, 0, 100, 100]
    assert added["attributes"] == {
        "kind": MISSING, "suspicion": 0.6, "detected": "b", "score": 0.6,
    }  # fmt: skip


def test_nothing_to_suspect():
    for data, found in ((dataset(), []), (dataset(record()), [detection()])):
        matching = match(data, found)
        for suspects in (missing_labels(matching), wrong_labels(matching)):
            assert len(suspects) == 0
            assert suspects_csv(data, matching, suspects) == ",".join(COLUMNS) + "\n"
            assert suspects_coco(data, matching, suspects)["images"] == []
    crowd = dataset(record([SQUARE], ignore=[True]))
    assert len(wrong_labels(match(crowd, [detection()]))) == 0


def simulated(rng, images=150):
    """Labels in a grid, and the detections of a good detector, with noise of low scores."""
    records, found = [], []
    for index in range(images):
        places = np.array([[150 * x, 150 * y] for x in range(4) for y in range(3)])
        sides = rng.uniform(40, 100, (12, 2))
        boxes = np.concatenate([places, places + sides], axis=1)[: rng.integers(0, 13)]
        labels = rng.integers(0, 3, len(boxes))
        records.append(record(boxes, labels, image_id=index))
        seen = rng.random(len(boxes)) < 0.9
        noise = rng.uniform(0, 400, (20, 2))
        noise = np.concatenate([noise, noise + rng.uniform(20, 150, (20, 2))], axis=1)
        scores = np.concatenate([rng.uniform(0.4, 1, seen.sum()), 0.4 * rng.random(20) ** 2])
        jittered = boxes + rng.normal(0, 3, boxes.shape)
        order = np.argsort(-scores)
        found.append(
            detection(
                np.concatenate([jittered[seen], noise])[order],
                scores[order],
                np.concatenate([labels[seen], rng.integers(0, 3, 20)])[order],
            )
        )
    return dataset(*records, names=("a", "b", "c")), found


@pytest.mark.parametrize("kind", ["removed", "shifted", "swapped"])
def test_planted_errors_are_in_the_first_tenth(kind, load_benchmark):
    benchmark = load_benchmark("label_errors")
    rng = np.random.default_rng(0)
    data, found = simulated(rng)
    planted, errors = benchmark.plant(data, [kind], rng)
    assert len(errors) == round(0.05 * sum(len(each.boxes) for each in data.records))
    places = benchmark.places_in_rankings(match(planted, found), errors)
    assert (places < 0.1).mean() >= 0.8
    unchanged = [len(each.boxes) for each in planted.records]
    assert sum(unchanged) == sum(len(each.boxes) for each in data.records) - (
        len(errors) if kind == "removed" else 0
    )
