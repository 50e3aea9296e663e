import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import checked
from keras_retinanet.preprocessing.readers.yolo import read_yolo, splits

DATA = Path(__file__).parents[1] / "data" / "yolo"
FORMAT = (
    "line 2: format should be 'class x y width height', or 'class x1 y1 x2 y2 x3 y3 ...' around "
    "an object, got "
)
SHARES = "line 2: expected shares of the image, 0 to 1, got "
LINES = {  # a file of tests/data/yolo/labels with one bad line: what it gives
    "class_out_of_range": "line 2: expected a class from 0 to 1, got 2",
    "class_with_fraction": "line 2: expected a class from 0 to 1, got 0.5",
    "class_name": "line 2: malformed class: 'dog' is not a number",
    "few_fields": FORMAT + "4 fields",
    "score": FORMAT + "6 fields",
    "odd_polygon": FORMAT + "8 fields",
    "malformed_number": "line 2: malformed value: 'half' is not a number",
    "not_a_number": "line 2: malformed value: 'nan' is not a number",
    "too_large": "line 2: malformed value: '1e39' is too large",
    "pixels_for_shares": SHARES + "30",
    "negative": SHARES + "-0.1",
    "polygon_outside": SHARES + "1.2",
}
LABEL_FILES = {"not_utf8": "line 2 is not UTF-8"}
FILES = {  # a file of tests/data/yolo that is of no use
    "malformed.yaml": "malformed.yaml: line 3, column 1: malformed YAML: expected ',' or ']'",
    "no_names.yaml": "no_names.yaml lacks the key names",
    "no_mapping.yaml": "no_mapping.yaml lacks the key names",
    "other_count.yaml": "other_count.yaml states 3 classes, but has 2 names",
    "gap.yaml": "gap.yaml: names: expected the keys 0 to 1, got 0, 2",
    "text_as_names.yaml": "text_as_names.yaml: names: expected a list of class names, got '",
    "class_twice.yaml": "class_twice.yaml: names: class name twice: 'cat'",
    "class_without_name.yaml": "class_without_name.yaml: names: expected a class name, got ''",
    "missing_folder.yaml": "missing_folder.yaml: train: no such folder or file: 'pictures'",
    "folder_without_images.yaml": "folder_without_images.yaml: train holds no images",
    "empty_list.yaml": "empty_list.yaml: train holds no images",
    "no_names.data": "no_names.data lacks the row 'names = FILE'",
    "other_count.data": "other_count.data states 3 classes, but has 2 names",
    "missing_names.data": "nowhere.names: no such file",
    "empty_names.data": "empty.names holds no class names",
}
ROW = "1 0.5 0.5 0.25 0.5\n"  # on 60 x 40 px: 30 +- 7.5, 20 +- 10
BOX = [22.5, 10, 37.5, 30]


@pytest.fixture
def write(tmp_path):
    """Writes files {path: text}, and under names that end in .jpg images of 60 x 40 px."""

    def write(*pictures, **texts):
        for name in (*pictures, *texts):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        for name in pictures:
            Image.new("RGB", (60, 40)).save(tmp_path / name)
        for name, text in texts.items():
            (tmp_path / name).write_text(text)
        return str(tmp_path)

    return write


def boxes_of(data):
    return {record.image_id: record.boxes.tolist() for record in data.records}


def test_read_yolo(write, tmp_path):
    text = ROW + "\n  0\t0 0 0 0  \n" + "0 0.1 0.2 0.5 0.3 0.3 0.9\n"
    folder = write(
        *[f"images/train/{name}.jpg" for name in ("a", "b", "c", "sub/d")],
        **{
            "data.yaml": "train: images/train\nnames: [cat, dog]\n",
            "labels/train/a.txt": text,
            "labels/train/b.txt": "",
            "labels/train/sub/d.txt": ROW,
        },
    )
    for path in (folder, f"{folder}/data.yaml", tmp_path):
        data = read_yolo(path, "train")
        assert data.class_names == ["cat", "dog"]
        assert data.category_ids == [1, 2]
        a, b, c, d = data.records
        assert a.path == f"{folder}/images/train/a.jpg"
        assert (a.image_id, d.image_id) == ("images/train/a.jpg", "images/train/sub/d.jpg")
        # of 60 x 40 px; the polygon spans x 0.1 to 0.5, y 0.2 to 0.9
        np.testing.assert_allclose(a.boxes, [BOX, [0, 0, 0, 0], [6, 8, 30, 36]], rtol=1e-6)
        assert a.labels.tolist() == [1, 0, 0]
        assert b.boxes.shape == c.boxes.shape == (0, 4)
        assert d.boxes.tolist() == [BOX]
        assert a.size == (60, 40)
        assert a.stated_size is None
        assert f"{a.origin} {a.entries[2]}" == f"{folder}/labels/train/a.txt: line 4"


def test_shares_are_of_the_upright_picture(write, tmp_path):
    folder = write("a.jpg", **{"a.txt": ROW, "classes.txt": "cat\ndog\n"})
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 40)).save(tmp_path / "a.jpg", exif=exif)
    (record,) = checked(read_yolo(folder), strict=True).records
    assert record.size == (40, 60)
    assert record.boxes.tolist() == [[15, 15, 25, 45]]  # 20 +- 5, 30 +- 15


def test_a_broken_picture_is_for_the_check_to_name(write, tmp_path):
    folder = write("a.jpg", "b.jpg", **{"a.txt": ROW, "b.txt": ROW, "classes.txt": "cat\ndog\n"})
    (tmp_path / "b.jpg").write_text("no picture")
    _, b = read_yolo(folder).records
    assert b.size is None
    assert b.boxes.shape == (0, 4)
    with pytest.warns(UserWarning, match=r"Dropped 1 of 2 images .*b.jpg: not an image"):
        checked(read_yolo(folder))


@pytest.fixture
def specimen(tmp_path):
    """Copies a label file of tests/data into a new data set; gives the folder."""

    def specimen(name):
        (tmp_path / "classes.txt").write_text("cat\ndog\n")
        shutil.copy(DATA / f"labels/{name}.txt", tmp_path)
        shutil.copy(DATA.parent / "images/good.png", tmp_path / f"{name}.png")
        return str(tmp_path)

    return specimen


@pytest.mark.parametrize("name", LINES | LABEL_FILES)
def test_each_defect_gives_its_message(specimen, name):
    folder = specimen(name)
    with pytest.raises(InputError) as caught:
        read_yolo(folder)
    assert str(caught.value).startswith(f"{folder}/{name}.txt: {(LINES | LABEL_FILES)[name]}")


@pytest.mark.parametrize("name", LINES | LABEL_FILES)
def test_faults_are_collected_and_the_other_lines_kept(specimen, name):
    folder, faults = specimen(name), []
    data = read_yolo(folder, faults=faults)
    assert [
        fault.startswith(f"{folder}/{name}.txt: {(LINES | LABEL_FILES)[name]}") for fault in faults
    ] == [True]
    assert [record.boxes.tolist() for record in data.records] == [[BOX]] * (name in LINES)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_no_use_is_raised(name):
    with pytest.raises(InputError) as caught:
        read_yolo(str(DATA / name), faults=[])
    assert str(caught.value).startswith(f"{DATA}/{FILES[name]}")


def test_every_specimen_has_its_message():
    assert {path.stem for path in (DATA / "labels").iterdir()} == set(LINES | LABEL_FILES)
    parts = {"labels", "empty_list.txt", "obj.names", "empty.names"}
    assert {path.name for path in DATA.iterdir()} - parts == set(FILES)


@pytest.mark.filterwarnings("error")
def test_rounding_may_lead_out_of_the_picture_by_little(write):
    text = "0 0.5 0.5 1.000001 1.0\n"
    folder = write("a.jpg", **{"a.txt": text, "classes.txt": "cat\n"})
    assert checked(read_yolo(folder), strict=True).records[0].boxes.tolist() == [[0, 0, 60, 40]]


def test_keypoints_after_the_box_are_left_unread(write):
    yaml = "names: [cat, dog]\ntrain: images\nkpt_shape: [1, 3]\n"
    folder = write("images/a.jpg", **{"data.yaml": yaml, "labels/a.txt": f"{ROW[:-1]} 0.1 9 2\n"})
    assert boxes_of(read_yolo(folder)) == {"images/a.jpg": [BOX]}


@pytest.mark.parametrize(
    "names", ["[cat, dog]", "{0: cat, 1: dog}", "{1: dog, 0: cat}", "\n- cat\n- dog\nnc: 2"]
)
def test_ways_to_list_the_names(write, names):
    folder = write("images/a.jpg", **{"any.yml": f"train: images\nnames: {names}\n"})
    assert read_yolo(folder).class_names == ["cat", "dog"]


def test_names_that_are_no_text_in_yaml(write):
    yaml = "train: images\nnames: {0: 1, 1: no, 2: 1.5, 3: '07'}\n"
    folder = write("images/a.jpg", **{"data.yaml": yaml})
    assert read_yolo(folder).class_names == ["1", "no", "1.5", "07"]


@pytest.mark.parametrize(
    ("yaml", "image", "label"),
    [
        ("train: images/train", "images/train/a.jpg", "labels/train/a.txt"),
        ("train: ../train/images", "train/images/a.jpg", "train/labels/a.txt"),
        ("train: train/images", "train/images/a.jpg", "train/images/a.txt"),
        ("train: ./", "a.jpg", "a.txt"),
        ("train: [images/one, images/two]", "images/two/a.jpg", "labels/two/a.txt"),
        ("path: sub\ntrain: images", "sub/images/a.jpg", "sub/labels/a.txt"),
        ("path: ../datasets/mine\ntrain: images", "images/a.jpg", "labels/a.txt"),
        ("path: {folder}\ntrain: images", "images/a.jpg", "labels/a.txt"),
        ("train: /content/mine/images/train", "images/train/a.jpg", "labels/train/a.txt"),
        ("train: C:\\mine\\train\\images", "train/images/a.jpg", "train/labels/a.txt"),
        ("train: list.txt", "pictures/a.jpg", "pictures/a.txt"),
        ("train: data/list.txt", "images/a.jpg", "labels/a.txt"),
    ],
)
def test_places_of_the_pictures(write, tmp_path, yaml, image, label):
    for name in ("images/one", "images/two"):
        (tmp_path / name).mkdir(parents=True)
    text = yaml.format(folder=tmp_path) + "\nnames: [cat, dog]\n"
    for line in (f"./{image}", f"data/{image}", f"/home/me/{image}"):
        files = {"data.yaml": text, label: ROW, "list.txt": f"{line}\n\n{line}\n"}
        (record,) = read_yolo(write(image, **files), "train").records
        assert Path(record.path).samefile(tmp_path / image)
        assert record.boxes.tolist() == [BOX]


@pytest.mark.parametrize("entry", ["nowhere", "/home/me/nowhere/images", "images/trian"])
def test_a_folder_that_is_nowhere_is_not_replaced_by_another(write, entry):
    yaml = f"train: {entry}\nnames: [cat, dog]\n"
    folder = write("images/train/a.jpg", "train/images/a.jpg", **{"data.yaml": yaml})
    assert splits(folder) == []
    with pytest.raises(InputError) as caught:
        read_yolo(folder)
    message = f"{folder}/data.yaml: train: no such folder or file: '{entry}'"
    assert str(caught.value).startswith(message)


def test_paths_are_resolved(write):
    files = {"data.yaml": "train: list.txt\nnames: [cat]\n", "list.txt": "./a.jpg\nb/../a.jpg\n"}
    folder = write("a.jpg", "b/b.jpg", **files)
    assert [record.path for record in read_yolo(folder).records] == [f"{folder}/a.jpg"]


def test_an_image_whose_lines_are_all_faults_is_left_out(write):
    files = {"a.txt": "9 0.5 0.5 0.1 0.1\n", "b.txt": f"cat\n{ROW}", "c.txt": ""}
    faults = []
    folder = write("a.jpg", "b.jpg", "c.jpg", **files, **{"classes.txt": "cat\ndog\n"})
    assert list(boxes_of(read_yolo(folder, faults=faults))) == ["b.jpg", "c.jpg"]
    assert len(faults) == 2


@pytest.mark.parametrize("key", ["val", "valid"])
@pytest.mark.parametrize("asked", ["val", "valid"])
def test_val_and_valid_are_the_same(write, key, asked):
    yaml = f"train: images\n{key}: ../{asked}/images\ntest: nowhere\nnames: [cat, dog]\n"
    folder = write("images/a.jpg", "valid/images/b.jpg", **{"data.yaml": yaml})
    assert splits(folder) == ["train", key]  # the test split does not exist
    assert list(boxes_of(read_yolo(folder, asked))) == ["valid/images/b.jpg"]
    with pytest.raises(InputError, match="test: no such folder or file: 'nowhere'"):
        read_yolo(folder, "test")
    with pytest.raises(InputError, match=r"has the splits train, va"):
        read_yolo(folder)


def test_the_folder_of_all_sets_is_not_taken_for_one(write):
    yaml = "train: images/train\ntest: ../test/images\nnames: [cat, dog]\n"
    folder = write("images/train/a.jpg", **{"data.yaml": yaml})
    with pytest.raises(InputError, match="test: no such folder or file"):
        read_yolo(folder, "test")


@pytest.mark.parametrize("prefix", ["data/", "", "/home/me/darknet/data/"])
def test_darknet(write, prefix):
    files = {
        "obj.data": f"classes = 2\ntrain = {prefix}train.txt\nnames = {prefix}obj.names\nbackup=b/",
        "obj.names": "cat\ndog\n\n",
        "train.txt": f"{prefix}obj_train_data/a.jpg\n{prefix}obj_train_data/b.jpg\n",
        "obj_train_data/a.txt": ROW,
    }
    folder = write("obj_train_data/a.jpg", "obj_train_data/b.jpg", **files)
    for path in (folder, f"{folder}/obj.data"):
        data = read_yolo(path, "train")
        assert data.class_names == ["cat", "dog"]
        assert boxes_of(data) == {"obj_train_data/a.jpg": [BOX], "obj_train_data/b.jpg": []}


@pytest.mark.parametrize(
    ("image", "label", "names", "known"),
    [
        ("a.jpg", "a.txt", "classes.txt", []),
        ("images/a.jpg", "labels/a.txt", "classes.txt", []),
        ("Images/a.jpg", "Annotations/a.txt", "obj.names", []),
        ("images/train/a.jpg", "labels/train/a.txt", "names.txt", ["train"]),
        ("train/images/a.jpg", "train/labels/a.txt", "classes.txt", ["train"]),
        ("train/a.jpg", "train/a.txt", "train/_darknet.labels", ["train"]),
    ],
)
def test_folders_without_a_file_of_the_set(write, image, label, names, known):
    folder = write(image, **{label: ROW, names: "cat\ndog\n"})
    assert splits(folder) == known
    assert boxes_of(read_yolo(folder)) == {image: [BOX]}


def test_a_folder_of_something_else(write):
    with pytest.raises(InputError, match=r"lacks data.yaml, obj.data or one of obj.names, cl"):
        read_yolo(write("images/a.jpg"))


@pytest.mark.parametrize("label", ["labels/train/a.txt", "train/labels/a.txt", "labels/a.txt"])
def test_pictures_elsewhere_are_those_that_label_files_name(write, tmp_path, label):
    entry = "train/images" if label.startswith("train") else "images/train"
    yaml = f"train: {entry}\nnames: [cat, dog]\n"
    folder = write("apart/a.jpg", "apart/b.jpg", **{"data.yaml": yaml, label: ROW})
    data = read_yolo(folder, "train", images_dir=str(tmp_path / "apart"))
    assert boxes_of(data) == {"apart/a.jpg": [BOX]}


@pytest.mark.parametrize(
    ("name", "split"),
    [("strict", "train"), ("labels", "train"), ("labels", "val"), ("annotations", None)],
)
def test_fixtures_of_others(shared, name, split):
    folder = shared / "data/fmt_datumaro/tests/assets/yolo_dataset" / name
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = checked(read_yolo(folder, split), strict=True)
    (record,) = data.records
    assert record.size == (15, 10)
    # 0.133333 -+ 0.1333335 of 15 px, 0.3 -+ 0.1 of 10 px; six digits are up to 1e-5 px off
    np.testing.assert_allclose(record.boxes, [[0, 2, 4, 4], [3, 3, 5, 6]], atol=2e-5)
    assert [data.class_names[label] for label in record.labels] == ["label_2", "label_4"]


def test_roboflow(shared):
    folder = shared / "data/fmt_datumaro/tests/assets/roboflow_dataset/yolo"
    assert splits(folder) == ["train", "val"]
    data = checked(read_yolo(folder, "val"), strict=True)
    np.testing.assert_allclose(data.records[0].boxes, [[0, 0, 1, 2], [0, 0, 9, 1]], atol=1e-6)
    assert data.records[0].labels.tolist() == [0, 1]
