"""One specimen of every defect: each gives its finding, and no other."""

import shutil

import pytest
from PIL import Image

from keras_retinanet.doctor.checks import examine
from keras_retinanet.doctor.findings import spoils
from keras_retinanet.preprocessing.readers import read_coco, read_csv, read_pascal
from keras_retinanet.preprocessing.sample import write_sample

ERROR, WARNING, NOTE = "error", "warning", "note"


def unknown_class(folder):
    folder.add("train0.png", (2, 2, 34, 34), "cow")


def no_number(folder):
    folder.add("train0.png", (2, "two", 34, 34))


def missing(folder):
    (folder.path / "train3.png").unlink()


def no_picture(folder):
    (folder.path / "train3.png").write_text("no picture")


def truncated(folder):
    data = (folder.path / "train3.png").read_bytes()
    (folder.path / "train3.png").write_bytes(data[: len(data) // 2])


def damaged(folder):
    data = bytearray((folder.path / "train3.png").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 50] = bytes(50)
    (folder.path / "train3.png").write_bytes(data)


def damaged_jpeg(folder):
    folder.draw("train3.jpg", 3)
    data = bytearray((folder.path / "train3.jpg").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    (folder.path / "train3.jpg").write_bytes(data)
    folder.replace("train3.png", "train3.jpg")


def other_size(folder):
    folder.replace("train3.png,96,64", "train3.png,192,128")


def turned_size(folder):
    folder.replace("train3.png,96,64", "train3.png,64,96")


def inverted(folder):
    folder.add("train0.png", (20, 50, 4, 60))
    folder.add("train1.png", (4, 60, 20, 50))


def without_width(folder):
    folder.add("train0.png", (20, 40, 20, 60))


def without_height(folder):
    folder.add("train0.png", (4, 50, 20, 50))


def outside(folder):
    folder.add("train0.png", (96, 10, 120, 30))
    folder.add("train1.png", (10, -30, 30, -1))
    folder.add("val1.png", (-30, 10, 0, 30), to="val")


def sticking_out(folder):
    folder.add("train0.png", (80, 30, 98, 60))  # by 2 px
    folder.add("train1.png", (80, 30, 97, 60))  # by 1, which is let pass


def written_twice(folder):
    for _ in range(2):
        folder.add("train2.png", (2, 2, 34, 34))


def two_classes(folder):
    folder.add("train2.png", (2, 2, 34, 34), "dog")


def near(folder):
    folder.add("train2.png", (2, 2, 34, 33))  # IoU 31 / 32 with the cat there


def tiny(folder):
    folder.add("train2.png", (40, 4, 50, 5.5))


def whole_picture(folder):
    folder.add("train2.png", (0, 0, 96, 63))  # 63 / 64 of it


def few_boxes(folder):
    folder.replace(",dog,", ",cat,")
    for i in range(3):
        folder.add(f"train{i}.png", (40, 4, 56, 20), "dog")


def only_elsewhere(folder):
    folder.replace(",dog,", ",cat,")


def nowhere(folder):
    folder.replace(",dog,", ",cat,")
    folder.replace(",dog,", ",cat,", to="val")


def like_names(folder):
    folder.replace(",dog,", ",Cat,")
    folder.replace(",dog,", ",Cat,", to="val")


def without_boxes(folder):
    folder.draw("bare.png", 77)
    folder.rows["train"].append("bare.png,96,64,,,,,")


def mostly_without(folder):
    for i in range(7):  # 7 of 13 images
        folder.draw(f"bare{i}.png", 100 + i)
        folder.rows["train"].append(f"bare{i}.png,96,64,,,,,")


def no_box_at_all(folder):
    folder.rows["val"] = [f"val{i}.png,96,64,,,,," for i in range(3)]


def identical(folder):
    Image.open(folder.path / "train4.png").save(folder.path / "copy.png", compress_level=1)
    folder.add_image("copy.png")


def identical_with_other_boxes(folder):
    shutil.copy(folder.path / "train4.png", folder.path / "copy.png")
    folder.add("copy.png", (2, 2, 34, 34))


def leaked(folder):
    Image.open(folder.path / "val1.png").save(folder.path / "leak.bmp")
    folder.add_image("leak.bmp")


def same_file(folder):
    folder.add_image("val1.png")


def same_file_twice(folder):
    folder.add_image("./train1.png")


TRAIN, ALL = 24, 36  # boxes
SPECIMENS = [  # (defect, severity, name of the finding, count, total, text of the first place)
    (unknown_class, ERROR, "entries that cannot be read", 1, None, "train.csv: line 26: unknown"),
    (no_number, ERROR, "entries that cannot be read", 1, None, "line 26: malformed y1: 'two'"),
    (missing, ERROR, "pictures that are missing", 1, 9, "train3.png: no such file (/"),
    (no_picture, ERROR, "pictures that are missing", 1, 9, "train3.png: not an image"),
    (truncated, ERROR, "pictures that are missing", 1, 9, "train.csv: line 14)"),
    (damaged, ERROR, "pictures that are missing", 1, 9, "train.csv: line 14)"),
    (damaged_jpeg, WARNING, "pictures with damage amid", 1, 9, "train3.jpg: Corrupt JPEG"),
    (other_size, ERROR, "pictures of another size", 1, 9, "96 x 64 px, stated 192 x 128 (/"),
    (turned_size, ERROR, "pictures of another size", 1, 9, "96 x 64 px, stated 64 x 96 (/"),
    (inverted, ERROR, "inverted boxes", 2, ALL + 2, "line 26 (box 20, 50, 4, 60 in 96 x 64 px)"),
    (without_width, ERROR, "boxes without width", 1, ALL + 1, "line 26 (box 20, 40, 20, 60 in"),
    (without_height, ERROR, "boxes without width", 1, ALL + 1, "line 26 (box 4, 50, 20, 50 in"),
    (outside, ERROR, "boxes outside", 3, ALL + 3, "line 26 (box 96, 10, 120, 30 in"),
    (sticking_out, WARNING, "boxes that stick out", 1, ALL + 2, "line 26 (box 80, 30, 98, 60"),
    (written_twice, WARNING, "boxes written twice", 2, ALL + 2, "line 26 (box"),
    (two_classes, WARNING, "boxes with two classes", 1, ALL + 1, "px, cat and dog, as at 10)"),
    (near, WARNING, "boxes of a class that nearly", 1, ALL + 1, "px, cat, as at 10)"),
    (tiny, WARNING, "boxes under 2 px", 1, ALL + 1, "line 26 (box 40, 4, 50, 5.5 in"),
    (whole_picture, NOTE, "boxes around nearly", 1, ALL + 1, "line 26 (box 0, 0, 96, 63"),
    (few_boxes, WARNING, "classes with fewer than 10", 1, 2, "dog: 3 boxes in 3 images"),
    (only_elsewhere, WARNING, "classes of other sets", 1, 2, "dog: 6 boxes elsewhere"),
    (nowhere, WARNING, "classes without any box", 1, 2, "dog"),
    (without_boxes, NOTE, "images without any box", 1, 10, "bare.png"),
    (mostly_without, WARNING, "images without any box", 7, 16, "bare0.png"),
    (no_box_at_all, WARNING, "sets without a box", 1, 2, "val: 3 images"),
    (identical, WARNING, "pictures that are there again", 1, 10, "train4.png and /"),
    (identical_with_other_boxes, ERROR, "pictures that are there again with", 1, 10, "copy.png"),
    (leaked, ERROR, "pictures in more than one set", 1, 10, "leak.bmp, val: /"),
    (same_file, ERROR, "pictures in more than one set", 1, 10, "val1.png, val: /"),
    (same_file_twice, WARNING, "pictures that are there again", 1, 10, "train1.png"),
]


def test_clean_data_give_no_finding(folder):
    examination = folder.examine()
    assert examination.findings == []
    assert [split.name for split in examination.splits] == ["train", "val"]


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda specimen: specimen[0].__name__)
def test_every_defect_gives_its_finding_alone(folder, specimen):
    defect, severity, name, count, total, text = specimen
    defect(folder)
    findings = folder.examine().findings
    assert [(f.severity, f.count, f.total) for f in findings] == [(severity, count, total)]
    assert findings[0].name.startswith(name)
    assert text in findings[0].places[0].text
    assert spoils(findings) == (severity == ERROR)


NEED_PIXELS = (damaged, damaged_jpeg, identical, identical_with_other_boxes, leaked)
CHEAP = [specimen for specimen in SPECIMENS if specimen[0] not in NEED_PIXELS]


@pytest.mark.parametrize("specimen", CHEAP, ids=lambda specimen: specimen[0].__name__)
def test_the_cheap_part_finds_all_that_needs_no_pixels(folder, specimen):
    defect, severity, name, count, _, _ = specimen
    defect(folder)
    findings = folder.examine(thorough=False).findings
    assert [(f.severity, f.count) for f in findings] == [(severity, count)]
    assert findings[0].name.startswith(name)


def test_class_names_that_differ_by_case(folder):
    like_names(folder)
    findings = folder.examine(classes=None).findings
    assert [(f.severity, f.count, f.total) for f in findings] == [(WARNING, 1, 2)]
    assert findings[0].places[0].text == "'Cat' and 'cat'"


def test_the_drawn_sample_is_clean(tmp_path):
    write_sample(tmp_path, train=40, val=15, size=128)
    splits = {
        name: (read_csv(str(tmp_path / f"{name}.csv"), str(tmp_path / "classes.csv")), [])
        for name in ("train", "val")
    }
    findings = examine(splits, thorough=True).findings
    assert [(f.severity, f.name) for f in findings] == [(NOTE, "images without any box")]


def test_blood_cells_have_two_boxes_without_width(shared):
    splits, classes = {}, None
    for name in ("train", "val", "test"):
        faults = []
        data = read_pascal(str(shared / "data/bccd/BCCD"), name, classes, faults=faults)
        splits[name], classes = (data, faults), data.class_names
    findings = examine(splits).findings
    assert [(f.severity, f.count, f.total) for f in findings] == [
        (ERROR, 2, 4888),
        (WARNING, 7, 4888),
    ]
    places = [place.text.rpartition("/")[2] for place in findings[0].places]
    assert sorted(place.partition(":")[0] for place in places) == [
        "BloodImage_00338.xml",
        "BloodImage_00343.xml",
    ]
    assert findings[1].name.startswith("boxes of a class that nearly coincide")


def test_a_hundred_images_of_coco_show_half_of_their_classes_rarely(shared):
    folder = shared / "data/multiformat100/data/database"
    faults = []
    data = read_coco(
        str(folder / "gts/coco_format_v1/instances_default.json"), str(folder / "images"), faults
    )
    examination = examine({"train": (data, faults)})
    assert examination.coverage.counts[-1, -1] == 273
    assert [(f.severity, f.count, f.total) for f in examination.findings] == [(WARNING, 10, 20)]
    assert examination.findings[0].name.startswith("classes with fewer than 10 boxes")
