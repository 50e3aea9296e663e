"""Images that lie on their side, are there twice, or hold damage."""

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.doctor.checks import examine
from keras_retinanet.doctor.images import agree, check_copies
from keras_retinanet.doctor.jpeg import damages
from keras_retinanet.doctor.splits import inspect
from keras_retinanet.preprocessing.dataset import Dataset, make_record


def turned(folder, stated_size, box):
    """A data set of an image of 96 x 64 px as stored and 64 x 96 px upright, with a box."""
    exif = Image.Exif()
    exif[0x0112] = 6
    folder.draw("turned.jpg", 50, exif=exif)
    record = make_record(
        folder.path / "turned.jpg", 0, [box] * 1, [0], stated_size=stated_size, entries=[1]
    )
    return Dataset([record], ["cat"], [1])


def test_boxes_on_the_upright_picture(folder):
    split = inspect("train", turned(folder, (64, 96), (10, 70, 30, 90)), sides=None)
    assert split.sizes.tolist() == [[64, 96]]
    assert split.boxes.tolist() == [[10, 70, 30, 90]]
    assert not split.mismatched.any()


def test_boxes_on_the_picture_as_it_is_stored(folder):
    # orientation 6: turned right by a quarter, x becomes 64 - y
    split = inspect("train", turned(folder, (96, 64), (70, 10, 90, 30)), sides=None)
    assert split.sizes.tolist() == [[64, 96]]
    assert split.boxes.tolist() == [[64 - 30, 70, 64 - 10, 90]]
    assert not split.mismatched.any()


def test_a_size_that_is_neither(folder):
    split = inspect("train", turned(folder, (128, 192), (10, 70, 30, 90)), sides=None)
    assert split.mismatched.tolist() == [True]


def test_pixels_make_pictures_identical_not_files(folder):
    image = Image.open(folder.path / "train0.png")
    image.save(folder.path / "a.bmp")
    image.save(folder.path / "b.tif")
    image.transpose(Image.Transpose.ROTATE_90).save(folder.path / "c.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # stored as it is after a quarter turn left, so upright again
    image.transpose(Image.Transpose.ROTATE_90).save(folder.path / "d.png", exif=exif)
    paths = [folder.path / name for name in ("train0.png", "a.bmp", "b.tif", "c.png", "d.png")]
    data = Dataset([make_record(path, i) for i, path in enumerate(paths)], [], [])
    keys = inspect("train", data, thorough=True).keys
    assert keys[0] == keys[1] == keys[2] == keys[4] != keys[3]
    assert len(set(inspect("train", data).keys)) == 5


def test_pictures_of_one_colour_differ_by_shape(folder):
    for name, size in (("wide.png", (8, 2)), ("high.png", (2, 8))):
        Image.new("RGB", size, "red").save(folder.path / name)
    data = [make_record(folder.path / name, name) for name in ("wide.png", "high.png")]
    keys = inspect("train", Dataset(data, [], []), thorough=True).keys
    assert keys[0] != keys[1]


A, B = (0, 0, 10, 10), (5, 5, 30, 30)


@pytest.mark.parametrize(
    ("boxes", "labels", "same"),
    [
        ([A, B], [0, 1], True),
        ([B, A], [1, 0], True),
        ([(0, 0, 10, 11), B], [0, 1], True),  # off by 1 px
        ([(0, 0, 10, 12), B], [0, 1], False),
        ([A, B], [1, 0], False),
        ([A], [0], False),
        ([A, A], [0, 0], False),
        ([], [], False),
    ],
)
def test_images_agree_when_their_boxes_do(boxes, labels, same):
    one, other = make_record("a", 0, [A, B], [0, 1]), make_record("b", 1, boxes, labels)
    assert agree(one, other) is agree(other, one) is same


def test_images_without_boxes_agree():
    assert agree(make_record("a", 0), make_record("b", 1))


def test_damages_of_jpeg_files_alone(folder, tmp_path):
    for i in range(3):
        folder.draw(f"{i}.jpg", i)
    hurt = bytearray((tmp_path / "1.jpg").read_bytes())
    hurt[len(hurt) // 2 : len(hurt) // 2 + 300] = bytes(300)
    odd = tmp_path / "with a space and ü.jpg"
    odd.write_bytes(hurt)
    (tmp_path / "1.jpg").write_bytes(hurt)
    paths = [str(tmp_path / name) for name in ("0.jpg", "1.jpg", "2.jpg", "val0.png")]
    found = damages([*paths, str(odd)])
    assert set(found) == {paths[1], str(odd)}
    assert all("Corrupt JPEG data" in said for said in found.values())
    assert damages([]) == damages(paths[3:]) == {}


def test_faults_of_the_reader_are_findings(folder):
    splits = folder.read()
    splits["val"][1].append("val.csv: line 3: something")
    finding = examine(splits, sides=None).findings[0]
    assert (finding.severity, finding.count, finding.total) == ("error", 1, None)
    assert finding.places[0].text == "val.csv: line 3: something"


def test_of_many_places_the_first_are_kept(folder):
    splits = folder.read()
    data, _ = splits["train"]
    path = data.records[0].path
    box = np.arange(1200)[:, None] * 0.05 + [100, 0, 101, 10]
    data.records[0] = make_record(path, 0, box, [0] * 1200)
    finding = next(f for f in examine(splits, sides=None).findings if "outside" in f.name)
    assert (finding.count, len(finding.places)) == (1200, 1000)


def hurt(path):
    """Damages a JPEG file amid its data."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
    path.write_bytes(data)
    return str(path)


def test_damages_of_a_file_with_a_newline_in_its_name(folder, tmp_path):
    names = ["a\nCorrupt JPEG.jpg", "b\nc.jpg", "d.jpg"]
    for i, name in enumerate(names):
        folder.draw(name, i)
    paths = [hurt(tmp_path / name) for name in names[1:]]
    found = damages([str(tmp_path / names[0]), *paths])
    assert set(found) == set(paths)


def test_no_damages_are_found_where_the_program_ends(folder, tmp_path, monkeypatch):
    folder.draw("a.jpg", 0)
    path = hurt(tmp_path / "a.jpg")
    assert set(damages([path])) == {path}
    monkeypatch.setattr("sys.executable", "false")
    assert damages([path]) == {}


def test_an_image_listed_twice_is_named_by_its_id(folder):
    path = str(folder.path / "train0.png")
    data = Dataset([make_record(path, i, [A], [0]) for i in (7, 8)], ["cat"], [1])
    findings = check_copies([inspect("train", data)])
    assert [(f.name, f.count) for f in findings] == [("images that occur twice", 1)]
    assert findings[0].places[0].text == f"{path}: image 7 and image 8"


def test_groups_that_agree_and_that_differ_are_told_apart(folder):
    records = [
        make_record(folder.path / f"train{i}.png", copy, [A if copy and i % 2 else B], [0])
        for i in range(5)
        for copy in (0, 1)
    ]
    findings = check_copies([inspect("train", Dataset(records, ["cat"], [1]))])
    assert [(f.name, f.count) for f in findings] == [
        ("images that occur twice with different boxes", 2),
        ("images that occur twice", 3),
    ]
