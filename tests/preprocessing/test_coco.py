import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.evaluation.coco import ground_truth
from keras_retinanet.preprocessing.dataset import checked, with_classes
from keras_retinanet.preprocessing.readers.coco import coco_paths, read_coco, splits

CONTENT = {
    "images": [
        {"id": 7, "file_name": "a.png", "width": 30, "height": 20},
        {"id": 3, "file_name": "/elsewhere/b.png"},
    ],
    "categories": [{"id": 9, "name": "cat"}, {"id": 2, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 9, "bbox": [1, 2, 10, 5.5], "area": 20.5},
        {"id": 2, "image_id": 7, "category_id": 2, "bbox": [0, 0, 4, 3], "iscrowd": 0},
        {
            "id": 4,
            "image_id": 7,
            "category_id": 9,
            "bbox": [5, 5, 6, 7],
            "area": 40,
            "iscrowd": 1,
            "segmentation": {"counts": "a compressed string", "size": [20, 30]},
        },
    ],
}


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "instances.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


DATA = Path(__file__).parents[1] / "data" / "coco"
NUMBERS = "annotation 2: expected a bbox of 4 numbers x, y, width, height, and a number as area, "
ENTRIES = {  # a file of tests/data/coco with one bad entry: what it gives
    "annotation_without_bbox": "annotations, entry 2: missing keys: bbox; needed: image_id",
    "annotation_without_id_and_bbox": "annotations, entry #1: missing keys: ",
    "unknown_category": "annotation 2: unknown category_id: 5 (known: 2, 9)",
    "unknown_image": "annotation 2: unknown image_id: 1 (known: 7)",
    "object_as_image_id": "annotation 2: unknown image_id: {} (known: 7)",
    "short_bbox": f"{NUMBERS}got bbox=[1, 2, 3], area=20",
    "number_as_bbox": f"{NUMBERS}got bbox=7, area=20",
    "text_in_bbox": f"{NUMBERS}got bbox=[1, 2, 3, 'x'], area=20",
    "nan_in_bbox": f"{NUMBERS}got bbox=[1, 2, nan, 3], area=20",
    "text_as_area": f"{NUMBERS}got bbox=[3, 4, 5, 6], area='large'",
    "too_large": f"{NUMBERS}got bbox=[1, 2, 3, 1e+300], area=20",
    "endless_integer": f"{NUMBERS}got bbox=[1, 2, 3, 1000000",
    "no_text_as_file_name": "image 8: file_name must be text that is not blank, got None",
    "image_without_file_name": "images, entry 8: missing keys: file_name; needed: id",
    "text_as_image": "images, entry #1: missing keys: id, file_name",
    "list_as_image_id": "image: expected an integer as id, got [3]",
    "image_twice": "image 7: an earlier entry has the same id",
    "category_without_name": "categories, entry 10: missing keys: name; needed: id, name",
    "text_as_category_id": "category: expected an integer as id, got 'ten'",
    "category_twice": "category 2: an earlier entry has the same id",
}
FILES = {  # a file of no use
    "malformed": "line 2, column 18: malformed JSON: Expecting value",
    "empty": "line 1, column 1: malformed JSON: Expecting value",
    "no_images": " holds no images",
    "no_list_of_images": "expected an object with a list of 'images'",
    "no_list_of_categories": "expected an object with a list of 'categories'",
    "no_list_of_annotations": "expected an object with a list of 'annotations'",
}


def changed(**values):
    """CONTENT with another first image."""
    return {**CONTENT, "images": [{**CONTENT["images"][0], **values}], "annotations": []}


def test_read_coco(write):
    data = read_coco(write(CONTENT), "images")
    a, b = data.records
    assert data.class_names == ["dog", "cat"]
    assert data.category_ids == [2, 9]
    assert (a.path, b.path) == ("images/a.png", "/elsewhere/b.png")
    assert (a.image_id, b.image_id) == (7, 3)
    # x, y, x + width, y + height
    assert a.boxes.tolist() == [[1, 2, 11, 7.5], [0, 0, 4, 3], [5, 5, 11, 12]]
    assert a.labels.tolist() == [1, 0, 1]
    assert a.ignore.tolist() == [False, False, True]
    assert a.area.tolist() == [20.5, 12, 40]
    assert f"{a.origin} {a.entries[2]}".endswith("instances.json: annotation 4")
    assert b.boxes.shape == (0, 4)
    assert b.ignore.shape == (0,)


def test_frequencies_are_read_where_they_are_named(write):
    assert read_coco(write(CONTENT), "images").frequencies == {}
    first, second = CONTENT["categories"][:2]
    named = [{**first, "frequency": "r"}, {**second, "frequency": ["c"]}]
    data = read_coco(write({**CONTENT, "categories": named}), "images")
    assert data.frequencies == {first["name"]: "r"}
    assert with_classes(data, ["bird", *data.class_names[::-1]]).frequencies == data.frequencies
    assert {each.get("frequency") for each in ground_truth(data)["categories"]} == {"r", None}


def test_an_image_whose_boxes_are_all_faults_is_left_out(write):
    bad = {**CONTENT["annotations"][0], "bbox": [1, 2, "x", 3]}
    unknown = {**CONTENT["annotations"][0], "image_id": 3, "category_id": 77}
    good = CONTENT["annotations"][1]
    for annotations, ids in {(): [7, 3], (0,): [3], (0, 1): [], (0, 1, 2): [7]}.items():
        chosen, faults = [(bad, unknown, good)[i] for i in annotations], []
        data = read_coco(write({**CONTENT, "annotations": chosen}), "images", faults=faults)
        assert [record.image_id for record in data.records] == ids
        assert len(faults) == min(2, len(annotations))


def test_file_names_are_resolved(write):
    data = read_coco(write(changed(file_name="./x/../a.png")), "images")
    assert data.records[0].path == "images/a.png"


def test_a_file_without_boxes(write):
    data = read_coco(write({**CONTENT, "annotations": []}), "images")
    assert [r.boxes.shape for r in data.records] == [(0, 4), (0, 4)]
    assert data.class_names == ["dog", "cat"]


@pytest.mark.parametrize("name", ENTRIES | FILES)
def test_each_defect_gives_its_message(name):
    path = str(DATA / f"{name}.json")
    with pytest.raises(InputError) as caught:
        read_coco(path, "images")
    message = str(caught.value)
    assert message.startswith(path)
    assert message.removeprefix(path).removeprefix(": ").startswith((ENTRIES | FILES)[name])


@pytest.mark.parametrize("name", ENTRIES)
def test_faults_are_collected_and_the_other_entries_kept(name):
    path, faults = str(DATA / f"{name}.json"), []
    data = read_coco(path, DATA.parent / "images", faults=faults)
    assert [fault.startswith(f"{path}: {ENTRIES[name]}") for fault in faults] == [True]
    (record,) = checked(data, strict=True).records
    assert record.boxes[0].tolist() == [1, 2, 11, 7]
    assert len(record.boxes) == (1 if ENTRIES[name].startswith("annotation") else 2)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_no_use_is_raised_all_the_same(name):
    with pytest.raises(InputError):
        read_coco(str(DATA / f"{name}.json"), "images", faults=[])


def test_every_specimen_has_its_message():
    assert {path.stem for path in DATA.iterdir()} == set(ENTRIES | FILES)


def test_two_categories_of_one_name_are_one_class(write):
    categories = [{"id": 9, "name": "dog"}, {"id": 2, "name": "dog"}, {"id": 5, "name": "cat"}]
    data = read_coco(write({**CONTENT, "categories": categories}), "images")
    assert data.class_names == ["dog", "cat"]
    assert data.category_ids == [2, 5]
    assert data.records[0].labels.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "segmentation",
    [
        [[1, 1, 2, 1, 2, 2]],
        [],
        None,
        {"counts": [3, 4, 5], "size": [3, 4]},
        {"counts": "04Pb0", "size": [3, 4]},
        "anything",
    ],
)
def test_segments_are_left_unread(write, segmentation):
    annotations = [{**CONTENT["annotations"][0], "segmentation": segmentation}]
    data = read_coco(write({**CONTENT, "annotations": annotations}), "images")
    assert data.records[0].boxes.tolist() == [[1, 2, 11, 7.5]]


@pytest.mark.parametrize(
    ("size", "stated"),
    [
        ({"width": 30, "height": 20}, (30, 20)),
        ({"width": "30", "height": 20.0}, (30, 20)),
        ({"width": 0, "height": 20}, None),
        ({"width": None, "height": 20}, None),
        ({"width": "wide", "height": 20}, None),
    ],
)
def test_the_stated_size(write, size, stated):
    assert read_coco(write(changed(**size)), "images").records[0].stated_size == stated


@pytest.mark.parametrize(
    "file_name",
    [
        "a.png",
        "train/a.png",
        "images/train/a.png",
        "/content/data/images/train/a.png",
        "..\\images\\train\\a.png",
        "{folder}/images/train/a.png",
    ],
)
def test_file_names_are_found_without_folders_that_are_not_there(tmp_path, write, file_name):
    folder = tmp_path / "images" / "train"
    folder.mkdir(parents=True)
    Image.new("RGB", (30, 20)).save(folder / "a.png")
    path = write(changed(file_name=file_name.format(folder=tmp_path)))
    (record,) = read_coco(path, str(folder)).records
    assert Path(record.path).samefile(folder / "a.png")
    (record,) = read_coco(write(changed(file_name="b.png")), str(folder)).records
    assert record.path == str(folder / "b.png")


@pytest.mark.parametrize(
    ("layout", "images"),
    [
        ("annotations/instances_val.json", "images/val"),
        ("annotations/instances_val.json", "val"),
        ("annotations/instances_val.json", "images"),
        ("annotations/instances_val.json", "."),
        ("val/_annotations.coco.json", "val"),
        ("instances_val.json", "images/val"),
        ("annotations/val.json", "images/val"),
        ("val.json", "images"),
    ],
)
def test_layouts(tmp_path, layout, images):
    annotations, images = tmp_path / layout, tmp_path / images
    for path in (annotations, images / "a.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
    annotations.write_text(json.dumps(changed()))
    Image.new("RGB", (30, 20)).save(images / "a.png")
    assert splits(tmp_path) == ["val"]
    for paths in (coco_paths(tmp_path, "val"), coco_paths(tmp_path), coco_paths(annotations)):
        assert [Path(path).resolve() for path in paths] == [annotations.resolve(), images.resolve()]
    assert Path(read_coco(str(annotations)).records[0].path).samefile(images / "a.png")
    assert coco_paths(tmp_path, "val", "elsewhere")[1] == "elsewhere"


def test_a_set_that_is_not_there_names_those_that_are(tmp_path):
    with pytest.raises(InputError, match=r"instances_train.json: no such file \(splits: none\)"):
        coco_paths(str(tmp_path), "train")
    (tmp_path / "annotations").mkdir()
    for name in ("train2017", "val2017"):
        (tmp_path / f"annotations/instances_{name}.json").write_text("{}")
    with pytest.raises(InputError, match=r"no such file \(splits: train2017, val2017\)"):
        coco_paths(str(tmp_path), "train")
    with pytest.raises(InputError, match=r"has the splits train2017, val2017"):
        coco_paths(str(tmp_path))


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"nowhere.json: no such file"):
        read_coco(str(tmp_path / "nowhere.json"), "images")


@pytest.mark.parametrize("images", ["images/train2017", "train2017"])
def test_generator(tmp_path, capsys, images):
    from keras_retinanet.preprocessing.coco import CocoGenerator

    (tmp_path / "annotations").mkdir()
    (tmp_path / images).mkdir(parents=True)
    Image.new("RGB", (30, 20)).save(tmp_path / images / "a.png")
    content = {**CONTENT, "images": CONTENT["images"][:1]}
    (tmp_path / "annotations/instances_train2017.json").write_text(json.dumps(content))

    generator = CocoGenerator(str(tmp_path), "train2017", group_method="none")
    assert generator.image_ids == [7]
    assert generator.image_path(0) == str(tmp_path / images / "a.png")
    assert generator.num_classes() == 2
    assert [generator.coco_label_to_label(c) for c in (2, 9)] == [0, 1]
    assert [generator.label_to_coco_label(label) for label in (0, 1)] == [2, 9]
    assert [generator.coco_label_to_name(c) for c in (2, 9)] == ["dog", "cat"]
    assert generator.load_annotations(0)["labels"].tolist() == [1, 0, 1]
    assert generator.coco.getImgIds() == [7]
    assert generator.coco is generator.coco


DIALECTS = {  # name: (annotation file, image folder), under coco_dataset
    "plain": ("coco_instances/annotations/instances_val.json", "coco_instances/images/val"),
    "mmdet": ("mmdet_coco/annotations/instances_val.json", "mmdet_coco/val"),
    "roboflow": ("coco_roboflow/val/_annotations.coco.json", "coco_roboflow/val"),
    "keypoints": (
        "coco_person_keypoints/annotations/person_keypoints_val.json",
        "coco_person_keypoints/images/val",
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects(shared, dialect):
    folder = shared / "data/fmt_datumaro/tests/assets/coco_dataset"
    annotations, images = (str(folder / part) for part in DIALECTS[dialect])
    data = checked(read_coco(annotations, images), strict=True)
    (record,) = data.records
    assert record.size == (5, 10)
    assert record.boxes.tolist() == [[0, 0, 1, 2], [0, 0, 1, 9]]
    assert record.ignore.tolist() == [False, True]
    assert [data.class_names[label] for label in record.labels] == ["a", "b"]


@pytest.mark.parametrize(
    "version", ["coco_format_v1/instances_default", "coco_format_v2/instances_v2"]
)
def test_agrees_with_pycocotools(shared, version, capsys):
    from pycocotools.coco import COCO

    folder = shared / "data/multiformat100/data/database"
    path = str(folder / f"gts/{version}.json")
    data = checked(read_coco(path, str(folder / "images")), strict=True)
    coco = COCO(path)
    assert len(data.records) == 100
    assert sum(len(record.boxes) for record in data.records) == 273
    assert data.category_ids == sorted(coco.getCatIds())
    for record in data.records:
        annotations = coco.loadAnns(coco.getAnnIds(record.image_id))
        expected = np.array([annotation["bbox"] for annotation in annotations])
        expected[:, 2:] += expected[:, :2]
        np.testing.assert_allclose(record.boxes, expected)
        names = [coco.cats[annotation["category_id"]]["name"] for annotation in annotations]
        assert [data.class_names[label] for label in record.labels] == names
        image = coco.imgs[record.image_id]
        assert record.size == (image["width"], image["height"])
