import json
import os

import numpy as np
import pytest
from pycocotools.coco import COCO

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import checked, make_record
from keras_retinanet.preprocessing.writers.content import decimals, plain

CSV = {
    "train.csv": "images/train/full.png,10,5,20.5,15,dog\nimages/train/empty.jpg,,,,,\n",
    "classes.csv": "cat,0\ndog,1\n",
}
KITTI = {
    "training/label_2/full.txt": "dog -1 -1 -10 10 5 20.5 15 -1 -1 -1 -1000 -1000 -1000 -10\n"
    "DontCare -1 -1 -10 0.1 0 40 20 -1 -1 -1 -1000 -1000 -1000 -10\n",
    "training/label_2/empty.txt": "",
    "ImageSets/train.txt": "full\nempty\n",
}
OID = {  # 10 / 40, 20.5 / 40, 5 / 20, 15 / 20; 0.1 / 40
    "train-annotations-bbox.csv": "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,"
    "IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
    "full,xclick,/m/1,1,0.25,0.5125,0.25,0.75,-1,-1,0,-1,-1\n"
    "full,xclick,/m/0,1,0.0025,1,0,1,-1,-1,1,-1,-1\n",
    "train-images-with-rotation.csv": "ImageID,Subset,OriginalURL,OriginalLandingURL,License,"
    "AuthorProfileURL,Author,Title,OriginalSize,OriginalMD5,Thumbnail300KURL,Rotation\n"
    "full,train,,,,,,,,,,0\nempty,train,,,,,,,,,,0\n",
    "class-descriptions-boxable.csv": "/m/0,cat\n/m/1,dog\n",
}
YOLO = {  # (10 + 20.5) / 2 / 40, (5 + 15) / 2 / 20, 10.5 / 40, 10 / 20
    "data.yaml": "nc: 2\nnames:\n  0: cat\n  1: dog\ntrain: images/train\n",
    "labels/train/full.txt": "1 0.38125 0.5 0.2625 0.5\n",
    "labels/train/empty.txt": "",
}


@pytest.mark.parametrize(
    ("kind", "texts"), {"csv": CSV, "kitti": KITTI, "oid": OID, "yolo": YOLO}.items()
)
def test_the_text_that_is_written(kind, texts, data, source, tmp_path, write, files_in, place):
    write(kind, data, tmp_path / "out")
    pictures = {
        f"{place[kind]}/{name}": (source / name).read_bytes() for name in os.listdir(source)
    }
    expected = {path: text.encode() for path, text in texts.items()} | pictures
    assert files_in(tmp_path / "out") == expected


def test_the_xml_of_pascal(data, tmp_path, write):
    write("pascal", data, tmp_path)
    assert (tmp_path / "ImageSets/Main/train.txt").read_text() == "full\nempty\n"
    text = (tmp_path / "Annotations/full.xml").read_text()
    first, second = text.split("<object>")[1:]
    assert "<filename>full.png</filename>" in text
    assert "".join(text.split()).count("<width>40</width><height>20</height>") == 1
    assert "<name>dog</name>" in first
    assert "<difficult>0</difficult>" in first
    corners = "<xmin>11</xmin><ymin>6</ymin><xmax>21.5</xmax><ymax>16</ymax>"  # counted from 1
    assert f"<bndbox>{corners}</bndbox>" in "".join(first.split())
    assert "<difficult>1</difficult>" in second
    assert "<object>" not in (tmp_path / "Annotations/empty.xml").read_text()


def test_the_json_of_coco_is_one_that_pycocotools_reads(data, tmp_path, capsys, write):
    data.records[0].area[0] = 77.7
    write("coco", data, tmp_path, "val")
    coco = COCO(tmp_path / "annotations/instances_val.json")
    assert coco.loadImgs([1, 2]) == [
        {"id": 1, "file_name": "full.png", "width": 40, "height": 20},
        {"id": 2, "file_name": "empty.jpg", "width": 40, "height": 20},
    ]
    first, second = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    box = {"bbox": [10, 5, 10.5, 10], "area": 77.7}
    assert first == {"id": 1, "image_id": 1, "category_id": 2, "iscrowd": 0, **box}
    assert second["bbox"] == [0.1, 0, 39.9, 20]
    assert (second["id"], second["iscrowd"]) == (2, 1)
    assert coco.getAnnIds(imgIds=[2]) == []


def test_coco_keeps_the_ids_of_coco(source, tmp_path, write, dataset):
    records = [make_record(source / "full.png", 7), make_record(source / "empty.jpg", 3)]
    write("coco", checked(dataset(*records, ids=(18, 90)), need_boxes=False), tmp_path)
    content = json.loads((tmp_path / "annotations/instances_train.json").read_text())
    assert [image["id"] for image in content["images"]] == [7, 3]
    assert content["categories"] == [{"id": 18, "name": "cat"}, {"id": 90, "name": "dog"}]


def test_images_that_share_an_id_are_numbered(source, tmp_path, write, dataset):
    records = [make_record(source / name, 7, size=(40, 20)) for name in ("full.png", "empty.jpg")]
    write("coco", dataset(*records), tmp_path)
    content = json.loads((tmp_path / "annotations/instances_train.json").read_text())
    assert [image["id"] for image in content["images"]] == [1, 2]


def test_numbers_are_the_shortest_that_read_back_as_the_same_float32():
    values = np.array([[0.1, 10, 1 / 3, 1e-7], [-0.0, 1234.5, 16777216, 33.333332]], "float32")
    texts = [[plain(number) for number in row] for row in decimals(values)]
    assert texts == [
        ["0.1", "10", "0.33333334", "0.0000001"],
        ["0", "1234.5", "16777216", "33.333332"],
    ]
    np.testing.assert_array_equal(np.array(texts, "float64").astype("float32"), values)
    assert decimals(np.zeros((0, 4), "float32")) == []


def test_data_yaml_names_all_sets(data, tmp_path, write, dataset):
    for split in ("train", "val2017", "test"):
        write("yolo", data, tmp_path, split)
    assert (tmp_path / "data.yaml").read_text() == (
        "nc: 2\nnames:\n  0: cat\n  1: dog\n"
        "train: images/train\nval: images/val2017\ntest: images/test\n"
    )
    with pytest.raises(InputError, match=r"data\.yaml names a split val already"):
        write("yolo", data, tmp_path, "valid")
    write("yolo", dataset(*data.records, names=["猫", "no"]), tmp_path / "other")
    assert "names:\n  0: 猫\n  1: 'no'\n" in (tmp_path / "other/data.yaml").read_text("utf-8")
    with pytest.raises(InputError, match="known: train, val, test"):
        write("yolo", data, tmp_path, "names")
