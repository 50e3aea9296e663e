import json

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.coco import CocoGenerator, read_coco
from keras_retinanet.preprocessing.dataset import checked

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


def changed(kind, position, **values):
    """CONTENT with the values of one entry changed; None removes a key."""
    content = json.loads(json.dumps(CONTENT))
    entry = {**content[kind][position], **values}
    content[kind][position] = {key: value for key, value in entry.items() if value is not None}
    return content


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


def test_a_file_without_boxes(write):
    data = read_coco(write({**CONTENT, "annotations": []}), "images")
    assert [r.boxes.shape for r in data.records] == [(0, 4), (0, 4)]
    assert data.class_names == ["dog", "cat"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"images": [],\n "annotations": [}', r"line 2, column 18: malformed JSON: Expecting"),
        ("", r"line 1, column 1: malformed JSON"),
        ([], r"expected an object with a list of 'images'"),
        ({"images": []}, r"expected an object with a list of 'categories'"),
        ({**CONTENT, "annotations": None}, r"a list of 'annotations'"),
        ({**CONTENT, "images": []}, r"instances.json holds no images"),
        ({**CONTENT, "images": ["a.png"]}, r"images, entry #0: .* Missing: id, file_name"),
        (changed("annotations", 1, bbox=None), r"annotations, entry 2: .* Missing: bbox"),
        (changed("annotations", 1, id=None, bbox=None), r"annotations, entry #1: .*"),
        (changed("images", 0, file_name=None), r"images, entry 7: .* Missing: file_name"),
        (changed("categories", 0, name=None), r"categories, entry 9: .* Missing: name"),
        (changed("categories", 0, id="9"), r"category: expected an integer as id. Received: '9'"),
        (changed("categories", 0, id=2), r"category 2: stands there twice"),
        (changed("images", 0, id=3), r"image 3: stands there twice"),
        (changed("images", 0, id=[3]), r"image: expected an integer as id"),
        (
            changed("annotations", 1, category_id=5),
            r"annotation 2: unknown category_id: 5 \(known: 2, 9\)",
        ),
        (changed("annotations", 2, image_id=1), r"annotation 4: unknown image_id: 1"),
        (changed("annotations", 2, image_id={}), r"annotation 4: unknown image_id: {}"),
        (changed("annotations", 0, bbox=[1, 2, 3]), r"annotation 1: expected a bbox of 4 numbers"),
        (changed("annotations", 0, bbox=7), r"annotation 1: expected a bbox"),
        (changed("annotations", 0, bbox=[1, 2, 3, "x"]), r"annotation 1: expected a bbox"),
        (changed("annotations", 0, bbox=[1, 2, float("nan"), 3]), r"annotation 1: expected a bbox"),
        (changed("annotations", 0, area="large"), r"annotation 1: .* area=large"),
    ],
)
def test_errors_name_file_and_entry(write, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read_coco(write(content), "images")
    assert "instances.json" in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"nowhere.json: no such file"):
        read_coco(str(tmp_path / "nowhere.json"), "images")


@pytest.mark.parametrize("images", ["images/train2017", "train2017"])
def test_generator(tmp_path, capsys, images):
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
