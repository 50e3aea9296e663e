import csv
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.readers.csv import (
    _read_annotations,
    _read_classes,
    read_classes,
    read_csv,
)

CLASSES = {"dog": 0, "cat": 1}
DATA = Path(__file__).parents[1] / "data" / "csv"
ROWS = {  # a file of tests/data/csv with one bad row: what it gives
    "few_columns": "line 2: format should be 'img_file,x1,y1,x2,y2,class_name' or 'img_file,,,,,'",
    "no_path": "line 2: format should be 'img_file,",
    "malformed_number": "line 2: malformed y1: 'two' is not a number",
    "not_a_number": "line 2: malformed x2: 'nan' is not a number",
    "endless_number": "line 2: malformed y2: 'inf' is not a number",
    "too_large": "line 2: malformed x2: '1e300' is too large",
    "underscore": "line 2: malformed x2: '1_0' is not a number",
    "missing_number": "line 2: malformed y2: '' is not a number",
    "unknown_class": "line 2: unknown class name: 'dgo' (classes: dog, cat)",
    "no_class": "line 2: unknown class name: '' (classes: dog, cat)",
    "short_row_under_header": "line 3: format should be the columns of the header, path, x1, y1,",
}
INVERTED = {  # one that is for the check to find, unless the first mistake is raised
    "inverted_box": "line 2: x2 (5) must be higher than x1 (9)",
    "box_without_height": "line 2: y2 (2) must be higher than y1 (2)",
}
FILES = {  # a file of no use
    "no_rows": " holds no rows",
    "header_alone": " holds no rows",
    "header_without_class": "line 1: the header lacks class (class, classname, label,",
    "header_of_width_and_height": "line 1: the header lacks x2 (x2, xmax, right), y2",
    "header_with_a_column_twice": "line 1: the header names a column twice: x1",
    "not_utf8": "line 2 is not UTF-8",
    "utf16": "line 1 is not UTF-8",
    "nul_byte": "line 2 has a NUL byte",
    "open_quote": "line 2: unexpected end of data",
}
CLASS_FILES = {
    "few_columns": "line 2: format should be 'class_name,class_id'",
    "malformed_id": "line 2: malformed class ID: 'one' is not an integer",
    "header": "line 1: malformed class ID: 'id' is not an integer",
    "duplicate_name": "line 2: duplicate class name: 'dog'",
    "taken_id": "line 3: class ID 0 of 'bird' is on line 1 too",
    "gap": "line 3: class ID 3 leaves a gap: no class has the ID 2",
    "from_one": "line 1: class ID 1 leaves a gap: no class has the ID 0",
    "no_rows": " holds no rows",
}


def rows(text):
    return csv.reader(io.StringIO(text, newline=""))


@pytest.fixture
def write(tmp_path):
    def write(annotations, classes="dog,0\ncat,1\n"):
        for name, text in {"annotations.csv": annotations, "classes.csv": classes}.items():
            data = text if isinstance(text, bytes) else text.encode()
            (tmp_path / name).write_bytes(data)
        return str(tmp_path / "annotations.csv"), str(tmp_path / "classes.csv")

    return write


def test_read_classes_of_rows():
    assert _read_classes(rows("")) == {}
    assert _read_classes(rows("dog,0\n\ncat,1\n")) == CLASSES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dog,0\ncat\n", "line 2: format should be 'class_name,class_id'"),
        ("dog,0,1\n", "line 1: format should be"),
        ("dog,0\n\ncat,one\n", "line 3: malformed class ID: 'one'"),
        ("dog,0\ndog,1\n", "line 2: duplicate class name: 'dog'"),
    ],
)
def test_class_errors_begin_with_the_line(text, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        _read_classes(rows(text))


def test_read_annotations_of_rows():
    assert _read_annotations(rows(""), CLASSES) == {}
    text = "a.jpg,0,1,2,3,dog\nb.jpg,,,,,\na.jpg,4,5.5,6,7.25,cat\na.jpg,,,,,\n"
    assert _read_annotations(rows(text), CLASSES) == {
        "a.jpg": [
            {"x1": 0, "y1": 1, "x2": 2, "y2": 3, "class": "dog"},
            {"x1": 4, "y1": 5.5, "x2": 6, "y2": 7.25, "class": "cat"},
        ],
        "b.jpg": [],
    }


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.jpg,1,2,3,4", r"format should be 'img_file,x1,y1,x2,y2,class_name'"),
        (",1,2,3,4,dog", r"format should be"),
        ("a.jpg,x,2,3,4,dog", r"malformed x1: 'x'"),
        ("a.jpg,1,,3,4,dog", r"malformed y1: ''"),
        ("a.jpg,1,2,nan,4,dog", r"malformed x2: 'nan'"),
        ("a.jpg,1,2,3,inf,dog", r"malformed y2: 'inf'"),
        ("a.jpg,,,,,dog", r"malformed x1: ''"),
        ("a.jpg,9,2,5,4,dog", r"x2 \(5\) must be higher than x1 \(9\)"),
        ("a.jpg,1,2,3,2,dog", r"y2 \(2\) must be higher than y1 \(2\)"),
        ("a.jpg,9,2,5,4,dgo", r"x2 \(5\) must be higher"),
        ("a.jpg,1,2,3,4,dgo", r"unknown class name: 'dgo' \(classes: dog, cat\)"),
    ],
)
def test_annotation_errors_begin_with_the_line(row, message):
    with pytest.raises(ValueError, match=f"^line 3: {message}"):
        _read_annotations(rows(f"a.jpg,0,1,2,3,dog\n\n{row}\n"), CLASSES)


def test_read_csv(write, tmp_path):
    data = read_csv(*write("a.jpg,0,1,2,3,cat\nsub/b.jpg,,,,,\n/c.jpg,1,1,4,2.5,dog\n"))
    a, b, c = data.records
    assert data.class_names == ["dog", "cat"]
    assert data.category_ids == [1, 2]
    assert [r.path for r in data.records] == [
        str(tmp_path / "a.jpg"),
        str(tmp_path / "sub/b.jpg"),
        "/c.jpg",
    ]
    assert [r.image_id for r in data.records] == ["a.jpg", "sub/b.jpg", "/c.jpg"]
    assert a.boxes.tolist() == [[0, 1, 2, 3]]
    assert a.labels.tolist() == [1]
    assert a.area.tolist() == [4]
    assert b.boxes.shape == (0, 4)
    assert c.boxes.tolist() == [[1, 1, 4, 2.5]]
    assert f"{c.origin} {c.entries[0]}" == f"{tmp_path / 'annotations.csv'}: line 3"


def test_paths_start_from_the_base_folder(write):
    text = "a.jpg,0,1,2,3,cat\n"
    assert read_csv(*write(text), images_dir="/images").records[0].path == "/images/a.jpg"


def test_a_path_spelled_in_several_ways_is_one_image(write, tmp_path):
    names = ["./a/x.jpg", "a/x.jpg", "a/../a/x.jpg", "a\\x.jpg", f"{tmp_path}/a/x.jpg"]
    data = read_csv(*write("".join(f"{name},0,0,{i},2,cat\n" for i, name in enumerate(names, 1))))
    (record,) = data.records
    assert record.path == str(tmp_path / "a/x.jpg")
    assert record.image_id == "./a/x.jpg"  # as it is written first
    assert record.boxes[:, 2].tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("x2", "fine"), [("1e9", True), ("1000000001", False), ("1e39", False)])
def test_what_a_coordinate_may_be(write, x2, fine):
    faults = []
    data = read_csv(*write(f"a.jpg,-4e8,-4e8,{x2},4e8,cat\n"), faults=faults)
    assert len(data.records) == fine
    assert len(faults) == 1 - fine


def test_rows_of_an_image_need_not_be_adjacent(write):
    text = "a.jpg,0,0,2,2,cat\nb.jpg,,,,,\na.jpg,1,1,3,3,dog\n"
    a, _ = read_csv(*write(text)).records
    assert a.labels.tolist() == [1, 0]
    assert a.entries == (1, 3)


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfa.jpg,0,1,2,3,cat\n",
        b"\r\na.jpg,0,1,2,3,cat\r\n\r\n",
        b"a.jpg, 0, 1, 2, 3, cat",
        b"a.jpg,0.0,1.0,2e0,3,cat,extra,columns\n,,,,,\n",
        b'"a.jpg",0,1,2,3,"cat"\n',
    ],
    ids=["byte order mark", "CRLF and blank lines", "spaces", "further columns", "quotes"],
)
def test_ways_to_write_one_row(write, data):
    (record,) = read_csv(*write(data, b"\xef\xbb\xbfdog,0\r\ncat , 1\r\n")).records
    assert record.image_id == "a.jpg"
    assert record.boxes.tolist() == [[0, 1, 2, 3]]
    assert record.labels.tolist() == [1]


def raised(call, *arguments, **keywords):
    with pytest.raises(InputError) as caught:
        call(*arguments, **keywords)
    return str(caught.value)


@pytest.mark.parametrize("name", ROWS | INVERTED | FILES)
def test_each_defect_gives_its_message(name):
    path = DATA / f"{name}.csv"
    message = raised(read_csv, str(path), DATA / "classes.csv")
    assert message.startswith(f"{path}")
    assert (
        message.removeprefix(f"{path}")
        .removeprefix(": ")
        .startswith((ROWS | INVERTED | FILES)[name])
    )


@pytest.mark.parametrize("name", ROWS | INVERTED)
def test_faults_are_collected_and_the_other_rows_kept(name):
    path, faults = str(DATA / f"{name}.csv"), []
    (record,) = read_csv(path, DATA / "classes.csv", faults=faults).records
    first = record.entries[0]
    assert record.boxes[0].tolist() == [1, 2, 3, 4]
    if name in INVERTED:
        assert faults == []
        assert record.entries == (1, 2)
    else:
        assert [fault.startswith(f"{path}: {ROWS[name]}") for fault in faults] == [True]
        assert record.entries == (first,)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_no_use_is_raised_all_the_same(name):
    path = str(DATA / f"{name}.csv")
    assert raised(read_csv, path, DATA / "classes.csv", faults=[]) == raised(
        read_csv, path, CLASSES
    )


@pytest.mark.parametrize("name", CLASS_FILES)
def test_each_defect_of_a_class_file_gives_its_message(name):
    path = str(DATA / "classes" / f"{name}.csv")
    message = raised(read_classes, path).removeprefix(path).removeprefix(": ")
    assert message.startswith(CLASS_FILES[name])


def test_every_specimen_has_its_message():
    assert {path.stem for path in (DATA / "classes").iterdir()} == set(CLASS_FILES)
    names = {path.stem for path in DATA.iterdir()} - {"classes"}
    assert names == set(ROWS | INVERTED | FILES)


TENSORFLOW = "filename,width,height,class,xmin,ymin,xmax,ymax\n"


@pytest.mark.parametrize(
    "text",
    [
        TENSORFLOW + "a.jpg,640,480,cat,1,2,3,4.5\nb.jpg,640,480,,,,,\n",
        '"image","xmin","ymin","xmax","ymax","label"\n"a.jpg",1,2,3,4.5,"cat"\nb.jpg,,,,,\n',
        "Label; Y Max; X-Max; Y_Min; x1; Path\ncat;4,5;3;2;1;a.jpg\n;;;;;b.jpg\n",
        "a.jpg;1;2;3;4,5;cat\nb.jpg;;;;;\n",
        "a.jpg\t1\t2\t3\t4.5\tcat\nb.jpg\t\t\t\t\t\n",
    ],
    ids=["TensorFlow", "VoTT", "another order", "semicolons", "tabs"],
)
def test_headers_and_separators(write, text):
    a, b = read_csv(*write(text)).records
    assert (a.image_id, b.image_id) == ("a.jpg", "b.jpg")
    assert a.boxes.tolist() == [[1, 2, 3, 4.5]]
    assert a.labels.tolist() == [1]
    assert b.boxes.shape == (0, 4)
    assert a.stated_size == b.stated_size == ((640, 480) if "width" in text else None)


@pytest.mark.parametrize(("size", "stated"), [("0,480", None), (",", None), ("64.0,48", (64, 48))])
def test_a_stated_size_must_be_above_0(write, size, stated):
    (record,) = read_csv(*write(f"{TENSORFLOW}a.jpg,{size},cat,1,2,3,4\n")).records
    assert record.stated_size == stated


@pytest.mark.parametrize(
    "row", ["left,1,2,3,4,right", "x1,1,2,3,4,y1", "filename,1,2,3,4,class", "top,,,,,"]
)
def test_a_row_of_data_is_not_taken_for_a_header(write, row):
    path, *_, name = row.split(",")
    (record,) = read_csv(write(f"{row}\n")[0]).records
    assert record.image_id == path
    assert record.boxes.tolist() == ([[1, 2, 3, 4]] if name else [])


def test_classes_may_be_names_or_those_found(write):
    path, _ = write("a.jpg,1,2,3,4,dog\nb.jpg,1,2,3,4,cat\nc.jpg,,,,,\n")
    found = read_csv(path)
    assert found.class_names == ["cat", "dog"]
    assert [record.labels.tolist() for record in found.records] == [[1], [0], []]
    given = read_csv(path, ["dog", "cow", "cat"])
    assert given.class_names == ["dog", "cow", "cat"]
    assert [record.labels.tolist() for record in given.records] == [[0], [2], []]
    assert "line 1: unknown class name: 'dog' (classes: cat)" in raised(read_csv, path, ["cat"])
    path, _ = write("a.jpg,1,2,3,4,\n")
    assert f"{path}: line 1: the class name is missing" in raised(read_csv, path)


def test_paths_of_windows(write, tmp_path):
    (record,) = read_csv(*write("images\\a.jpg,,,,,\n")).records
    assert record.path == str(tmp_path / "images" / "a.jpg")


def test_vott(shared):
    folder = shared / "data/fmt_datumaro/tests/assets/vott_csv_dataset"
    data = read_csv(str(folder / "dataset/train-export.csv"))
    assert data.class_names == ["helmet", "person"]
    boxes = [record.boxes.tolist() for record in data.records]
    expected = [[6.7, 10.3, 10, 15], [13.7, 20.2, 45.6, 63.6]], [[1, 2, 2, 4]]
    for record, rows in zip(boxes, expected, strict=True):
        np.testing.assert_allclose(record, rows, rtol=1e-6)  # float32
    assert all(Path(record.path).is_file() for record in data.records)


def test_class_ids_may_come_in_any_order(write):
    assert read_classes(write("", "cat,1\nbird,2\ndog,0\n")[1]) == {"cat": 1, "bird": 2, "dog": 0}
    data = read_csv(*write("a.jpg,0,1,2,3,cat\n", "cat,1\nbird,2\ndog,0\n"))
    assert data.class_names == ["dog", "cat", "bird"]
    assert data.records[0].labels.tolist() == [1]


def test_missing_files_and_folders(write, tmp_path):
    annotations, classes = write("a.jpg,,,,,\n")
    with pytest.raises(InputError, match=r"nowhere.csv: no such file"):
        read_csv(str(tmp_path / "nowhere.csv"), classes)
    with pytest.raises(InputError, match=f"{tmp_path} is a folder"):
        read_csv(annotations, str(tmp_path))


def test_generator(write, tmp_path):
    from keras_retinanet.preprocessing.csv_generator import CSVGenerator

    Image.fromarray(np.full((20, 30, 3), 7, "uint8")).save(tmp_path / "a.png")
    annotations, classes = write("a.png,0,1,20,13,cat\n")
    generator = CSVGenerator(annotations, classes, group_method="none", image_min_side=64)
    assert (generator.size(), generator.num_classes()) == (1, 2)
    assert generator.name_to_label("cat") == 1
    assert generator.label_to_name(1) == "cat"
    assert generator.image_path(0) == str(tmp_path / "a.png")
    assert generator.load_image(0).shape == (20, 30, 3)
    assert generator.load_annotations(0)["bboxes"].tolist() == [[0, 1, 20, 13]]
    assert generator.load_annotations(0)["labels"].tolist() == [1]
    images, (regression, labels) = generator[0]
    assert images.shape == (1, 64, 96, 3)
    assert regression.shape[2] == 5
    assert labels.shape[2] == 3


def test_generator_prefixes_the_file(write):
    from keras_retinanet.preprocessing.csv_generator import CSVGenerator

    with pytest.raises(ValueError, match=r"annotations.csv: line 1: malformed x1"):
        CSVGenerator(*write("a.jpg,x,,,,\n"))


def test_readers_do_not_import_keras():
    code = (
        "import sys; import keras_retinanet.preprocessing.readers as r; assert len(r.READERS) == 8;"
        "sys.exit(bool({'keras', 'tensorflow', 'cv2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_pictures_lie_in_the_folder_after_which_the_file_is_named(tmp_path):
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").write_bytes(b"")
        (tmp_path / f"{name}_labels.csv").write_text("a.jpg,1,1,9,9,dog\n")
    for name in ("train", "test"):
        [record] = read_csv(str(tmp_path / f"{name}_labels.csv")).records
        assert record.path == str(tmp_path / name / "a.jpg")
    (tmp_path / "a.jpg").write_bytes(b"")  # beside the file goes first
    [record] = read_csv(str(tmp_path / "train_labels.csv")).records
    assert record.path == str(tmp_path / "a.jpg")
