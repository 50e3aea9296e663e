"""Counts of classes, and classes that are too rare."""

import numpy as np

from keras_retinanet.doctor.checks import examine
from keras_retinanet.doctor.classes import class_counts
from keras_retinanet.preprocessing.dataset import Dataset, make_record


def test_counts_are_of_boxes_and_of_images(folder):
    folder.add("train0.png", (40, 4, 56, 20), "dog")
    folder.rows["train"] = [row for row in folder.rows["train"] if "train5" not in row]
    examination = folder.examine(thorough=False)
    counts = class_counts(examination.splits[0])
    assert counts["boxes"].tolist() == [10, 11]
    assert counts["images"].tolist() == [5, 5]
    assert counts["ignored"].tolist() == [0, 0]


def test_a_class_seen_in_ignored_boxes_alone(folder):
    splits = folder.read()
    data, _ = splits["train"]
    for i, record in enumerate(data.records):
        data.records[i] = make_record(
            record.path, i, record.boxes, record.labels, record.labels == 1
        )
    val, _ = splits["val"]
    val.records[:] = [
        make_record(r.path, i, r.boxes[:2], [0, 0]) for i, r in enumerate(val.records)
    ]
    findings = examine(splits, sides=None).findings
    assert [(f.severity, f.count) for f in findings] == [("warning", 1)]
    assert findings[0].name == "classes that train shows in ignored boxes only"
    assert findings[0].places[0].text == "dog, ignored boxes: 12"


def test_a_class_in_few_images_is_noted(folder):
    # a bird ten times in one of 101 images; a cat in each
    box = (10, 10, 42, 42)
    birds = [(2 + 4 * i, 2 + 3 * i, 34 + 4 * i, 34 + 3 * i) for i in range(10)]
    path = str(folder.path / "train0.png")
    records = [make_record(path, i, [box], [0]) for i in range(100)]
    records.append(make_record(path, 100, birds, [1] * 10))
    data = Dataset(records, ["cat", "bird"], [1, 2])
    findings = examine({"train": (data, [])}, sides=None).findings
    noted = [f for f in findings if f.severity == "note"]
    assert [f.name for f in noted] == ["classes in fewer than 1% of the images of train"]
    assert noted[0].places[0].text == "bird: 10 boxes in 1 image"


def test_a_training_set_without_a_box_is_an_error(folder):
    splits = folder.read()
    for name in splits:
        data, _ = splits[name]
        data.records[:] = [make_record(r.path, r.image_id) for r in data.records]
    findings = examine(splits, sides=None).findings
    assert [(f.severity, f.count) for f in findings] == [("error", 2)]
    assert [place.text for place in findings[0].places] == ["train, images: 6", "val, images: 3"]


def test_sets_may_have_classes_of_their_own(folder):
    splits = folder.read()
    data, faults = splits["val"]
    splits["val"] = Dataset(data.records, ["dog", "cow"], [1, 2]), faults
    examination = examine(splits, sides=None)
    names = examination.splits[0].dataset.class_names
    assert names == ["cat", "dog", "cow"]
    assert class_counts(examination.splits[1])["boxes"].tolist() == [0, 6, 6]
    assert [f.name for f in examination.findings] == [
        "classes of other splits that train never shows"
    ]
    assert np.array_equal(examination.splits[1].dataset.records[0].labels, [1, 1, 2, 2])
