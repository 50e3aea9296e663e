"""Files as labelling tools, spreadsheets and other machines write them."""

import base64
import csv
import io
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import checked
from keras_retinanet.preprocessing.readers import (
    read_coco,
    read_csv,
    read_cvat,
    read_kitti,
    read_labelme,
    read_open_images,
    read_pascal,
    read_yolo,
)
from keras_retinanet.preprocessing.readers.coco import splits as coco_splits
from keras_retinanet.preprocessing.readers.recognise import kind_of
from keras_retinanet.preprocessing.source import (
    DataSource,
    open_dataset,
    read_splits,
    read_training,
)
from keras_retinanet.preprocessing.writers import WRITERS
from keras_retinanet.utils.image_file import read_image_rgb

CAT, DOG = [20, 30, 60, 80], [80, 20, 140, 100]
BNDBOX = "<bndbox><xmin>21</xmin><ymin>31</ymin><xmax>61</xmax><ymax>81</ymax></bndbox>"


@pytest.fixture
def write(tmp_path):
    """Writes files {path: text or JSON}, and images of 160 x 120 px for the names without text."""

    def write(*images, **texts):
        for name in (*images, *texts):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        for name in images:
            Image.new("RGB", (160, 120)).save(tmp_path / name)
        for name, text in texts.items():
            content = text if isinstance(text, str) else json.dumps(text)
            (tmp_path / name).write_text(content, newline="")
        return str(tmp_path)

    return write


def boxes_of(data):
    return {
        Path(record.path).name: [
            (data.class_names[label], box.tolist())
            for label, box in zip(record.labels, record.boxes, strict=True)
        ]
        for record in data.records
    }


def coco(images=({"id": 1, "file_name": "a.jpg"},), categories=None, **annotation):
    content = {"image_id": 1, "category_id": 1, "bbox": [20, 30, 40, 50], **annotation}
    categories = categories or [{"id": 1, "name": "cat"}]
    return {"images": list(images), "categories": categories, "annotations": [content]}


def thing(inside, name="cat"):
    return f"<annotation><object><name>{name}</name>{inside}</object></annotation>"


CASES = {  # a folder of shared/cases, and what is named in it: (kind, {image: objects}, warning)
    "labelstudio_yolo": ("yolo", 4, [("cat", CAT), ("dog", DOG)], None),
    "roboflow_coco": ("coco", 4, [("cat", CAT), ("dog", DOG)], "left out the category pets"),
    "coco_strings/instances.json": ("coco", 3, [("cat", CAT), ("dog", DOG)], None),
    "yolo_yes_no": ("yolo", 2, [("yes", CAT), ("no", DOG)], None),
    "csv_windows_abs/boxes.csv": ("csv", 3, [("cat", CAT)], None),
    "csv_space_quotes/boxes.csv": ("csv", 3, [("cat", CAT)], None),
    "csv_excel_sep/boxes.csv": ("csv", 3, [("Katze", [20.5, 30, 60, 80]), ("Hund", DOG)], None),
    "csv_zero_rows/boxes.csv": ("csv", 2, [("Tree", CAT)], "Read 1 rows with the box 0,0,0,0"),
    "csv_percent/boxes.csv": ("csv", 3, [("cat", [20.1, 30.2, 60.3, 80.4])], None),
    "voc_cvat_default": ("pascal", 2, [("cat", [20, 30, 59, 79])], None),
    "voc_polygon": ("pascal", 2, [("cat", [20, 30, 59, 79])], None),
    "cvat_images": (
        "cvat",
        1,
        [("cat", CAT), ("dog", DOG), ("dog", [30, 40, 50, 70]), ("dog", [80, 20, 140, 95])],
        None,
    ),
    "huge_image/b.csv": ("csv", 2, [("tree", [100, 100, 400, 400])], None),
}


@pytest.mark.parametrize("name", CASES)
def test_cases(shared, name):
    path = shared / "cases" / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    kind, images, objects, message = CASES[name]
    folder = str(path.parent / "images") if "windows" in name else None
    assert kind_of(path) == kind
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train, _ = read_training(DataSource(kind, str(path), images=folder))
    data = checked(train, strict=True)
    assert len(data.records) == images
    first = next(iter(boxes_of(data).values()))
    assert [n for n, _ in first] == [n for n, _ in objects]
    np.testing.assert_allclose([b for _, b in first], [b for _, b in objects], atol=1e-3)
    assert bool(caught) == (message is not None)
    assert all(message in str(each.message) for each in caught)


def test_cases_that_are_refused(shared):
    for name, words in {
        "coco_flat/ann.json": ("cam1/0.jpg", "cam2/0.jpg", "images/0.jpg"),
        "voc_list_missing": ("a 7.xml: no such file",),
    }.items():
        path = shared / "cases" / name
        if not path.exists():
            pytest.skip(f"{path} is not there")
        with pytest.raises(InputError) as caught:
            open_dataset(path)
        assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("value", ["0", "false", "False", " FALSE ", 0, 0.0, False, None, ""])
def test_flags_that_are_not_set(write, value):
    folder = write(**{"a.json": coco(iscrowd=value)})
    assert not read_coco(f"{folder}/a.json", folder).records[0].ignore.any()


@pytest.mark.parametrize("value", ["1", "true", "TRUE", 1, 1.0, True])
def test_flags_that_are_set(write, value):
    folder = write(**{"a.json": coco(iscrowd=value)})
    assert read_coco(f"{folder}/a.json", folder).records[0].ignore.all()


@pytest.mark.parametrize("value", ["maybe", 2, -1, [], {}, [1], "0 1"])
def test_a_flag_of_another_kind_is_an_error(write, value):
    folder = write(**{"a.json": coco(iscrowd=value, id=7)})
    with pytest.raises(InputError, match="annotation 7: malformed iscrowd: "):
        read_coco(f"{folder}/a.json", folder)


@pytest.mark.parametrize(("text", "ignored"), [("0", False), ("false", False), ("True", True)])
def test_flags_of_other_formats(write, text, ignored):
    folder = write(
        "img/a.jpg",
        **{
            "a.xml": thing(f"<difficult>{text}</difficult>{BNDBOX}"),
            "oid.csv": "ImageID,LabelName,XMin,YMin,XMax,YMax,IsGroupOf\n"
            f"a,cat,0.1,0.1,0.5,0.5,{text}\n",
        },
    )
    assert read_pascal(folder).records[0].ignore.tolist() == [ignored]
    data = read_open_images(f"{folder}/oid.csv", images_dir=f"{folder}/img")
    assert data.records[0].ignore.tolist() == [ignored]
    for name in ("difficult", "truncated"):
        write(**{"a.xml": thing(f"<{name}>perhaps</{name}>{BNDBOX}")})
        with pytest.raises(InputError, match=f"object 1: malformed {name}: 'perhaps'"):
            read_pascal(folder)


def test_ids_and_numbers_of_coco_as_text(write):
    images = [{"id": "1", "file_name": "a.jpg"}, {"id": 2.0, "file_name": "b.jpg"}]
    categories = [{"id": "01", "name": "cat"}]
    content = coco(images, categories, bbox=["20", "30.0", 40, "50"], area="7", category_id=1.0)
    content["annotations"].append({"image_id": "2", "category_id": "1", "bbox": [1, 2, 3, 4]})
    folder = write(**{"a.json": content})
    data = read_coco(f"{folder}/a.json", folder)
    assert boxes_of(data) == {"a.jpg": [("cat", CAT)], "b.jpg": [("cat", [1, 2, 4, 6])]}
    assert [record.image_id for record in data.records] == ["1", 2]
    assert data.records[0].area.tolist() == [7]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"bbox": "1234"}, "'1234'"),
        ({"bbox": {"1": 1, "2": 2, "3": 3, "4": 4}}, "annotation 5: expected a bbox"),
        ({"bbox": [True, 1, 5, 5]}, "[True, 1, 5, 5]"),
        ({"bbox": [1, 1, "1_0", 5]}, "'1_0'"),
        ({"area": -5}, "area=-5"),
        ({"area": True}, "area=True"),
        ({"image_id": True}, "unknown image_id: True"),
        ({"category_id": True}, "unknown category_id: True"),
        ({"category_id": [1]}, "unknown category_id: [1]"),
        ({"category_id": 1.5}, "unknown category_id: 1.5"),
    ],
)
def test_values_of_other_types_in_coco_are_errors(write, entry, words):
    folder = write(**{"a.json": coco(id=5, **entry)})
    with pytest.raises(InputError) as caught:
        read_coco(f"{folder}/a.json", folder)
    assert "annotation 5: " in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", [None, [], {}, "", " ", True, 1.5])
def test_a_category_needs_a_name(write, name):
    folder = write(**{"a.json": coco(categories=[{"id": 1, "name": name}])})
    with pytest.raises(InputError, match="category 1: name must be text"):
        read_coco(f"{folder}/a.json", folder)


def test_a_heading_of_the_categories_is_left_out_only_without_boxes(write):
    categories = [
        {"id": 0, "name": "pets", "supercategory": "none"},
        {"id": 1, "name": "cat", "supercategory": "pets"},
    ]
    folder = write("a.jpg", **{"a.json": coco(categories=categories)})
    with pytest.warns(UserWarning, match="a.json: left out the category pets"):
        assert read_coco(f"{folder}/a.json", folder).class_names == ["cat"]
    write(**{"a.json": coco(categories=categories, category_id=0)})
    assert read_coco(f"{folder}/a.json", folder).class_names == ["pets", "cat"]
    categories[0]["supercategory"] = "pets"
    write(**{"a.json": coco(categories=categories)})
    assert read_coco(f"{folder}/a.json", folder).class_names == ["pets", "cat"]


@pytest.mark.parametrize(
    "names", ["[yes, no, 010, 1:30, 1.0]", "{0: yes, 1: no, 2: 010, 3: 1:30, 4: 1.0}"]
)
def test_names_in_yaml_are_as_they_are_written(write, names):
    yaml = f"train: images\nval: null\nnc: 5\nnames: {names}\n"
    folder = write("images/a.jpg", **{"data.yaml": yaml})
    assert read_yolo(folder).class_names == ["yes", "no", "010", "1:30", "1.0"]


def test_side_files_do_not_decide_the_format(write):
    notes = {"categories": [{"id": 0, "name": "cat"}], "info": {}}
    folder = write(
        "images/a.jpg",
        **{"labels/a.txt": "0 0.25 0.5 0.25 0.5\n", "classes.txt": "cat", "notes.json": notes},
    )
    assert kind_of(folder) == "yolo"
    write(**{"train.json": coco()})
    assert kind_of(folder) == "coco"
    assert coco_splits(folder) == ["train"]


def test_a_choice_between_formats_is_said(write):
    folder = write(**{"data.yaml": "names: [cat]\n", "train.json": coco()})
    with pytest.warns(UserWarning, match=r"yolo \(data.yaml\), coco \(train.json\);"):
        assert kind_of(folder) == "yolo"


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("data.yaml", "names: [cat]\ntrain: images\n", "yolo"),
        ("a.json", '{"images": [], "annotations": [], "categories": []}', "coco"),
        ("a.json", '{"shapes": [], "imagePath": "a.png"}', "labelme"),
        ("a.xml", "<annotation/>", "pascal"),
        ("label_2.txt", "Car 0 0 0 1 2 3 4 0 0 0 0 0 0 0\n", "kitti"),
        ("a.csv", "sep=,\nImageID,LabelName,XMin,XMax,YMin,YMax\n", "oid"),
    ],
)
def test_a_byte_order_mark_does_not_hide_the_format(write, name, text, kind):
    folder = write(**{name: f"\ufeff{text}"})
    assert kind_of(f"{folder}/{name}") == kind
    if kind in ("coco", "labelme", "pascal", "kitti"):
        assert kind_of(folder) == kind


def test_annotations_in_sub_folders(write, tmp_path):
    folder = write(
        "JPEGImages/sub dir/frame 0.jpg",
        **{
            "Annotations/sub dir/frame 0.xml": thing(BNDBOX),
            "ImageSets/Main/default.txt": "sub dir/frame 0\n",
        },
    )
    assert kind_of(folder) == "pascal"
    for split in ("default", None):
        assert boxes_of(read_pascal(folder, split)) == {"frame 0.jpg": [("cat", CAT)]}
    (tmp_path / "deep" / "er").mkdir(parents=True)
    other = tmp_path / "deep/er/a.json"
    other.write_text('{"shapes": [], "imagePath": "a.png"}')
    assert kind_of(tmp_path / "deep") == "labelme"
    other.rename(tmp_path / "deep/er/annotations.xml").write_text("<annotations/>")
    assert kind_of(tmp_path / "deep") == "cvat"


@pytest.mark.parametrize(
    ("line", "image_id"),
    [
        ("a 0", "a 0"),
        ("a 1", "a 1"),
        ("b 1", "b"),
        ("b  -1", "b"),
        ("b.jpg", "b"),
        ("a 0.jpg 1", "a 0"),
        ("c.jpg", "c.jpg"),
    ],
)
def test_names_in_lists_of_voc(write, line, image_id):
    xml = {f"Annotations/{name}.xml": "<annotation/>" for name in ("a 0", "a 1", "b", "c.jpg")}
    folder = write(**xml, **{"ImageSets/Main/train.txt": f"{line}\n"})
    assert [record.image_id for record in read_pascal(folder, "train").records] == [image_id]


def test_a_name_in_a_list_is_never_cut_to_another_image(write):
    xml = {f"Annotations/{name}.xml": "<annotation/>" for name in ("a", "a 0")}
    folder = write(**xml, **{"ImageSets/Main/train.txt": "a 7\n"})
    with pytest.raises(InputError, match=r"a 7.xml: no such file"):
        read_pascal(folder, "train")


def test_names_in_lists_of_kitti(write):
    label = "Car 0 0 0 20 30 60 80 0 0 0 0 0 0 0\n"
    files = {"training/label_2/a 1.txt": label, "ImageSets/train.txt": "a 1.png\n"}
    folder = write("training/image_2/a 1.png", **files)
    assert boxes_of(read_kitti(folder, "train")) == {"a 1.png": [("Car", CAT)]}


ROWS = {  # a row of CSV and its boxes, for the spelling of fields
    '"images/a.jpg", 20, 30, 60, 80, "cat"\n': CAT,
    '"images/a.jpg" ,20 ,30,60,80 ,"cat" \n': CAT,
    "sep=;\nimages/a.jpg;20,5;30;60;80;cat\n": [20.5, 30, 60, 80],
    '"sep=;"\r\nimages/a.jpg;20,5;30;60;80;cat\r\n': [20.5, 30, 60, 80],
    "SEP=\t\nimages/a.jpg\t20,5\t30\t60\t80\tcat\n": [20.5, 30, 60, 80],
    "\ufeffsep=|\nimages/a.jpg|20.5|30|60|80|cat\n": [20.5, 30, 60, 80],
    "C:\\Users\\someone\\project\\images\\a.jpg,20,30,60,80,cat\n": CAT,
    "file:///home/someone/images/a.jpg,20,30,60,80,cat\n": CAT,
}


@pytest.mark.parametrize("text", ROWS)
def test_rows_of_csv(write, text):
    folder = write("images/a.jpg", **{"boxes.csv": text})
    data = read_csv(f"{folder}/boxes.csv")
    assert boxes_of(data) == {"a.jpg": [("cat", ROWS[text])]}
    assert Path(data.records[0].path).is_file()


def test_blanks_and_floats_in_files_of_classes(write):
    files = {"boxes.csv": "a.jpg,1,2,3,4,dog\n", "classes.csv": '"cat", 0.0\n"dog", 1.0\n'}
    folder = write("a.jpg", **files)
    data = read_csv(f"{folder}/boxes.csv", f"{folder}/classes.csv")
    assert (data.class_names, data.records[0].labels.tolist()) == (["cat", "dog"], [1])


def test_zero_rows_are_empty_images(write):
    text = "a.jpg,20,30,60,80,cat\nb.jpg,0,0,0,0,none\nc.jpg,0.0,0,0,0.0,\n"
    folder = write("a.jpg", "b.jpg", "c.jpg", **{"boxes.csv": text})
    with pytest.warns(UserWarning, match=r"^Read 2 rows .*boxes.csv: line 2\.$"):
        data = read_csv(f"{folder}/boxes.csv")
    assert boxes_of(data) == {"a.jpg": [("cat", CAT)], "b.jpg": [], "c.jpg": []}


def formats_naming(name):
    """{format: (files, reader)} of data sets in which each names the image of one object."""
    points = [[20, 30], [60, 80]]
    cvat = f'<annotations><image name="{name}"><box label="cat" xtl="20" ytl="30" xbr="60" '
    cvat += 'ybr="80"/></image></annotations>'
    return {
        "csv": ({"d/x.csv": f"{name},20,30,60,80,cat\n"}, lambda f: read_csv(f"{f}/d/x.csv")),
        "coco": (
            {"d/x.json": coco([{"id": 1, "file_name": name}])},
            lambda f: read_coco(f"{f}/d/x.json"),
        ),
        "labelme": (
            {"d/x.json": {"shapes": [{"label": "cat", "points": points}], "imagePath": name}},
            lambda f: read_labelme(f"{f}/d/x.json"),
        ),
        "pascal": (
            {"d/x.xml": thing(BNDBOX).replace("<object>", f"<filename>{name}</filename><object>")},
            lambda f: read_pascal(f"{f}/d"),
        ),
        "cvat": ({"d/x.xml": cvat}, lambda f: read_cvat(f"{f}/d/x.xml")),
        "yolo": (
            {
                "d/data.yaml": "names: [cat]\ntrain: list.txt\n",
                "d/list.txt": f"{name}\n",
                "d/my photo (1).txt": f"0 0.25 {55 / 120} 0.25 {50 / 120}\n",
                "d/a.txt": f"0 0.25 {55 / 120} 0.25 {50 / 120}\n",
            },
            lambda f: read_yolo(f"{f}/d"),
        ),
    }


FORMATS = list(formats_naming(""))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "name", ["my%20photo%20(1).jpg", "C:\\mine\\my photo (1).jpg", "/mine/my%20photo%20(1).jpg"]
)
def test_names_of_other_machines_and_of_the_web(write, kind, name):
    files, read = formats_naming(name)[kind]
    data = checked(read(write("d/my photo (1).jpg", **files)), strict=True)
    ((found, [(label, box)]),) = boxes_of(data).items()
    assert (found, label) == ("my photo (1).jpg", "cat")
    np.testing.assert_allclose(box, CAT, atol=1e-4)


@pytest.mark.parametrize("kind", FORMATS)
def test_images_outside_the_folder_are_said_and_refused_if_strict(write, kind):
    files, read = formats_naming("../elsewhere/a.jpg")[kind]
    folder = write("elsewhere/a.jpg", **files)
    with pytest.warns(UserWarning, match=r"^Read 1 file outside .*; .*elsewhere/a\.jpg\.$"):
        checked(read(folder), need_boxes=False)
    with pytest.raises(InputError, match=r"Read 1 file outside .*elsewhere/a\.jpg"):
        checked(read(folder), strict=True, need_boxes=False)


def test_class_names_outside_the_folder_are_said(write):
    files = {"d/obj.data": "names = ../names.txt\ntrain = t.txt\n", "d/t.txt": "a.jpg\n"}
    folder = write("d/a.jpg", **files, **{"names.txt": "cat\n"})
    with pytest.warns(UserWarning, match=r"^Read 1 file outside .*; .*names\.txt\.$"):
        data = open_dataset(f"{folder}/d")
    assert data.class_names == ["cat"]
    with pytest.warns(UserWarning, match="names.txt"):
        read_splits(DataSource("yolo", f"{folder}/d"))


def flattened():
    """{format: (files, reader)} of data sets whose entries of two folders lead to one file."""
    names = ("cam1/a.jpg", "cam2/a.jpg")
    images = [{"id": i, "file_name": name} for i, name in enumerate(names, start=1)]
    cvat = "".join(f'<image name="{name}"/>' for name in names)
    shapes = [{"shapes": [], "imagePath": name} for name in names]
    lists = {"obj.data": "names = n.txt\ntrain = t.txt\n", "n.txt": "cat\n"}
    return {
        "csv": ({"x.csv": "".join(f"{n},,,,,\n" for n in names)}, lambda f: read_csv(f"{f}/x.csv")),
        "coco": ({"x.json": coco(images)}, lambda f: read_coco(f"{f}/x.json")),
        "labelme": ({"x.json": shapes[0], "y.json": shapes[1]}, read_labelme),
        "pascal": (
            {f"Annotations/{name[:-4]}.xml": "<annotation/>" for name in names},
            read_pascal,
        ),
        "cvat": ({"x.xml": f"<annotations>{cvat}</annotations>"}, read_cvat),
        "yolo": ({**lists, "t.txt": "\n".join(names)}, read_yolo),
    }


@pytest.mark.parametrize("kind", FORMATS)
def test_two_entries_that_lead_to_one_file_are_an_error(write, kind):
    files, read = flattened()[kind]
    folder = write("images/a.jpg" if kind in ("coco", "cvat", "pascal") else "a.jpg", **files)
    with pytest.raises(InputError) as caught:
        read(folder)
    assert all(f"'cam{i}/a.jpg'" in str(caught.value) for i in (1, 2))
    folder = write("cam1/a.jpg", "cam2/a.jpg", **files)
    if kind in ("csv", "yolo", "labelme"):
        assert len(read(folder).records) == 2


POLYGONS = [
    "<polygon><x1>21</x1><y1>31</y1><x2>61</x2><y2>31</y2><x3>40</x3><y3>81</y3></polygon>",
    "<polygon><pt><x>21</x><y>31</y></pt><pt><x>61</x><y>81</y></pt></polygon>",
]


@pytest.mark.parametrize("polygon", POLYGONS)
def test_the_box_around_a_polygon_of_voc(write, polygon):
    assert boxes_of(read_pascal(write("a.jpg", **{"a.xml": thing(polygon)}))) == {
        "a.jpg": [("cat", CAT)]
    }


@pytest.mark.parametrize("more", [{}, {"bbox": []}, {"bbox": None}])
def test_the_box_around_polygons_of_coco(write, more):
    content = coco(segmentation=[[20, 30, 50, 30, 40, 60], [60, 80, 30, 40, 41, 42]])
    content["annotations"][0].pop("bbox")
    content["annotations"][0].update(more)
    folder = write("a.jpg", **{"a.json": content})
    assert boxes_of(read_coco(f"{folder}/a.json", folder)) == {"a.jpg": [("cat", CAT)]}


def test_skeletons_and_cuboids_of_cvat(write):
    part = '<points label="{}" outside="{}" points="{}"/>'
    skeleton = part.format(1, 0, "20,30") + part.format(2, 0, "60,80") + part.format(3, 1, "0,0")
    corners = {"tl1": (20, 35), "bl1": (20, 75), "tr1": (50, 35), "br1": (50, 75)}
    corners |= {"tl2": (30, 30), "bl2": (30, 80), "tr2": (60, 30), "br2": (60, 80)}
    sides = " ".join(f'x{name}="{x}" y{name}="{y}"' for name, (x, y) in corners.items())
    shapes = f'<skeleton label="a">{skeleton}</skeleton><cuboid label="b" {sides}/>'
    gone = f'<skeleton label="a">{part.format(1, 1, "5,5")}</skeleton>'
    xml = f'<annotations><image name="a.jpg">{shapes}{gone}</image></annotations>'
    folder = write("a.jpg", **{"a.xml": xml})
    assert boxes_of(read_cvat(folder)) == {"a.jpg": [("a", CAT), ("b", CAT)]}
    track = f'<track id="0" label="a"><skeleton frame="1">{skeleton}</skeleton></track>'
    write("frame_000001.jpg", **{"a.xml": f"<annotations>{track}</annotations>"})
    assert boxes_of(read_cvat(folder)) == {"frame_000001.jpg": [("a", CAT)]}


def test_shares_a_hair_beyond_1(write):
    files = {"labels/a.txt": "0 0.5 0.5 1.004 1\n", "classes.txt": "cat"}
    (record,) = checked(read_yolo(write("images/a.jpg", **files)), strict=True).records
    assert record.boxes.tolist() == [[0, 0, 160, 120]]


@pytest.fixture
def packed(write):
    """A folder of one labelme file that packs its image of 4 x 6 px, and the pixels."""
    pixels = np.random.default_rng(0).integers(0, 255, (6, 4, 3), "uint8")
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "png")
    shapes = [{"label": "cat", "points": [[1, 1], [3, 4]]}]
    content = {"shapes": shapes, "imagePath": "..\\gone\\b.png"}
    content["imageData"] = base64.b64encode(data.getvalue()).decode()
    return write(**{"in/a.json": content}), pixels


def test_a_packed_image_is_read_where_it_is(packed, tmp_path, monkeypatch):
    folder, pixels = packed
    monkeypatch.setattr("tempfile.mkdtemp", None)
    (record,) = checked(read_labelme(f"{folder}/in"), strict=True).records
    np.testing.assert_array_equal(read_image_rgb(record.path), pixels)
    assert record.size == (4, 6)
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "a.json"]


@pytest.mark.parametrize("pictures", ["copy", "link"])
def test_a_packed_image_is_written_under_its_name(packed, pictures):
    folder, pixels = packed
    data = checked(read_labelme(f"{folder}/in"))
    WRITERS["csv"](data, f"{folder}/out", "train", image_files=pictures)
    (row,) = csv.reader(Path(folder, "out/train.csv").read_text().splitlines())
    assert row == ["images/train/b.png", "1", "1", "3", "4", "cat"]
    np.testing.assert_array_equal(read_image_rgb(Path(folder, "out", row[0])), pixels)


def test_a_packed_image_needs_to_be_written(packed):
    folder, _ = packed
    with pytest.raises(InputError, match=r"in/a\.json: the image is only in this file"):
        WRITERS["csv"](checked(read_labelme(folder)), f"{folder}/out", "train", image_files="none")
    assert not Path(folder, "out").exists()
