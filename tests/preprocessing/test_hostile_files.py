"""Files that mean harm, or that chance has made: refused in a sentence, in little time."""

import json
import os
import time

import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.readers import (
    READERS,
    read_coco,
    read_csv,
    read_cvat,
    read_labelme,
    read_open_images,
    read_pascal,
    read_yolo,
)
from keras_retinanet.preprocessing.readers.parsing import flag, integer, read_json, read_yaml
from keras_retinanet.preprocessing.readers.recognise import kind_of
from keras_retinanet.utils.text import listed, quoted, read_text


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


def refusal(call, *arguments, **keywords):
    """Return the message of an InputError that comes within 5 s; it is short and printable."""
    began = time.monotonic()
    with pytest.raises(InputError) as caught:
        call(*arguments, **keywords)
    message = str(caught.value)
    assert time.monotonic() - began < 5
    assert len(message) < 1500
    return message


def shared_lists(levels, width):
    """YAML in which each list names the one before `width` times."""
    lines = ["a0: &a0 [x, x]"]
    for i in range(1, levels):
        names = ", ".join([f"*a{i - 1}"] * width)
        lines.append(f"a{i}: &a{i} [{names}]")
    return "\n".join(lines)


@pytest.mark.parametrize("key", ["names", "nc", "train", "path"])
def test_aliases_of_yaml(write, key):
    others = {"names": "[cat]", "train": "images"}
    rest = "\n".join(f"{name}: {value}" for name, value in others.items() if name != key)
    path = write("data.yaml", f"{shared_lists(9, 9)}\n{rest}\n{key}: *a8\n")
    assert "data.yaml: too many aliases" in refusal(read_yolo, path)
    path = write("data.yaml", f"{shared_lists(3, 3)}\n{rest}\n{key}: *a2\n")
    assert "[[" in refusal(read_yolo, path)


def test_merge_keys_of_yaml(write):
    merged = "a: &a {x: 1}\n<<: *a\nnames: [cat]\ntrain: images\n"
    assert "merge keys" in refusal(read_yolo, write("data.yaml", merged))
    lines = ["a0: &a0 {x: 1}"] + [
        f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, 30)
    ]
    assert "data.yaml: too many aliases" in refusal(read_yolo, write("data.yaml", "\n".join(lines)))


def test_yaml_runs_no_code_and_takes_few_aliases(write, tmp_path):
    path = write("a.yaml", f"a: !!python/object/apply:os.mkdir [{tmp_path}/made]\n")
    assert read_yaml(path) == {"a": [f"{tmp_path}/made"]}
    assert not (tmp_path / "made").exists()
    assert read_yaml(write("a.yaml", "a: &x [1]\nb: *x\n")) == {"a": ["1"], "b": ["1"]}


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "- " * 100_000, '"\\UFFFFFFFF"', "&a [*a]", "? {a: b}\n: c"]
)
def test_malformed_yaml(write, text):
    assert "a.yaml" in refusal(read_yaml, write("a.yaml", text))


@pytest.mark.parametrize("escape", ["\\u0000", "\\ud800", "\\udc00", "\\udc00\\ud800", "\\uDBFF a"])
def test_characters_that_no_path_can_hold(write, escape):
    path = write("a.json", f'{{"names": [{{"a{escape}": 1}}]}}')
    assert "a.json" in refusal(read_json, path)
    path = write("a.json", f'{{"names": ["{escape}"]}}')
    assert "a.json" in refusal(read_json, path)
    path = write("a.yaml", f'names: ["{escape}"]\n')
    assert "a.yaml" in refusal(read_yaml, path)


def test_characters_outside_the_basic_plane_are_read(write):
    assert read_json(write("a.json", '["\\ud83d\\ude00", "\\\\u0000", "\\\\ud800"]')) == [
        "\U0001f600",
        "\\u0000",
        "\\ud800",
    ]


def test_image_data_that_is_no_base64(write):
    content = {"shapes": [], "imagePath": "a.jpg"}
    for data in ("ééé", "AAA", [1], 5):
        path = write("a.json", {**content, "imageData": data})
        assert "a.json: malformed imageData: " in refusal(read_labelme, path)


@pytest.mark.parametrize(
    "tree",
    [
        [],
        {"LabelName": None},
        {"LabelName": "/m/1", "Subcategory": 5},
        {"LabelName": "/m/1", "Subcategory": [None]},
        {"LabelName": "/m/1", "Subcategory": [{"LabelName": ["/m/2"]}]},
        {"LabelName": "/m/1", "Subcategory": {"LabelName": "/m/2"}},
    ],
)
def test_hierarchies_of_other_types(write, tmp_path, tree):
    boxes = write("train-annotations-bbox.csv", "ImageID,LabelName,XMin,XMax,YMin,YMax\n")
    write("hierarchy.json", tree)
    message = refusal(read_open_images, boxes, parent_label="/m/1")
    assert "hierarchy.json: expected objects with LabelName" in message


@pytest.fixture
def waiting(tmp_path):
    """Paths whose opening or reading does not end: a pipe, a link to one, an endless device."""

    def waiting(name):
        (tmp_path / "pipe").mkdir(exist_ok=True)
        os.mkfifo(tmp_path / "pipe" / name)
        (tmp_path / "link").mkdir(exist_ok=True)
        (tmp_path / "link" / name).symlink_to(tmp_path / "pipe" / name)
        (tmp_path / "endless").mkdir(exist_ok=True)
        (tmp_path / "endless" / name).symlink_to("/dev/zero")
        return [str(tmp_path / kind / name) for kind in ("pipe", "link", "endless")]

    return waiting


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("csv", "a.csv"),
        ("coco", "a.json"),
        ("labelme", "a.json"),
        ("pascal", "a.xml"),
        ("cvat", "a.xml"),
        ("oid", "train-annotations-bbox.csv"),
        ("yolo", "data.yaml"),
        ("yolo", "obj.data"),
        ("yolo", "classes.txt"),
        ("kitti", "label_2/a.txt"),
    ],
)
def test_pipes_and_devices_are_not_opened(waiting, tmp_path, kind, name):
    inner = os.path.dirname(name)
    for where in ("pipe", "link", "endless"):
        (tmp_path / where / inner).mkdir(parents=True)
    for path in waiting(name):
        folder = path.removesuffix(name)
        given = folder if kind in ("pascal", "kitti") or name == "classes.txt" else path
        assert os.path.basename(name) in refusal(READERS[kind], given) or name == "classes.txt"
        if kind_of_or_none(folder) is not None:
            assert kind in ("yolo", "kitti", "oid")  # by the name alone


def kind_of_or_none(path):
    try:
        return kind_of(path)
    except InputError:
        return None


def test_a_pipe_beside_good_files(write, tmp_path):
    write("a.json", {"images": [], "annotations": [], "categories": []})
    for name in ("0.json", "0.yaml", "0.xml", "0.txt", "0.csv"):
        os.mkfifo(tmp_path / name)
    assert kind_of(tmp_path) == "coco"


LONG = "x" * 5000
STEERING = "\x1b[31mred"


@pytest.mark.parametrize("value", [LONG, STEERING])
def test_messages_quote_little_and_nothing_that_steers_a_terminal(write, value):
    xml_value = value.replace("\x1b", "")
    tag = f"<image name='a'><{xml_value.strip('[')} label='a'/></image>"
    shape = f'<image name="a"><box label="{xml_value}" xtl="{xml_value}"/></image>'
    coco = {"images": [], "categories": [{"id": 1, "name": value}], "annotations": []}
    entry = {"image_id": value, "category_id": value, "bbox": value}
    calls = [
        (read_csv, write("a.csv", f"a.jpg,1,2,{value},4,cat\n"), ["dog"]),
        (read_csv, write("b.csv", f"a.jpg,1,2,3,4,{value}\n"), ["dog"]),
        (read_coco, write("c.json", {**coco, "images": [{"id": [value], "file_name": "a"}]})),
        (read_coco, write("d.json", {**coco, "images": [{"id": 1, "file_name": [value]}]})),
        (read_labelme, write("e.json", {"shapes": [{"label": [value]}], "imagePath": "a"})),
        (
            read_labelme,
            write("f.json", {"shapes": [{"label": "a", "points": value}], "imagePath": "a"}),
        ),
        (read_cvat, write("g.xml", f"<annotations>{shape}</annotations>")),
        (
            read_cvat,
            write("h.xml", f"<annotations>{tag}</annotations>"),
        ),
    ]
    images = [{"id": 1, "file_name": "a"}]
    for change in ({}, {"image_id": 1}, {"image_id": 1, "category_id": 1}):
        content = {**coco, "images": images, "annotations": [{**entry, **change}]}
        calls.append((read_coco, write(f"i{len(calls)}.json", content)))
    for call, *arguments in calls:
        message = refusal(call, *arguments)
        assert "\x1b" not in message
        assert len(message) < 900


def test_values_in_messages():
    assert quoted("a\nb\x1b") == "'a\\nb\\x1b'"
    assert len(quoted(LONG)) <= 200
    assert len(quoted([[LONG] * 50] * 50)) <= 200
    assert len(listed([LONG] * 30)) < 1100
    assert listed(["a\x1b", "b"]) == "a?, b"


@pytest.mark.parametrize("value", [True, None, [], "1_0", "x", 1.5, "1.5", float("nan"), "9" * 30])
def test_what_is_no_integer(value):
    with pytest.raises(InputError, match=r"^here: malformed id: "):
        integer(value, "id", "here")


def test_integers_and_flags_as_they_are_written():
    assert [integer(value, "id", "") for value in (7, 7.0, "7", " 7.0 ", "007", "-7")] == [
        *[7] * 5,
        -7,
    ]
    assert flag(None, "f", "") is False


def test_a_folder_and_a_missing_file(tmp_path):
    assert "is a folder" in refusal(read_text, tmp_path)
    assert "no such file" in refusal(read_text, tmp_path / "nowhere")
    assert "a.xml: no such file" in refusal(read_cvat, str(tmp_path / "a.xml"))
    assert f"{tmp_path} is not a VOC folder" in refusal(read_pascal, str(tmp_path))


def test_an_open_quote_in_class_descriptions_is_named_with_its_line(tmp_path):
    boxes = tmp_path / "train-annotations-bbox.csv"
    boxes.write_text("ImageID,LabelName,XMin,XMax,YMin,YMax\na,/m/01,0,1,0,1\n")
    (tmp_path / "class-descriptions-boxable.csv").write_text('/m/01,"cat\n/m/02,dog\n')
    with pytest.raises(InputError, match=r"class-descriptions-boxable\.csv: line 2: "):
        read_open_images(str(tmp_path))


def test_names_of_yolo_images_that_are_no_utf8_are_read(tmp_path):
    name = os.fsdecode(b"\xff.jpg")
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (40, 20)).save(tmp_path / "images" / name)
    (tmp_path / "labels" / name.replace(".jpg", ".txt")).write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "data.yaml").write_text("train: images\nnames: [cat]\n")
    (record,) = read_yolo(str(tmp_path)).records
    assert record.boxes.tolist() == [[10, 5, 30, 15]]
