import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import checked
from keras_retinanet.preprocessing.readers.open_images import read_open_images
from keras_retinanet.preprocessing.readers.open_images_files import splits

DATA = Path(__file__).parents[1] / "data" / "oid"
ROWS = {  # a file of tests/data/oid with one bad row: what it gives
    "unknown_label": "line 3: unknown LabelName: '/m/9'",
    "label_like_another": "line 3: unknown LabelName: 'Dgo' (nearest: Dog)",
    "no_label": "line 3: unknown LabelName: ''",
    "no_image_id": "line 3: the ImageID is missing",
    "malformed_number": "line 3: malformed XMin: 'left' is not a number",
    "pixels_for_shares": "line 3: expected shares of the image, 0 to 1, got 0.25, 10.0, 150.0",
    "short_row": "line 3: malformed YMin: '' is not a number",
}
FILES = {  # a file of no use
    "header_without_column": "line 1: the header lacks YMax",
    "empty": "line 1: the header lacks ImageID, LabelName, XMin, YMin, XMax, YMax",
    "header_alone": " holds no boxes",
    "not_utf8": "line 3 is not UTF-8",
    "classes/few_columns": "/class-descriptions.csv: line 2: format should be 'code,class name'",
}
HEAD = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf\n"
CLASSES = "/m/0,Animal\n/m/1,Cat\n/m/2,Dog\n/m/3,Car\n"
TREE = {
    "LabelName": "/m/root",
    "Subcategory": [
        {"LabelName": "/m/0", "Subcategory": [{"LabelName": "/m/2"}, {"LabelName": "/m/1"}]},
        {"LabelName": "/m/3", "Part": [{"LabelName": "/m/1"}]},
    ],
}
IMAGES = "ImageID,Subset,Rotation\n"


def row(image_id, code, box="0.25,0.5,0.1,0.9", group=0):
    return f"{image_id},xclick,{code},1,{box},0,0,{group}\n"


@pytest.fixture
def write(tmp_path):
    """Writes files {path: text}, and images of 60 x 40 px in images/train."""

    def write(texts, pictures=("a", "b"), images="images/train", suffix=".jpg"):
        (tmp_path / images).mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        for name in pictures:
            Image.new("RGB", (60, 40)).save(tmp_path / images / f"{name}{suffix}")
        return str(tmp_path)

    return write


BOXES = (
    HEAD + row("a", "/m/2") + row("b", "/m/1", "0,1,0,1", 1) + row("a", "/m/3", "0,0.5,0,0.5", -1)
)
FOLDER = {
    "train-annotations-bbox.csv": BOXES,
    "class-descriptions-boxable.csv": CLASSES,
    "bbox_labels_600_hierarchy.json": json.dumps(TREE),
}


def test_an_image_whose_rows_are_all_faults_is_left_out(write):
    boxes = HEAD + row("a", "/m/2", "0.25,1e39,0.1,0.9") + row("b", "/m/9") + row("b", "/m/1")
    listing = {"train-images-with-rotation.csv": IMAGES + "a,train,0\nb,train,0\nc,train,0\n"}
    faults, folder = [], write({**FOLDER, **listing, "train-annotations-bbox.csv": boxes}, "abc")
    data = read_open_images(folder, faults=faults)
    assert [record.image_id for record in data.records] == ["b", "c"]
    assert "line 2: malformed XMax: '1e39' is too large" in faults[0]
    assert len(faults) == 2


def test_read_open_images(write, tmp_path):
    data = read_open_images(write(FOLDER), "train")
    assert data.class_names == ["Animal", "Cat", "Dog", "Car"]
    assert data.category_ids == [1, 2, 3, 4]
    a, b = data.records
    assert (a.image_id, a.path) == ("a", str(tmp_path / "images/train/a.jpg"))
    assert a.size == b.size == (60, 40)
    assert a.stated_size is None
    # x 0.25, 0.5 of 60 px; y 0.1, 0.9 of 40 px
    np.testing.assert_allclose(a.boxes, [[15, 4, 30, 36], [0, 0, 30, 20]], rtol=1e-6)
    assert a.labels.tolist() == [2, 3]
    assert a.ignore.tolist() == [False, False]  # -1 is for unknown
    assert b.ignore.tolist() == [True]
    place = f"{a.origin} {a.entries[1]}"
    assert place == f"{tmp_path / 'train-annotations-bbox.csv'}: line 4"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(checked(data, strict=True).records) == 2


def test_shares_are_of_the_upright_picture(write, tmp_path):
    folder = write(FOLDER)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 40)).save(tmp_path / "images/train/a.jpg", exif=exif)
    a, _ = checked(read_open_images(folder, "train")).records
    assert a.size == (40, 60)
    np.testing.assert_allclose(a.boxes[0], [10, 6, 20, 54], rtol=1e-6)


def test_a_missing_picture_is_for_the_check_to_name(write, tmp_path):
    folder = write(FOLDER, pictures=["a"])
    (tmp_path / "images/train/b.png").write_text("no picture")
    rows = BOXES + row("c", "/m/1")
    folder = write({"train-annotations-bbox.csv": rows}, pictures=[])
    _, b, c = read_open_images(folder, "train").records
    assert (b.size, c.size) == (None, None)
    assert b.boxes.shape == c.boxes.shape == (0, 4)
    assert c.path == str(tmp_path / "images/train/c.jpg")
    with pytest.warns(UserWarning, match=r"Dropped 2 of 3 images .*b.png: not an image"):
        checked(read_open_images(folder, "train"))


@pytest.mark.parametrize("name", ROWS | FILES)
def test_each_defect_gives_its_message(name):
    path = DATA / f"{name}.csv"
    with pytest.raises(InputError) as caught:
        read_open_images(str(path), images_dir=str(DATA.parent / "images"))
    folder = path.parent if name.startswith("classes") else path
    message = str(caught.value)
    assert message.startswith(str(folder))
    assert message.removeprefix(str(folder)).removeprefix(": ").startswith((ROWS | FILES)[name])


@pytest.mark.parametrize("name", ROWS)
def test_faults_are_collected_and_the_other_rows_kept(name):
    path, faults = str(DATA / f"{name}.csv"), []
    data = read_open_images(path, images_dir=str(DATA.parent / "images"), faults=faults)
    assert [fault.startswith(f"{path}: {ROWS[name]}") for fault in faults] == [True]
    (record,) = data.records
    np.testing.assert_allclose(record.boxes, [[15, 4, 30, 36]], rtol=1e-6)  # of 60 x 40 px


def test_a_hierarchy_that_is_none():
    path = DATA / "hierarchy"
    with pytest.raises(InputError, match=r"hierarchy.json: expected objects with LabelName and"):
        read_open_images(str(path / "no_tree.csv"), parent_label="Dog")


def test_every_specimen_has_its_message():
    names = {str(path.relative_to(DATA).with_suffix("")) for path in DATA.rglob("*.csv")}
    descriptions = {"class-descriptions-boxable", "classes/class-descriptions"}
    tree = {"hierarchy/class-descriptions", "hierarchy/no_tree"}
    assert names == {*ROWS, *FILES, *descriptions, *tree}


@pytest.mark.parametrize(
    ("options", "names", "images"),
    [
        ({"labels_filter": ["Dog"]}, ["Dog"], {"a": [0]}),
        ({"labels_filter": ["Cat", "Dog"]}, ["Cat", "Dog"], {"a": [1], "b": [0]}),
        ({"parent_label": "Animal"}, ["Animal", "Dog", "Cat"], {"a": [1], "b": [2]}),
        ({"parent_label": "Car"}, ["Car"], {"a": [0]}),  # parts are no kinds
        ({"parent_label": "Dog"}, ["Dog"], {"a": [0]}),
        ({"parent_label": "/m/root"}, ["Animal", "Dog", "Cat", "Car"], {"a": [1, 3], "b": [2]}),
        ({"parent_label": "Animal", "labels_filter": ["Car", "Cat"]}, ["Cat"], {"b": [0]}),
    ],
)
def test_filters(write, options, names, images):
    texts = {**FOLDER, "train-images-boxable-with-rotation.csv": IMAGES + "a,train,0\nb,train,0\n"}
    data = read_open_images(write(texts), "train", **options)
    assert data.class_names == names
    assert {record.image_id: record.labels.tolist() for record in data.records} == images


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels_filter": ["dogs"]}, r"boxable.csv: unknown class name: 'dogs' \(nearest: Dog"),
        ({"parent_label": "animals"}, r"hierarchy.json: unknown parent label: 'animals' .*Animal"),
        ({"labels_filter": ["Animal"]}, r"-bbox.csv holds no boxes of the classes Animal"),
    ],
)
def test_filters_that_leave_nothing(write, options, message):
    with pytest.raises(InputError, match=message):
        read_open_images(write(FOLDER), "train", **options)


def test_a_parent_needs_a_hierarchy(write, tmp_path):
    folder = write(FOLDER)
    (tmp_path / "bbox_labels_600_hierarchy.json").unlink()
    with pytest.raises(InputError, match=r"needs bbox_labels_600_hierarchy.json"):
        read_open_images(folder, "train", parent_label="Animal")


LISTED = IMAGES + "c,train,0\na,train,\nd,validation,0\nd,train,0\n"


@pytest.mark.parametrize(
    "name",
    [
        "train-images-boxable-with-rotation.csv",
        "train-images-with-rotation.csv",
        "metadata/oidv6-train-images-with-labels-with-rotation.csv",
        "image_ids_and_rotation.csv",
    ],
)
def test_the_images_are_those_of_the_list(write, name):
    """Also those without boxes whose image is there; and any that has a box."""
    data = read_open_images(write({**FOLDER, name: LISTED}, ("a", "b", "c")), "train")
    counts = {record.image_id: len(record.boxes) for record in data.records}
    assert counts == {"c": 0, "a": 2, "b": 1}
    assert [record.size for record in data.records] == [(60, 40)] * 3


def test_a_list_for_boxes_goes_before_others(write):
    lists = {
        "train-images-boxable-with-rotation.csv": IMAGES + "a,train,0\n",
        "train-images-with-labels-with-rotation.csv": IMAGES + "c,train,0\n",
        "validation-images-with-rotation.csv": IMAGES + "c,validation,0\n",
    }
    data = read_open_images(write({**FOLDER, **lists}, ("a", "b", "c")), "train")
    assert [record.image_id for record in data.records] == ["a", "b"]


@pytest.mark.parametrize(
    "folder", ["", "annotations/", "metadata/", "csv/", "2018_04/", "2018_04/train/"]
)
@pytest.mark.parametrize("prefix", ["", "oidv6-", "oidv7-", "challenge-2018-"])
def test_places_of_the_files(write, folder, prefix):
    texts = {f"{folder}{prefix}train-annotations-bbox.csv": BOXES}
    texts[f"{folder.removesuffix('train/')}{prefix}class-descriptions-boxable.csv"] = CLASSES
    path = write(texts, suffix=".png")
    assert splits(path) == ["train"]
    data = read_open_images(path)
    assert [record.labels.tolist() for record in data.records] == [[2, 3], [1]]


def test_the_challenge_of_2019(write):
    head = "ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\n"
    texts = {
        "challenge-2019-validation-detection-bbox.csv": head + "a,/m/2,0,1,0,1,1\n",
        "challenge-2019-classes-description-500.csv": CLASSES,
    }
    data = read_open_images(write(texts, images="validation"), "validation")
    assert data.records[0].boxes.tolist() == [[0, 0, 60, 40]]
    assert data.records[0].ignore.tolist() == [True]


def test_the_layout_of_fiftyone(write, tmp_path):
    texts = {
        "train/labels/detections.csv": BOXES,
        "train/metadata/classes.csv": CLASSES,
        "train/metadata/hierarchy.json": json.dumps(TREE),
    }
    path = write(texts, images="train/data")
    assert splits(path) == ["train"]
    data = read_open_images(path, parent_label="Animal")
    assert data.class_names == ["Animal", "Dog", "Cat"]
    assert data.records[0].path == str(tmp_path / "train/data/a.jpg")


def test_the_version_chooses_between_files(write):
    texts = {
        "train-annotations-bbox.csv": HEAD + row("a", "/m/0"),
        "oidv6-train-annotations-bbox.csv": HEAD + row("a", "/m/1"),
        "challenge-2018-train-annotations-bbox.csv": HEAD + row("a", "/m/2"),
        "2017_11/train/train-annotations-bbox.csv": HEAD + row("a", "/m/3"),
    }
    path = write(texts)
    chosen = {None: "/m/0", "v4": "/m/0", "v6": "/m/1", "challenge2018": "/m/2", "v3": "/m/3"}
    for version, name in chosen.items():
        assert read_open_images(path, "train", version).class_names == [name]


@pytest.mark.parametrize("header", ["", "LabelName,DisplayName\n"])
def test_a_long_list_of_classes_is_cut_to_those_seen(write, header):
    many = "".join(f"/m/x{i},Thing {i}\n" for i in range(1001))
    texts = {**FOLDER, "oidv6-class-descriptions.csv": header + many + CLASSES}
    del texts["class-descriptions-boxable.csv"]
    data = read_open_images(write(texts), "train")
    assert data.class_names == ["Cat", "Dog", "Car"]
    assert data.records[0].labels.tolist() == [1, 2]


def test_names_for_codes_suffixes_and_decimal_commas(write, tmp_path):
    text = HEAD + 'b.JPG,,Dog,,"0,25","0,5","0,1","0,9",,,\na.jpg,,Cat,,0,1,0,1,,,\n'
    path = write({"boxes.csv": text})
    data = read_open_images(f"{path}/boxes.csv", images_dir=str(tmp_path / "images/train"))
    assert data.class_names == ["Cat", "Dog"]
    assert [record.image_id for record in data.records] == ["b", "a"]
    np.testing.assert_allclose(data.records[0].boxes, [[15, 4, 30, 36]], rtol=1e-6)


def test_a_set_that_is_not_there(write, tmp_path):
    with pytest.raises(InputError, match=r"holds no SPLIT-annotations-bbox.csv"):
        read_open_images(str(tmp_path), "train")
    with pytest.raises(InputError, match=r"has no split test; known: train"):
        read_open_images(write(FOLDER), "test")


def test_generator(write):
    from keras_retinanet.preprocessing.open_images import OpenImagesGenerator

    path = write(FOLDER)
    generator = OpenImagesGenerator(path, "train", labels_filter=["Dog"], group_method="none")
    assert (generator.size(), generator.num_classes()) == (1, 1)
    assert generator.load_annotations(0)["labels"].tolist() == [0]
    generator = OpenImagesGenerator(path, "train", parent_label="Animal", annotation_cache_dir="x")
    assert generator.num_classes() == 3


def test_fixtures_of_others(shared):
    folder = str(shared / "data/fmt_datumaro/tests/assets/open_images_dataset/v6")
    assert splits(folder) == ["test", "train"]
    data = checked(read_open_images(folder, "train"), strict=True)
    a, b = data.records
    assert a.boxes.shape == (0, 4)
    # 0.2 to 1 of 8 px, 0.3 to 0.5 of 2 px
    np.testing.assert_allclose(b.boxes, [[1.6, 0.6, 8, 1]], rtol=1e-6)
    assert data.class_names == [f"Generic label #{i}" for i in range(4)]
    (c,) = checked(read_open_images(folder, "test"), need_boxes=False).records
    assert c.ignore.tolist() == [True]
    data = read_open_images(folder, "train", parent_label="Generic label #0")
    assert data.class_names == ["Generic label #0", "Generic label #1"]
