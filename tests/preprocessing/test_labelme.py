import base64
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import checked
from keras_retinanet.preprocessing.readers import read_labelme
from keras_retinanet.utils.image import read_image_rgb

DATA = Path(__file__).parents[1] / "data" / "labelme"
SHAPES = {  # a file of tests/data/labelme with one bad shape: what it gives
    "shape_without_label": "shape 2: label must be text",
    "text_as_shape": "shape 2: label must be text",
    "no_points": "shape 2: expected points [x, y], got []",
    "short_point": "shape 2: expected points [x, y], got [[1, 2], [3]]",
    "malformed_number": "shape 2: malformed y: 'low' is not a number",
    "too_large": "shape 2: malformed y: 1e+300 is too large",
    "endless_integer": "shape 2: malformed y: 1000000",
    "unknown_class": "shape 2: unknown class name: 'dgo' (classes: dog, cat)",
}
FILES = {  # a file of no use
    "malformed": "line 2, column 1: malformed JSON: Expecting value",
    "no_list_of_shapes": "expected an object with a list of 'shapes'",
    "no_image_path": "imagePath is missing",
    "broken_image_data": "malformed imageData: ",
}


def shape(kind, points, label="dog", **more):
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, **more}


@pytest.fixture
def write(tmp_path):
    """Writes a file of shapes, and its image of 60 x 40 px."""

    def write(*shapes, name="a", picture="{name}.png", **more):
        content = {"version": "5.4.1", "flags": {}, "shapes": shapes}
        content |= {"imagePath": picture.format(name=name), "imageData": None, **more}
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
        Image.new("RGB", (60, 40)).save(tmp_path / f"{name}.png")
        return str(tmp_path)

    return write


@pytest.mark.parametrize(
    ("kind", "points", "box"),
    [
        ("rectangle", [[1, 2], [11, 22]], [1, 2, 11, 22]),
        ("rectangle", [[11, 2.5], [1, 22]], [1, 2.5, 11, 22]),  # drawn from the right to the left
        ("polygon", [[5, 1], [9, 7], [2, 4]], [2, 1, 9, 7]),
        ("circle", [[20, 20], [23, 24]], [15, 15, 25, 25]),  # radius 5, of 3 and 4
        ("line", [[9, 7], [2, 1]], [2, 1, 9, 7]),
        ("linestrip", [[1, 1], [2, 9], [3, 3]], [1, 1, 3, 9]),
        ("point", [[4, 5]], [4, 5, 4, 5]),
        ("points", [[4, 5], [3, 6]], [3, 5, 4, 6]),
        ("mask", [[1, 2], [11, 22]], [1, 2, 11, 22]),
        (None, [[5, 1], [9, 7], [2, 4]], [2, 1, 9, 7]),
    ],
)
def test_the_box_around_a_shape(write, kind, points, box):
    (record,) = read_labelme(write(shape(kind, points))).records
    assert record.boxes.tolist() == [box]


def test_read_labelme(write, tmp_path):
    rectangle = [[1, 2], [11, 22]]
    write(shape("rectangle", rectangle, "cat"), shape("rectangle", rectangle), group_id=1)
    write(name="sub/b", picture="..\\sub\\b.png", imageWidth=60, imageHeight=40)
    (tmp_path / "a.txt").write_text("of something else")
    data = read_labelme(str(tmp_path))
    a, b = data.records
    assert data.class_names == ["cat", "dog"]
    assert data.category_ids == [1, 2]
    assert [a.image_id, b.image_id] == ["a", "sub/b"]
    assert a.path == str(tmp_path / "a.png")
    assert Path(b.path).samefile(tmp_path / "sub/b.png")
    assert a.labels.tolist() == [0, 1]
    assert b.boxes.shape == (0, 4)
    assert (a.stated_size, b.stated_size) == (None, (60, 40))
    assert f"{a.origin} {a.entries[1]}" == f"{tmp_path}/a.json: shape 2"
    (alone,) = read_labelme(tmp_path / "a.json", ["dog", "cat"]).records
    assert alone.image_id == "a"
    assert alone.labels.tolist() == [1, 0]


def test_pictures_elsewhere(write, tmp_path):
    folder = write(shape("point", [[1, 2]]), picture="/home/me/pictures/a.png")
    (tmp_path / "apart").mkdir()
    shutil.move(tmp_path / "a.png", tmp_path / "apart/a.png")
    (record,) = read_labelme(folder, images_dir=str(tmp_path / "apart")).records
    assert record.path == str(tmp_path / "apart/a.png")
    (record,) = read_labelme(folder).records
    assert not Path(record.path).exists()


def test_the_picture_in_the_file_stands_in_for_a_missing_one(write, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (4, 6, 3), "uint8")
    Image.fromarray(pixels).save(tmp_path / "packed.png")
    packed = base64.b64encode((tmp_path / "packed.png").read_bytes()).decode()
    folder = write(shape("rectangle", [[1, 1], [3, 3]]), imageData=packed)
    (record,) = read_labelme(folder).records
    assert record.path == f"{folder}/a.png"
    (tmp_path / "a.png").unlink()
    (record,) = checked(read_labelme(folder), strict=True).records
    assert record.path == f"{folder}/a.json"
    np.testing.assert_array_equal(read_image_rgb(record.path), pixels)
    assert not (tmp_path / "a.png").exists()  # the data set itself is left alone


@pytest.mark.parametrize("name", SHAPES | FILES)
def test_each_defect_gives_its_message(name):
    path = DATA / f"{name}.json"
    with pytest.raises(InputError) as caught:
        read_labelme(path, ["dog", "cat"])
    assert str(caught.value).startswith(f"{path}: {(SHAPES | FILES)[name]}")


def test_faults_are_collected_and_the_rest_kept():
    faults = []
    data = read_labelme(DATA, ["dog", "cat"], str(DATA.parent / "images"), faults)
    messages = {**SHAPES, **FILES}
    expected = [f"{DATA / name}.json: {messages[name]}" for name in sorted(messages)]
    # an unknown class is seen last, when all files are read
    expected.append(expected.pop(sorted(messages).index("unknown_class")))
    assert [fault.startswith(text) for fault, text in zip(faults, expected, strict=True)] == [
        True
    ] * len(expected)
    assert [record.image_id for record in data.records] == sorted(SHAPES)
    assert all(record.boxes.tolist() == [[1, 2, 11, 22]] for record in data.records)
    assert len(checked(data, strict=True).records) == len(SHAPES)


@pytest.mark.parametrize("name", FILES)
def test_a_single_file_of_no_use(name):
    path = DATA / f"{name}.json"
    if name == "broken_image_data":  # its boxes are sound, so the file is, and the image a fault
        faults = []
        assert read_labelme(path, faults=faults).records == []
        assert len(faults) == 1
        return
    with pytest.raises(InputError) as caught:
        read_labelme(path, faults=[])
    assert str(caught.value).startswith(f"{path}: {FILES[name]}")


def test_an_image_whose_shapes_are_all_faults_is_left_out(write):
    good, bad = shape("point", [[1, 2]]), shape("point", [["x", 2]])
    write(bad, name="a")
    write(bad, good, name="b")
    write(name="c")
    write(shape("point", [[1, 2]], "cow"), name="d")
    faults = []
    data = read_labelme(write(good, name="e"), ["dog"], faults=faults)
    assert [record.image_id for record in data.records] == ["b", "c", "e"]
    assert len(faults) == 3


def test_every_specimen_has_its_message():
    assert {path.stem for path in DATA.iterdir()} == set(SHAPES | FILES)


def test_a_folder_without_json_files(tmp_path):
    with pytest.raises(InputError, match=r"holds no labelme JSON files"):
        read_labelme(tmp_path)
