"""Written and read back, a data set is the same, in every format."""

import dataclasses
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import Dataset, checked, make_record
from keras_retinanet.preprocessing.readers import SPLITS
from keras_retinanet.preprocessing.readers.coco import coco_paths, read_coco
from keras_retinanet.preprocessing.readers.csv import read_csv
from keras_retinanet.preprocessing.readers.kitti import read_kitti
from keras_retinanet.preprocessing.readers.open_images import read_open_images
from keras_retinanet.preprocessing.readers.pascal_voc import read_pascal
from keras_retinanet.preprocessing.readers.recognise import kind_of
from keras_retinanet.preprocessing.readers.yolo import read_yolo
from keras_retinanet.preprocessing.writers import WRITERS

few = settings(max_examples=8, deadline=None, derandomize=True)

ATOL = {"pascal": 1e-12, "oid": 1e-12, "yolo": 1e-12}  # px; the other formats lose nothing
KNOWS_IGNORED = ("coco", "pascal", "kitti", "oid")
ODD_NAMES = (
    "a,b",
    '"',
    "it's",
    "<&>",
    "猫",
    "é",
    "e\u0301",
    "🐈",
    "no",
    "null",
    "1",
    "1.5",
    "#",
    "%",
)
ODD_NAMES += (
    "x: y",
    "- x",
    "{",
    "[]",
    "~",
    "two  words",
    "/m/1",
    "Path",
    "class",
    "-1",
    "\\n",
    "'",
)


def read(kind, folder, split="train", class_names=None):
    """The data set that a writer wrote, with the sizes of its images."""
    folder = str(folder)
    if kind == "csv":
        data = read_csv(f"{folder}/{split}.csv", f"{folder}/classes.csv")
    elif kind == "coco":
        data = read_coco(*coco_paths(folder, split))
    elif kind in ("pascal", "kitti"):
        reader = read_pascal if kind == "pascal" else read_kitti
        data = reader(folder, split, class_names)
    else:
        data = (read_open_images if kind == "oid" else read_yolo)(folder, split)
    return checked(data, need_boxes=False)


def write(kind, data, folder, split="train", **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what a format cannot say
        WRITERS[kind](data, str(folder), split, **options)


def sayable(kind, data):
    """The data set without what the format cannot say."""
    names = data.class_names
    if kind == "kitti":
        names = ["_".join(name.split()) for name in names]
    records = data.records
    if kind not in KNOWS_IGNORED:
        records = [without_ignored(record) for record in records]
    return dataclasses.replace(data, records=records, class_names=names)


def without_ignored(record):
    kept = ~record.ignore
    columns = {name: getattr(record, name)[kept] for name in ("boxes", "labels", "ignore", "area")}
    return dataclasses.replace(record, **columns)


def assert_same(data, other, atol=0, labels_of_ignored=True):
    """Checks that two data sets are alike, whatever the order of their images."""
    assert data.class_names == other.class_names
    others = {Path(record.path).name: record for record in other.records}
    assert set(others) == {Path(record.path).name for record in data.records}
    assert len(other.records) == len(data.records)
    for record in data.records:
        match = others[Path(record.path).name]
        assert match.size == record.size
        assert match.stated_size in (None, record.size)
        assert Path(match.path).read_bytes() == Path(record.path).read_bytes()
        np.testing.assert_allclose(match.boxes, record.boxes, rtol=0, atol=atol)
        assert match.ignore.tolist() == record.ignore.tolist()
        kept = slice(None) if labels_of_ignored else ~record.ignore
        assert match.labels[kept].tolist() == record.labels[kept].tolist()


@st.composite
def spans(draw, side):
    """Two places on a side in px, the second at least 1/64 px behind the first."""
    places = st.one_of(st.integers(0, side), st.floats(0, side, width=32))
    low, high = sorted([draw(places), draw(places)])
    if high - low < 1 / 64:
        return 0, side
    return low, high


@st.composite
def pictures(draw, num_classes):
    """(width, height, ending, boxes, labels, ignore)"""
    width, height = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    boxes = []
    for _ in range(draw(st.integers(0, 3))):
        (x1, x2), (y1, y2) = draw(spans(width)), draw(spans(height))
        boxes.append((x1, y1, x2, y2))
    labels = [draw(st.integers(0, num_classes - 1)) for _ in boxes]
    ignore = [draw(st.booleans()) for _ in boxes]
    return width, height, draw(st.sampled_from([".png", ".jpg", ".bmp"])), boxes, labels, ignore


@st.composite
def drawings(draw):
    """(class names, images)"""
    names = draw(st.lists(st.sampled_from(ODD_NAMES), min_size=1, max_size=4, unique=True))
    return names, draw(st.lists(pictures(len(names)), min_size=1, max_size=5))


def drawn(drawing, folder, prefix="picture"):
    """The data set of a drawing, whose images are written to a folder."""
    names, drawn_pictures = drawing
    folder.mkdir()
    records = []
    for i, (width, height, ending, *columns) in enumerate(drawn_pictures):
        path = folder / f"{prefix} {i}{ending}"
        Image.new("L", (width, height), i).save(path)
        records.append(make_record(path, i, *columns, size=(width, height)))
    return Dataset(records, names, list(range(1, len(names) + 1)))


@pytest.mark.parametrize("kind", WRITERS)
@few
@given(drawings())
def test_what_is_written_reads_back_the_same(kind, drawing):
    with tempfile.TemporaryDirectory() as folder:
        data = drawn(drawing, Path(folder, "pictures"))
        write(kind, data, Path(folder, "out"))
        expected = sayable(kind, data)
        result = read(kind, Path(folder, "out"), class_names=expected.class_names)
        atol = ATOL.get(kind, 0)
        assert_same(expected, result, atol, labels_of_ignored=kind != "kitti")


@few
@given(drawings())
def test_a_chain_of_all_formats_keeps_the_boxes(drawing):
    with tempfile.TemporaryDirectory() as folder:
        data = sayable("kitti", sayable("csv", drawn(drawing, Path(folder, "pictures"))))
        result = data
        for kind in ("coco", "csv", "coco", "pascal", "coco", "kitti", "oid", "yolo", "coco"):
            out = Path(tempfile.mkdtemp(dir=folder))
            write(kind, result, out, image_files="link")
            result = read(kind, out, class_names=data.class_names)
        assert_same(data, result, atol=1e-3)


@pytest.mark.parametrize("kind", WRITERS)
@few
@given(st.integers(1, 3).flatmap(lambda k: st.tuples(*[st.lists(pictures(k), min_size=1)] * 2)))
def test_two_sets_share_a_folder(kind, sets):
    names = ["cat", "dog", "a hat"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        before = {}
        for split, drawn_pictures in zip(("train", "val"), sets, strict=True):
            source = Path(folder, split)
            before[split] = drawn((names, drawn_pictures), source, prefix=split)
            write(kind, before[split], out, split)
        for split, data in before.items():
            expected = sayable(kind, data)
            result = read(kind, out, split, class_names=expected.class_names)
            assert_same(expected, result, ATOL.get(kind, 0), labels_of_ignored=kind != "kitti")


@pytest.mark.parametrize("kind", WRITERS)
def test_what_is_written_is_recognised_with_its_sets(kind, tmp_path):
    picture = (4, 4, ".png", [(0, 1, 2, 3)], [0], [False])
    for split in ("train", "val"):
        data = drawn((["cat"], [picture]), tmp_path / split)
        write(kind, data, tmp_path / "out", split)
    if kind == "csv":
        assert kind_of(tmp_path / "out" / "train.csv") == "csv"
    else:
        assert kind_of(tmp_path / "out") == kind
        assert SPLITS[kind](tmp_path / "out") == ["train", "val"]


@pytest.mark.parametrize("kind", WRITERS)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(name=st.text(max_size=6))
@example(name="dontcare")
@example(name=" dog ")
def test_a_class_name_survives_or_is_refused(kind, name):
    picture = (4, 4, ".png", [(0, 1, 2, 3)], [1], [False])
    with tempfile.TemporaryDirectory() as folder:
        data = drawn((["cat", name], [picture]), Path(folder, "pictures"))
        expected = sayable(kind, data)
        try:
            write(kind, data, Path(folder, "out"))
        except InputError:
            assert kind not in ("coco", "yolo") or not name.strip() or "\0" in name
            odd = name in ("", "cat") or name != name.strip() or not name.isprintable()
            assert odd or (kind == "kitti" and name == "dontcare")
        else:
            result = read(kind, Path(folder, "out"), class_names=expected.class_names)
            assert_same(expected, result, ATOL.get(kind, 0))


@pytest.mark.parametrize("kind", WRITERS)
def test_pictures_of_odd_names_are_found_again(kind, tmp_path):
    names = [
        "a,b",
        "a\nb",
        "a\\b",
        " a ",
        "a.jpg",
        "a",
        "A",
        "é",
        "猫",
        "1 -1",
        '"',
        "<&>",
        "#",
        "~",
    ]
    names = [f"{name}.png" for name in [*names, "images", "-1", ".x", "%s"]] + ["a.JPG"]
    (tmp_path / "pictures").mkdir()
    records = []
    for i, name in enumerate(names):
        path = tmp_path / "pictures" / name
        Image.new("L", (i + 1, 5)).save(path)
        records.append(make_record(path, i, [(0, 0, i + 0.5, 4)], [0]))
    data = checked(Dataset(records, ["cat"], [1]))
    write(kind, data, tmp_path / "out")
    result = read(kind, tmp_path / "out", class_names=["cat"])
    boxes = {record.size: record.boxes.tolist() for record in result.records}
    assert boxes == {(i + 1, 5): [[0, 0, i + 0.5, 4]] for i in range(len(names))}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_turned_picture_keeps_its_boxes(kind, orientation, tmp_path):
    (tmp_path / "pictures").mkdir()
    path = tmp_path / "pictures" / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (40, 20)).save(path, exif=exif)
    width, height = (40, 20) if orientation == 3 else (20, 40)
    record = make_record(path, 1, [(1, 2, width - 3, height - 4)], [0])
    data = checked(Dataset([record], ["cat"], [1]))
    assert data.records[0].size == (width, height)
    write(kind, data, tmp_path / "out")
    result = read(kind, tmp_path / "out", class_names=["cat"])
    assert_same(data, result, atol=ATOL.get(kind, 0))
    says_size = kind in ("coco", "pascal")
    assert result.records[0].stated_size == ((width, height) if says_size else None)
