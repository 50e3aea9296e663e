import csv
import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.csv_generator import (
    CSVGenerator,
    _read_annotations,
    _read_classes,
    read_classes,
    read_csv,
)

CLASSES = {"dog": 0, "cat": 1}


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
    assert read_csv(*write(text), base_dir="/images").records[0].path == "/images/a.jpg"


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


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ("", r"annotations.csv holds no rows$"),
        ("\n\n", r"annotations.csv holds no rows$"),
        ("a.jpg,,,,,\na.jpg,1,2,3,4,dgo", r"annotations.csv: line 2: unknown class name: 'dgo'"),
        ("filename,x1,y1,x2,y2,class\n", r"annotations.csv: line 1: malformed x1: 'x1'"),
        ("filename,width,height,class,xmin,ymin,xmax,ymax\n", r"line 1: malformed x1: 'width'"),
        ('a.jpg,1,2,3,4,dog\n"b.jpg,1,2,3,4,dog\n', r"annotations.csv: line 2: unexpected end"),
        (b"a.jpg,,,,,\nb\xff.jpg,,,,,\n", r"annotations.csv: line 2: expected UTF-8 text"),
        (b"a.jpg,,,,,\nb\0.jpg,,,,,\n", r"annotations.csv: line 2: .* NUL byte"),
        ("a.jpg,,,,,\n".encode("utf-16"), r"annotations.csv: line 1: expected UTF-8 text"),
    ],
)
def test_annotation_file_errors(write, annotations, message):
    with pytest.raises(InputError, match=message):
        read_csv(*write(annotations))


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("", r"classes.csv holds no rows$"),
        ("dog\n", r"classes.csv: line 1: format should be"),
        ("name,id\ndog,0\n", r"classes.csv: line 1: malformed class ID: 'id'"),
        ("dog,0\ncat,1\nbird,3\n", r"classes.csv: line 3: .* Received: 3, but no 2$"),
        ("bird,3\ncat,1\ndog,0\n", r"classes.csv: line 1: .* Received: 3, but no 2$"),
        ("dog,1\ncat,2\n", r"classes.csv: line 1: .* Received: 1, but no 0$"),
        ("dog,0\ncat,-1\n", r"classes.csv: line 2: .* Received: -1, but no 0$"),
        ("dog,0\ncat,1\nbird,0\n", r"classes.csv: line 3: class ID 0 of 'bird' is taken"),
    ],
)
def test_class_file_errors(write, classes, message):
    with pytest.raises(InputError, match=message):
        read_classes(write("", classes)[1])


def test_class_ids_may_come_in_any_order(write):
    assert read_classes(write("", "cat,1\nbird,2\ndog,0\n")[1]) == {"cat": 1, "bird": 2, "dog": 0}
    data = read_csv(*write("a.jpg,0,1,2,3,cat\n", "cat,1\nbird,2\ndog,0\n"))
    assert data.class_names == ["dog", "cat", "bird"]
    assert data.records[0].labels.tolist() == [1]


def test_missing_files_and_folders(write, tmp_path):
    annotations, classes = write("a.jpg,,,,,\n")
    with pytest.raises(InputError, match=r"nowhere.csv: no such file"):
        read_csv(str(tmp_path / "nowhere.csv"), classes)
    with pytest.raises(InputError, match=f"{tmp_path}: expected a file. Received: a folder"):
        read_csv(annotations, str(tmp_path))


def test_generator(write, tmp_path):
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
    with pytest.raises(ValueError, match=r"annotations.csv: line 1: malformed x1"):
        CSVGenerator(*write("a.jpg,x,,,,\n"))


def test_readers_do_not_import_keras():
    code = (
        "import sys; import keras_retinanet.preprocessing.readers as r; assert len(r.READERS) == 3;"
        "sys.exit(bool({'keras', 'tensorflow', 'cv2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
