"""One specimen of every defect, a folder of tests/data/doctor: each gives its finding alone."""

from pathlib import Path

import pytest

from keras_retinanet.doctor.checks import examine
from keras_retinanet.doctor.findings import spoils
from keras_retinanet.preprocessing.readers import read_coco, read_csv, read_pascal
from keras_retinanet.preprocessing.source import DataSource, read_splits
from keras_retinanet.synthetic import write_synthetic

DATA = Path(__file__).parents[1] / "data/doctor"
ERROR, WARNING, NOTE = "error", "warning", "note"
UNREADABLE = "entries that cannot be read"
NO_PICTURE = "images that are missing, unreadable or truncated"
OTHER_SIZE = "images whose size differs"
EMPTY = "boxes without width or height"
UNREACHED = "objects that no anchor reaches"
AGAIN = "images that occur twice"
LEAKED = "images in more than one split"
BARE = "images without any box"
NO_BOX = "splits without a usable box"
SPECIMENS = {  # folder: (severity, count, total, how the finding begins, of the first place's text)
    "unreadable_entry": (ERROR, 1, None, UNREADABLE, "train.csv: line 12: malformed y1: 'x' is no"),
    "no_number": (ERROR, 1, None, UNREADABLE, "train.csv: line 12: malformed y1: 'nan' is no"),
    "unknown_class": (ERROR, 1, None, UNREADABLE, "line 12: unknown class name: 'cow' (classes: "),
    "missing_picture": (ERROR, 1, 4, NO_PICTURE, "gone.png: no such file (train.csv: line 12)"),
    "unreadable_picture": (ERROR, 1, 4, NO_PICTURE, "none.png: not an image, or truncated"),
    "truncated_picture": (ERROR, 1, 4, NO_PICTURE, "truncated.png: damaged or truncated ("),
    "damaged_picture": (ERROR, 1, 4, NO_PICTURE, "damaged.png: damaged or truncated ("),
    "damaged_jpeg": (WARNING, 1, 4, "images with damaged data", "damaged.jpg: Corrupt JPEG data"),
    "wrong_size": (ERROR, 1, 4, OTHER_SIZE, "train2.png: 96 x 64 px, stated 192 x 128 (train.csv"),
    "turned_size": (ERROR, 1, 4, OTHER_SIZE, "96 x 64 px, stated 64 x 96 (train.csv: line 12)"),
    "box_outside": (ERROR, 3, 14, "boxes outside", "line 12 (box 96, 10, 120, 30 in 96 x 64 px)"),
    "box_sticking_out": (WARNING, 1, 13, "boxes that stick out", "line 12 (box 74, 36, 98, 60 in"),
    "boxes_in_shares": (
        ERROR,
        10,
        11,
        "boxes that look like shares",
        "line 2 (box 0.05, 0.1, 0.25",
    ),
    "boxes_from_zero": (NOTE, 2, 12, "boxes that begin 1 px", "line 12 (box -1, 36, 23, 60 in"),
    "box_without_width": (ERROR, 1, 12, EMPTY, "train.csv: line 12 (box 68, 36, 68, 60 in"),
    "box_without_height": (ERROR, 1, 12, EMPTY, "train.csv: line 12 (box 68, 36, 92, 36 in"),
    "inverted_box": (ERROR, 2, 13, "inverted boxes", "train.csv: line 12 (box 92, 36, 68, 60 in"),
    "infinite_box": (ERROR, 1, None, UNREADABLE, "train.csv: line 12: malformed x2: '1e39' is too"),
    "box_written_twice": (WARNING, 2, 13, "boxes written twice", "line 12 (box 4, 4, 28, 28 in"),
    "box_with_two_classes": (WARNING, 1, 21, "boxes with two", "64 px, cat and dog, same as 2)"),
    "near_duplicate_boxes": (WARNING, 1, 12, "boxes of a class that nearly", "cat, same as 2)"),
    "tiny_box": (WARNING, 1, 12, "boxes under 2 px", "line 12 (box 68, 40, 92, 40.1 in"),
    "box_around_the_picture": (NOTE, 1, 12, "boxes around nearly", "line 12 (box 0, 0, 96, 63 in"),
    "unreached_by_anchors": (WARNING, 20, 40, UNREACHED, "line 12 (box 2, 2, 3, 62 in 96 x 64"),
    "mostly_unreached_by_anchors": (ERROR, 20, 30, UNREACHED, "line 12 (box 2, 2, 3, 62 in"),
    "class_never_seen": (WARNING, 1, 2, "classes without any box", "dog"),
    "rare_class": (WARNING, 1, 2, "classes with fewer than 10", "dog: 3 boxes in 1 image"),
    "class_seen_only_in_val": (
        WARNING,
        1,
        2,
        "classes of other splits that train never",
        "dog, boxes in other splits: 2",
    ),
    "class_names_that_differ_by_case": (WARNING, 1, 2, "classes whose names", "'Cat' and 'cat'"),
    "image_without_boxes": (NOTE, 1, 4, BARE, "bare0.png"),
    "images_mostly_without_boxes": (WARNING, 3, 6, BARE, "bare0.png"),
    "evaluation_set_without_boxes": (WARNING, 1, 2, NO_BOX, "val, images: 2"),
    "no_box_at_all": (ERROR, 2, 2, NO_BOX, "train, images: 2"),
    "identical_pictures": (WARNING, 1, 4, AGAIN, "train0.png and copy.png"),
    "identical_pictures_that_disagree": (
        ERROR,
        1,
        4,
        f"{AGAIN} with different boxes",
        "and copy.png",
    ),
    "identical_pictures_across_sets": (ERROR, 1, 4, LEAKED, "leak.bmp, val: pictures/val0"),
    "same_file_in_both_sets": (ERROR, 1, 4, LEAKED, "val0.png, val: pictures/val0.png"),
    "same_file_twice": (WARNING, 5, 16, "boxes written twice", "line 12 (box 4, 4, 28, 28 in"),
}
NEED_PIXELS = (
    "damaged_picture",
    "damaged_jpeg",
    "identical_pictures",
    "identical_pictures_that_disagree",
    "identical_pictures_across_sets",
)


def findings_of(name, thorough):
    """Return the findings of retinanet-doctor in a folder, with its class file if it has one."""
    classes = DATA / name / "classes.csv"
    source = DataSource(
        "csv", str(DATA / name / "train.csv"), classes if classes.exists() else None
    )
    return examine(read_splits(source, val_path=str(DATA / name / "val.csv")), thorough).findings


def test_every_folder_has_its_finding():
    assert {path.name for path in DATA.iterdir()} == {"clean", "pictures", *SPECIMENS}


def test_clean_data_give_no_finding():
    assert findings_of("clean", thorough=True) == []


@pytest.mark.parametrize("name", SPECIMENS)
def test_every_defect_gives_its_finding_alone(name):
    severity, count, total, finding, text = SPECIMENS[name]
    findings = findings_of(name, thorough=True)
    assert [(f.severity, f.count, f.total) for f in findings] == [(severity, count, total)]
    assert findings[0].name.startswith(finding)
    assert text in findings[0].places[0].text.replace(f"{DATA / name}/", "").replace(f"{DATA}/", "")
    assert spoils(findings) == (severity == ERROR)


@pytest.mark.parametrize("name", [name for name in SPECIMENS if name not in NEED_PIXELS])
def test_the_cheap_part_finds_all_that_needs_no_pixels(name):
    severity, count, _, finding, _ = SPECIMENS[name]
    findings = findings_of(name, thorough=False)
    assert [(f.severity, f.count) for f in findings] == [(severity, count)]
    assert findings[0].name.startswith(finding)


@pytest.mark.parametrize("name", NEED_PIXELS)
def test_the_cheap_part_does_not_read_pixels(name):
    assert findings_of(name, thorough=False) == []


def test_synthetic_data_is_clean(tmp_path):
    write_synthetic(tmp_path, train=40, val=15, size=128)
    splits = {
        name: (read_csv(str(tmp_path / f"{name}.csv"), str(tmp_path / "classes.csv")), [])
        for name in ("train", "val")
    }
    findings = examine(splits, thorough=True).findings
    assert {(f.severity, f.name) for f in findings} <= {(NOTE, "images without any box")}


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
