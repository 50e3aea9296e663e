import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import checked
from keras_retinanet.preprocessing.readers import READERS, SPLITS
from keras_retinanet.preprocessing.readers.coco import coco_paths
from keras_retinanet.preprocessing.readers.recognise import kind_of

COCO = '{"info": {}, "images": [], "annotations": [], "categories": []}'
LABELME = '{"version": "5.4.1", "flags": {}, "shapes": [], "imagePath": "a.png"}'
VOC, CVAT = "<annotation></annotation>", '<?xml version="1.0"?>\n<annotations/>'
KITTI, YOLO = "Car 0 0 0 1 2 3 4 0 0 0 0 0 0 0\n", "0 0.5 0.5 0.1 0.1\n"
OID = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n"
NAMES = "train: images\nnames: [cat]\n"


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("csv", {"data.csv": "a.png,1,2,3,4,dog\n"}),
        ("csv", {"data.csv": "filename,width,height,class,xmin,ymin,xmax,ymax\n"}),
        ("oid", {"boxes.csv": OID}),
        ("oid", {"boxes.csv": f"\ufeff{OID}"}),
        ("coco", {"train.json": COCO}),
        ("coco", {"train.json": '{"annotations": [' + "0," * 100_000 + '0], "categories": []}'}),
        ("labelme", {"a.json": LABELME}),
        ("labelme", {"a.json": '{"imageData": "' + "A" * 100_000 + '", "shapes": []}'}),
        ("pascal", {"a.xml": VOC}),
        ("cvat", {"a.xml": CVAT}),
        ("yolo", {"data.yaml": NAMES}),
        ("yolo", {"any.yml": "a mistake for the reader to tell of"}),
        ("yolo", {"obj.data": "names = obj.names\n"}),
    ],
)
def test_files(tmp_path, kind, files):
    ((name, text),) = files.items()
    (tmp_path / name).write_text(text)
    assert kind_of(tmp_path / name) == kind


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("coco", {"annotations/instances_train.json": COCO, "images/train/a.jpg": ""}),
        ("coco", {"train/_annotations.coco.json": COCO, "train/a.jpg": ""}),
        ("coco", {"train.json": COCO, "dataset_meta.json": "{}"}),
        ("labelme", {"a.json": LABELME, "a.png": ""}),
        ("labelme", {"train/a.json": LABELME}),
        ("pascal", {"Annotations/a.xml": VOC, "ImageSets/Main/train.txt": "a"}),
        ("pascal", {"VOC2007/Annotations/a.xml": VOC}),
        ("pascal", {"a.xml": VOC, "a.jpg": ""}),
        ("pascal", {"train/a.xml": VOC, "train/a.jpg": ""}),
        ("cvat", {"annotations.xml": CVAT, "images/a.jpg": ""}),
        ("kitti", {"training/label_2/a.txt": KITTI, "ImageSets/train.txt": "a"}),
        ("kitti", {"label_2/a.txt": KITTI}),
        ("kitti", {"train/labels/a.txt": KITTI, "train/images/a.png": ""}),
        ("oid", {"train-annotations-bbox.csv": OID}),
        ("oid", {"annotations/oidv6-train-annotations-bbox.csv": OID, "hierarchy.json": "{}"}),
        ("oid", {"2018_04/train/train-annotations-bbox.csv": OID}),
        ("yolo", {"data.yaml": NAMES, "train/labels/a.txt": YOLO, "train/a.json": COCO}),
        ("yolo", {"obj.data": "classes = 1\nnames = obj.names\n"}),
        ("yolo", {"classes.txt": "cat", "images/a.png": "", "labels/a.txt": YOLO}),
        ("yolo", {"train/_darknet.labels": "cat", "train/a.txt": YOLO}),
        ("coco", {"conda.yaml": "name: x\n", "annotations/instances_val.json": COCO}),
    ],
)
def test_folders(tmp_path, kind, files):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert kind_of(tmp_path) == kind
    assert kind in READERS


def test_images_without_boxes_are_counted(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("a.jpg", "sub/b.PNG", "sub/notes.txt"):
        (tmp_path / name).write_text("text")
    with pytest.raises(
        InputError, match=r"has images \(2\) but no boxes; add a CSV file"
    ) as caught:
        kind_of(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"pass a CSV file, COCO's JSON, .* CVAT's annotations\.xml\.$"),
        ({"train.csv": "a", "val.csv": "a"}, r"Name one of its CSV files: train.csv, val\.csv\.$"),
        ({"a.json": '[{"image": "a.jpg", "annotations": []}]'}, r"annotations\.xml\.$"),  # CreateML
        ({"a.json": "{", "b.xml": "<html/>", "c.xml": "<", "d.xml": ""}, r"annotations\.xml\.$"),
    ],
)
def test_what_is_none_of_them(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for path in (tmp_path, *(tmp_path / name for name in files if not name.endswith(".csv"))):
        with pytest.raises(InputError, match="pass a CSV file") as caught:
            kind_of(path)
        assert str(caught.value).startswith(f"{path}: ")
    with pytest.raises(InputError, match=message):
        kind_of(tmp_path)
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        kind_of(tmp_path / "nowhere")


def test_a_folder_of_many_files_is_looked_at_once(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    for i in range(2000):
        (tmp_path / f"images/{i}.jpg").touch()
        (tmp_path / f"{i}.json").write_text("{}")
    opened = []
    monkeypatch.setattr(
        "keras_retinanet.preprocessing.readers.recognise.open_file",
        lambda path: opened.append(path) or io.BytesIO(),
    )
    with pytest.raises(InputError):
        kind_of(tmp_path)
    assert len(opened) <= 20


def boxes_of(data):
    """[(image, class name, box)] in an order that rounding does not change."""
    rows = [
        (Path(record.path).name, data.class_names[label], box.tolist())
        for record in data.records
        for box, label in zip(record.boxes, record.labels, strict=True)
    ]
    return sorted(rows, key=lambda row: (row[:2], [round(value) for value in row[2]]))


# One set of annotations in seven formats. The numbers are those of Pascal VOC in all of them,
# without the 1 that VOC counts from, so that nothing is subtracted here. COCO, CVAT and both kinds
# of VOC files have them whole. Open Images has ten digits, so what is left is float32's own 3e-5
# at 500 px. YOLO has six: a corner is off by up to 0.75e-6 (0.5e-6 of the centre, half of that of
# the side) of 500 px.
FORMATS = {
    "pascalvoc_format": ("pascal", {"one_based": False}, 0),
    "imagenet_format": ("pascal", {"one_based": False}, 0),
    "coco_format_v1/instances_default.json": ("coco", {}, 0),
    "coco_format_v2/instances_v2.json": ("coco", {}, 0),
    "cvat_format": ("cvat", {}, 0),
    "openimages_format/all_bounding_boxes.csv": ("oid", {}, 1e-4),
    "yolo_format": ("yolo", {}, 0.75e-6 * 500 + 3e-5),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_boxes(shared, name):
    kind, options, atol = FORMATS[name]
    folder = shared / "data/multiformat100/data/database"
    path, images_dir = str(folder / "gts" / name), str(folder / "images")
    assert kind_of(path) == kind
    data = checked(READERS[kind](path, images_dir=images_dir, **options), strict=True)
    assert len(data.records) == 100
    assert all(record.stated_size in (None, record.size) for record in data.records)
    rows = boxes_of(data)
    content = json.loads((folder / "gts/coco_format_v2/instances_v2.json").read_text())
    pictures = {image["id"]: image["file_name"] for image in content["images"]}
    names = {category["id"]: category["name"] for category in content["categories"]}
    expected = []
    for entry in content["annotations"]:
        x, y, width, height = entry["bbox"]
        box = [x, y, x + width, y + height]
        expected.append((pictures[entry["image_id"]], names[entry["category_id"]], box))
    expected.sort(key=lambda row: (row[:2], [round(value) for value in row[2]]))
    assert len(rows) == 273
    assert [row[:2] for row in rows] == [row[:2] for row in expected]
    boxes = [row[2] for row in rows]
    np.testing.assert_allclose(boxes, [row[2] for row in expected], rtol=0, atol=atol)


FIXTURES = {  # of fmt_datumaro: (kind, images, boxes) in all sets together
    "coco_dataset/coco_instances": ("coco", 2, 3),
    "coco_dataset/coco_roboflow": ("coco", 2, 3),
    "coco_dataset/mmdet_coco": ("coco", 2, 3),
    "roboflow_dataset/coco": ("coco", 3, 4),
    "roboflow_dataset/voc": ("pascal", 3, 4),
    "roboflow_dataset/yolo": ("yolo", 3, 4),
    "yolo_dataset/strict": ("yolo", 1, 2),
    "yolo_dataset/labels": ("yolo", 2, 4),
    "yolo_dataset/annotations": ("yolo", 1, 2),
    "kitti_dataset/kitti_detection": ("kitti", 2, 5),
    "open_images_dataset/v6": ("oid", 3, 2),
}


@pytest.mark.parametrize("name", FIXTURES)
def test_fixtures_of_others(shared, name):
    path = str(shared / "data/fmt_datumaro/tests/assets" / name)
    kind, images, boxes = FIXTURES[name]
    assert kind_of(path) == kind
    records = []
    for split in SPLITS[kind](path) or [None]:
        if kind == "coco":
            data = READERS[kind](*coco_paths(path, split))
        else:
            options = {"one_based": False} if kind == "pascal" else {}  # Roboflow counts from 0
            data = READERS[kind](path, split, **options)
        records += checked(data, need_boxes=False).records
    assert len(records) == images
    assert sum(len(record.boxes) for record in records) == boxes


@pytest.fixture
def closed(monkeypatch):
    """Closes folders, which the file system does not do to root."""

    def close(*folders):
        scandir = os.scandir

        def denying(path="."):
            if str(path) in map(str, folders):
                raise PermissionError(13, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", denying)

    return close


def test_a_closed_folder(tmp_path, closed):
    closed(tmp_path)
    for look in (kind_of, *SPLITS.values()):
        with pytest.raises(InputError) as caught:
            look(str(tmp_path))
        assert str(caught.value) == f"{tmp_path}: Permission denied."
    for kind in READERS.keys() - {"csv", "coco"}:  # which read a file
        with pytest.raises(InputError, match=f"^{tmp_path}: Permission denied.$"):
            READERS[kind](str(tmp_path))


def test_a_closed_inner_folder(tmp_path, closed):
    for name in ("Annotations", "lost+found"):
        (tmp_path / name).mkdir()
    closed(tmp_path / "Annotations", tmp_path / "lost+found")
    for look in (kind_of, READERS["pascal"]):
        with pytest.raises(InputError, match=f"^{tmp_path}/Annotations: Permission denied.$"):
            look(str(tmp_path))


def test_a_disk_has_folders_that_are_closed(tmp_path, closed):
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "train.json").write_text(COCO)
    closed(tmp_path / "lost+found")
    assert kind_of(tmp_path) == "coco"


@pytest.mark.parametrize("text", ["", "train: images\n"])
@pytest.mark.parametrize("name", ["data.yaml", "obj.data"])
def test_a_yolo_file_without_names_is_known_by_its_own(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    for path in (tmp_path, tmp_path / name):
        assert kind_of(path) == "yolo"
        with pytest.raises(InputError, match=f"{name} lacks "):
            READERS["yolo"](path)
