"""The repair of every defect by --fix, after which nothing is left to repair."""

import csv
import shutil

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.doctor.checks import examine
from keras_retinanet.doctor.repair import Change, repair, write_changes
from keras_retinanet.preprocessing.dataset import Dataset, make_record
from keras_retinanet.preprocessing.readers import read_csv
from keras_retinanet.preprocessing.writers import write_csv


def repaired(folder, thorough=True):
    """The cleaned sets, the changes without the folder's path, the findings of a second look."""
    cleaned, changes = repair(folder.examine(thorough=thorough).splits)
    root = f"{folder.path}/"
    changes = [Change(*(text.replace(root, "") for text in change)) for change in changes]
    again = examine({name: (data, []) for name, data in cleaned.items()}, True, sides=None)
    return cleaned, changes, again.findings


def test_clean_data_stay_as_they_are(folder):
    splits = folder.examine().splits
    cleaned, changes = repair(splits)
    assert changes == []
    for split in splits:
        for before, after in zip(split.records, cleaned[split.name].records, strict=True):
            assert (before.path, before.size, before.entries) == (
                after.path,
                after.size,
                after.entries,
            )
            for column in ("boxes", "labels", "ignore", "area"):
                np.testing.assert_array_equal(getattr(before, column), getattr(after, column))


def test_what_cannot_be_read_is_left_out(folder):
    folder.add("train0.png", (2, "two", 34, 34))
    (folder.path / "train3.png").write_text("no picture")
    cleaned, changes, findings = repaired(folder)
    assert changes == [
        Change(
            "train", "entry left out", "train.csv: line 26: malformed y1: 'two' is not a number"
        ),
        Change(
            "train",
            "image left out",
            "train3.png",
            after="train3.png: not an image, or truncated",
        ),
    ]
    assert len(cleaned["train"].records) == 5
    assert findings == []


def test_a_picture_that_breaks_when_decoded_is_left_out(folder):
    data = bytearray((folder.path / "train3.png").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 50] = bytes(50)
    (folder.path / "train3.png").write_bytes(data)
    assert repaired(folder, thorough=False)[1] == []
    _, changes, findings = repaired(folder)
    assert [change[:3] for change in changes] == [("train", "image left out", "train3.png")]
    assert findings == []


def only(cleaned, changes, set_name="train", index=0):
    """The boxes of an image after its four good ones, and what was done to it."""
    return cleaned[set_name].records[index].boxes[4:].tolist(), [
        (change.what, change.before, change.after) for change in changes
    ]


@pytest.mark.parametrize(
    ("box", "after", "change"),
    [
        (
            (20, 60, 4, 50),
            [[4, 50, 20, 60]],
            ("corners swapped", "20, 60, 4, 50", "4, 50, 20, 60"),
        ),
        ((20, 50, 20, 60), [], ("box left out", "20, 50, 20, 60", "")),
        ((96, 10, 120, 30), [], ("box left out", "96, 10, 120, 30", "")),
        ((120, 30, 97, 10), [], ("box left out", "120, 30, 97, 10", "")),
        (
            (80, 30, 98, 60),
            [[80, 30, 96, 60]],
            ("box clipped", "80, 30, 98, 60", "80, 30, 96, 60"),
        ),
        ((2, 2, 34, 34), [], ("second copy of a box left out", "2, 2, 34, 34", "")),
    ],
)
def test_a_bad_box(folder, box, after, change):
    folder.add("train0.png", box)
    cleaned, changes, findings = repaired(folder)
    assert only(cleaned, changes) == (after, [change])
    assert changes[0].where == "train.csv: line 26"
    assert findings == []
    record = cleaned["train"].records[0]
    assert record.entries[4:] == (26,) * len(after)
    assert record.area[4:].tolist() == [(b[2] - b[0]) * (b[3] - b[1]) for b in after]


def test_boxes_that_are_no_numbers_are_left_out(folder):
    splits = folder.read()
    data, _ = splits["train"]
    path = data.records[0].path
    data.records[0] = make_record(path, 0, [(5, np.nan, 9, 9), (2, 2, 34, 34)], [0, 1], area=[1, 2])
    cleaned, changes = repair(examine(splits, sides=None).splits)
    record = cleaned["train"].records[0]
    assert (record.boxes.tolist(), record.labels.tolist()) == ([[2, 2, 34, 34]], [1])
    assert record.area.tolist() == [2]
    assert changes == [Change("train", "box left out", path, "5, nan, 9, 9")]


def test_boxes_of_another_size_are_scaled(folder):
    folder.rows["train"] = [row for row in folder.rows["train"] if "train0" not in row]
    folder.add("train0.png", (20, 10, 192, 128), "dog", size=(192, 128))
    cleaned, changes, findings = repaired(folder)
    record = cleaned["train"].records[-1]
    assert record.boxes.tolist() == [[10, 5, 96, 64]]
    assert record.area.tolist() == [86 * 59]
    assert record.stated_size == record.size == (96, 64)
    assert changes == [
        Change("train", "boxes scaled", "train0.png", "192 x 128 px", "96 x 64 px"),
    ]
    assert findings == []


def test_boxes_that_fit_the_picture_and_not_the_stated_size_stay(folder):
    folder.replace("train0.png,96,64", "train0.png,48,32")
    cleaned, changes, findings = repaired(folder)
    assert cleaned["train"].records[0].boxes[0].tolist() == [2, 2, 34, 34]
    assert [change[1:] for change in changes] == [
        ("stated size corrected", "train0.png", "48 x 32 px", "96 x 64 px"),
    ]
    assert findings == []


@pytest.mark.parametrize(("size", "kept"), [((193, 128), True), ((195, 128), False)])
def test_a_picture_of_another_shape_is_left_out(folder, size, kept):
    # 192 / 193 is within 1% of the shape, 192 / 195 is not
    width, height = size
    folder.replace("train0.png,96,64", f"train0.png,{width},{height}")
    cleaned, changes, findings = repaired(folder)
    assert (len(cleaned["train"].records) == 6) is kept
    assert changes[0].what == ("boxes scaled" if kept else "image left out")
    assert findings == []


def test_an_image_that_loses_its_only_box_is_named(folder):
    folder.draw("one.png", 9)
    folder.add("one.png", (20, 50, 20, 60))
    cleaned, changes, findings = repaired(folder)
    assert cleaned["train"].records[6].boxes.shape == (0, 4)
    assert [change[1:3] for change in changes] == [
        ("box left out", "train.csv: line 26"),
        ("no box remains: learnt as background", "one.png"),
    ]
    assert [finding.severity for finding in findings] == ["note"]


def test_a_picture_without_boxes_needs_no_scaling(folder):
    folder.draw("bare.png", 9)
    folder.rows["train"].append("bare.png,10,50,,,,,")
    cleaned, changes, _ = repaired(folder)
    assert [change.what for change in changes] == ["stated size corrected"]
    assert len(cleaned["train"].records) == 7


def test_objects_with_two_boxes_are_left_to_the_person(folder):
    folder.add("train2.png", (2, 2, 34, 34), "dog")
    folder.add("train2.png", (2, 2, 34, 33))
    cleaned, changes, findings = repaired(folder)
    assert len(cleaned["train"].records[2].boxes) == 6
    assert [change.what for change in changes] == [
        "left to you: two classes",
        "left to you: boxes nearly coincide",
    ]
    assert [change.where for change in changes] == ["train.csv: line 26", "train.csv: line 27"]
    assert [finding.severity for finding in findings] == ["warning", "warning"]


def test_of_identical_pictures_the_one_with_most_boxes_stays(folder):
    shutil.copy(folder.path / "train4.png", folder.path / "copy.png")
    folder.add("copy.png", (2, 2, 34, 34))
    cleaned, changes, findings = repaired(folder)
    assert [record.path[-10:] for record in cleaned["train"].records][-1] == "train5.png"
    assert [change[1:] for change in changes] == [
        ("image left out", "copy.png", "1 boxes", "same as train4.png, 4 boxes"),
    ]
    assert findings == []


def test_pictures_of_a_later_set_are_taken_out_of_the_earlier(folder):
    Image.open(folder.path / "val1.png").save(folder.path / "leak.bmp")
    folder.add_image("leak.bmp")
    folder.rows["test"] = []
    folder.add_image("val1.png", to="test")
    cleaned, changes, findings = repaired(folder)
    names = {name: [r.image_id for r in data.records] for name, data in cleaned.items()}
    assert "leak.bmp" not in names["train"]
    assert names["val"] == ["val0.png", "val2.png"]
    assert names["test"] == ["val1.png"]
    assert changes == [
        Change("train", "image left out", "leak.bmp", after="is in test too"),
        Change("val", "image left out", "val1.png", after="is in test too"),
    ]
    assert findings == []


@pytest.mark.parametrize(
    ("sets", "keeper"),
    [
        (("train", "val"), "val"),
        (("val", "train"), "val"),
        (("test", "val", "train"), "test"),
        (("validation", "trainval"), "validation"),
        (("minival2014", "test-dev", "train2017"), "test-dev"),
        (("first", "second"), "second"),  # the first is trained on
        (("val", "other"), "val"),
    ],
)
def test_a_set_that_is_evaluated_on_keeps_its_pictures(folder, sets, keeper):
    data, _ = folder.read()["train"]
    cleaned, changes = repair(examine({name: (data, []) for name in sets}, sides=None).splits)
    assert {name: len(data.records) for name, data in cleaned.items()} == {
        name: 6 * (name == keeper) for name in sets
    }
    assert {change.after for change in changes} == {f"is in {keeper} too"}


@pytest.mark.parametrize("stated", ["96,64", "192,128"])
def test_shares_of_the_picture_are_left_to_the_person(folder, stated):
    folder.rows["train"] = []
    folder.add_image("train0.png", boxes={"cat": [(0.1, 0.1, 0.5, 0.5), (0.5, 0.2, 1.004, 0.4)]})
    folder.replace("96,64", stated)
    cleaned, changes, findings = repaired(folder)
    np.testing.assert_array_equal(
        cleaned["train"].records[0].boxes,
        np.array([(0.1, 0.1, 0.5, 0.5), (0.5, 0.2, 1.004, 0.4)], "float32"),
    )
    assert changes == [
        Change(
            "train",
            "left to you: boxes look like shares",
            "train.csv: line 2",
            "0.1, 0.1, 0.5, 0.5",
        )
    ]
    assert "boxes that look like shares of the image, not px" in [f.name for f in findings]


def test_everything_at_once_written_and_read_back(folder):
    folder.add("train0.png", (20, 60, 4, 50))
    folder.add("train1.png", (20, 50, 20, 60))
    folder.add("train2.png", (80, 30, 98, 60))
    folder.add("train3.png", (2, 2, 34, 34))
    folder.add("train0.png", (1, 1, 9, 9), "cow")
    folder.replace("train4.png,96,64", "train4.png,192,128")
    (folder.path / "train5.png").unlink()
    folder.add_image("val2.png")
    cleaned, changes = repair(folder.examine().splits)
    assert len(changes) == 8
    target = folder.path / "cleaned"
    for name, data in cleaned.items():
        write_csv(data, str(target), name)
    splits = {}
    for name in cleaned:
        splits[name] = read_csv(str(target / f"{name}.csv"), str(target / "classes.csv")), []
    examination = examine(splits, thorough=True, sides=None)
    assert examination.findings == []
    counts = [len(record.boxes) for record in examination.splits[0].records]
    assert counts == [5, 4, 5, 4, 4]


def test_no_images():
    cleaned, changes = repair(examine({"train": (Dataset([], ["cat"], [1]), [])}).splits)
    assert (cleaned["train"].records, changes) == ([], [])


def test_changes_are_a_csv_file(tmp_path):
    changes = [Change("train", "box clipped", "a, b.csv: line 7", "-1, 0, 5, 5", "0, 0, 5, 5")]
    write_changes(tmp_path / "changes.csv", changes)
    with open(tmp_path / "changes.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [["split", "change", "where", "before", "after"], list(changes[0])]
