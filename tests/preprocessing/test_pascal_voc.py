import shutil
from pathlib import Path

import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import checked
from keras_retinanet.preprocessing.readers import read_coco
from keras_retinanet.preprocessing.readers.pascal_voc import read_pascal, splits, voc_classes

BOX = "<xmin>11</xmin><ymin>2</ymin><xmax>21.5</xmax><ymax>13</ymax>"


def thing(name="dog", box=BOX, marks=""):
    return f"<object><name>{name}</name>{marks}<bndbox>{box}</bndbox></object>"


@pytest.fixture
def folder(tmp_path):
    for name in ("ImageSets/Main", "Annotations", "JPEGImages"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def write(folder):
    """Writes the images of a set: {id: what is in its <annotation>}, and images 30 x 20 px."""

    def write(images, split="train", suffix=".jpg"):
        (folder / f"ImageSets/Main/{split}.txt").write_text("".join(f"{i}\n" for i in images))
        for image_id, text in images.items():
            (folder / f"Annotations/{image_id}.xml").write_text(f"<annotation>{text}</annotation>")
            Image.new("RGB", (30, 20)).save(folder / f"JPEGImages/{image_id}{suffix}")
        return str(folder)

    return write


def test_read_pascal(write, folder):
    data = read_pascal(write({"b": thing("dog") + thing("cat"), "a": ""}), "train")
    b, a = data.records
    assert data.class_names == ["cat", "dog"]
    assert data.category_ids == [1, 2]
    assert (b.image_id, a.image_id) == ("b", "a")
    assert b.path == str(folder / "JPEGImages/b.jpg")
    assert b.boxes.tolist() == [[10, 1, 20.5, 12]] * 2
    assert b.labels.tolist() == [1, 0]
    assert b.area.tolist() == [115.5] * 2  # 10.5 x 11
    assert not b.ignore.any()
    assert f"{b.origin} {b.entries[1]}" == f"{folder / 'Annotations/b.xml'}: object 2"
    assert a.boxes.shape == (0, 4)


def test_a_box_at_0_warns_of_zero_based_coordinates(write, folder, recwarn):
    zero = BOX.replace("<ymin>2<", "<ymin>0<")
    path = write({"a": thing(), "b": thing() + thing(box=zero), "c": thing(box=zero)})
    with pytest.warns(UserWarning, match="^2 boxes have") as warned:
        data = read_pascal(path, "train")
    assert len(warned) == 1
    assert str(warned[0].message) == (
        "2 boxes have an xmin or ymin of 0, but pixels are counted from 1; the first: "
        f"{folder}/Annotations/b.xml: object 2. "
        "If the coordinates count from 0, pass one_based=False."
    )
    assert data.records[1].boxes[1].tolist() == [10, -1, 20.5, 12]  # 1 is subtracted all the same
    read_pascal(path, "train", one_based=False)
    write({"a": thing()})
    read_pascal(path, "train")
    assert not recwarn.list


def test_an_image_whose_objects_are_all_faults_is_left_out(write):
    bad, faults = thing(box=BOX.replace("11", "x")), []
    path = write({"a": bad, "b": bad + thing(), "c": "", "d": thing("cow")})
    data = read_pascal(path, "train", ["dog"], faults=faults)
    assert [record.image_id for record in data.records] == ["b", "c"]
    assert len(faults) == 3


def test_zero_based_coordinates(write):
    data = read_pascal(write({"a": thing()}), "train", one_based=False)
    assert data.records[0].boxes.tolist() == [[11, 2, 21.5, 13]]


@pytest.mark.parametrize(
    ("options", "labels", "ignore"),
    [
        ({}, [0, 1, 2], [False, True, False]),
        ({"skip_difficult": True}, [0, 2], [False, False]),
        ({"skip_truncated": True}, [0, 1], [False, True]),
        ({"skip_difficult": True, "skip_truncated": True}, [0], [False]),
    ],
)
def test_difficult_and_truncated_objects(write, options, labels, ignore):
    text = (
        thing("a", marks="<difficult>0</difficult><truncated>0</truncated>")
        + thing("b", marks="<difficult>1</difficult>")
        + thing("c", marks="<difficult>0</difficult><truncated>1</truncated>")
    )
    (record,) = read_pascal(write({"x": text}), "train", ["a", "b", "c"], **options).records
    assert record.labels.tolist() == labels
    assert record.ignore.tolist() == ignore
    assert record.entries == tuple(label + 1 for label in labels)


def test_parts_of_an_object_are_not_objects(write):
    part = f"<part><name>head</name><bndbox>{BOX}</bndbox></part>"
    data = read_pascal(write({"a": thing("dog", marks=part)}), "train")
    assert data.class_names == ["dog"]
    assert len(data.records[0].boxes) == 1


@pytest.mark.parametrize("classes", [["dog", "cat"], {"cat": 1, "dog": 0}])
def test_classes_given(write, classes):
    data = read_pascal(write({"a": thing("cat")}), "train", classes)
    assert data.class_names == ["dog", "cat"]
    assert data.records[0].labels.tolist() == [1]


@pytest.mark.parametrize("classes", [["dog", "dog"], {"dog": 0, "cat": 2}, {"dog": 1}])
def test_classes_with_gaps(write, classes):
    with pytest.raises(InputError, match="must be 0 to K - 1"):
        read_pascal(write({"a": ""}), "train", classes)


@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".png", ".jpeg"])
def test_pictures_of_other_extensions_are_found(write, folder, suffix):
    data = read_pascal(write({"a": ""}, suffix=suffix), "train")
    assert data.records[0].path == str(folder / f"JPEGImages/a{suffix}")


def test_the_extension_asked_for_comes_first(write, folder):
    write({"a": ""}, suffix=".jpg")
    data = read_pascal(write({"a": ""}, suffix=".png"), "train", image_extension=".png")
    assert data.records[0].path == str(folder / "JPEGImages/a.png")


def test_the_file_name_in_the_annotation(write, folder):
    write({"a": "<filename>other.jpg</filename>"}, suffix=".xyz.png")
    Image.new("RGB", (3, 2)).save(folder / "JPEGImages/other.jpg")
    (record,) = read_pascal(str(folder), "train").records
    assert record.path == str(folder / "JPEGImages/other.jpg")


def test_a_missing_picture_keeps_its_expected_path(write, folder):
    write({"a": thing()})
    (folder / "JPEGImages/a.jpg").unlink()
    (record,) = read_pascal(str(folder), "train").records
    assert record.path == str(folder / "JPEGImages/a.jpg")


def test_set_files(write, folder):
    write({"a": "", "b": ""})
    (folder / "ImageSets/Main/dog_train.txt").write_text("a  1\r\n\r\nb -1\r\na  1\r\n")
    assert [r.image_id for r in read_pascal(str(folder), "dog_train").records] == ["a", "b"]
    assert [r.image_id for r in read_pascal(write({"a 1": ""}, "spaces"), "spaces").records] == [
        "a 1"
    ]
    (folder / "ImageSets/Main/spaces.txt").unlink()
    (folder / "ImageSets/Main/empty.txt").write_text("\n")
    with pytest.raises(InputError, match=r"empty.txt holds no images"):
        read_pascal(str(folder), "empty")
    with pytest.raises(
        InputError, match=r"test.txt: no such file \(splits: empty, train, dog_train"
    ):
        read_pascal(str(folder), "test")
    with pytest.raises(InputError, match=r"JPEGImages is not a VOC folder"):
        read_pascal(str(folder / "JPEGImages"), "train")


DATA = Path(__file__).parents[1] / "data" / "pascal"
OBJECTS = {  # a file of tests/data/pascal with one bad object: what it gives
    "object_without_name": "object 2: <name> must be text",
    "object_without_box": "object 2 lacks a <bndbox>, or a <polygon>",
    "box_without_side": "object 2: <bndbox> lacks <ymin>",
    "too_large": "object 2: malformed xmin: '1e39' is too large",
    "malformed_number": "object 2: malformed xmin: 'left' is not a number",
    "not_a_number": "object 2: malformed xmin: 'nan' is not a number",
    "unknown_class": "object 2: unknown class name: 'dgo' (classes: dog, cat)",
}
FILES = {  # a file of no use
    "malformed": "line 2, column 11: malformed XML: mismatched tag",
    "empty": "line 1, column 1: malformed XML: no element found",
    "other_root": "expected <annotation> as the root, got <annotations>",
    "unknown_encoding": "line 1: malformed XML: unknown encoding: nonsense",
}


@pytest.fixture
def flat(tmp_path):
    """Copies a specimen into a new folder, beside the image."""

    def flat(name):
        shutil.copy(DATA / f"{name}.xml", tmp_path)
        shutil.copy(DATA.parent / "images/good.png", tmp_path)
        return str(tmp_path)

    return flat


@pytest.mark.parametrize("name", OBJECTS | FILES)
def test_each_defect_gives_its_message(flat, name):
    with pytest.raises(InputError) as caught:
        read_pascal(flat(name), classes=["dog", "cat"])
    file = f"{flat(name)}/{name}.xml"
    assert str(caught.value).startswith(f"{file}: {(OBJECTS | FILES)[name]}")


@pytest.mark.parametrize("name", OBJECTS | FILES)
def test_faults_are_collected_and_the_other_objects_kept(flat, name):
    faults = []
    data = read_pascal(flat(name), classes=["dog", "cat"], faults=faults)
    assert [
        fault.startswith(f"{flat(name)}/{name}.xml: {(OBJECTS | FILES)[name]}") for fault in faults
    ] == [True]
    boxes = [record.boxes.tolist() for record in checked(data).records] if name in OBJECTS else []
    assert boxes == ([[[10, 1, 20, 12]]] if name in OBJECTS else [])


def test_every_specimen_has_its_message():
    assert {path.stem for path in DATA.iterdir()} == set(OBJECTS | FILES)


SIZE = "<size><width>30</width><height>20</height><depth/></size>"


def test_the_stated_size(write):
    texts = {"a": SIZE, "b": SIZE.replace("30", "0"), "c": SIZE.replace("20", ""), "d": ""}
    records = read_pascal(write(texts), "train").records
    assert [record.stated_size for record in records] == [(30, 20), None, None, None]


@pytest.mark.parametrize("split", [None, "train"])
@pytest.mark.parametrize(
    ("annotations", "images"),
    [
        ("Annotations", "JPEGImages"),
        ("Annotations", "images"),
        ("Annotations", "Annotations"),
        ("", ""),
        ("", "images"),
        ("", "apart"),
    ],
)
def test_layouts_without_lists_of_sets(tmp_path, annotations, images, split):
    """A folder that is the set, or holds one of its name, as Roboflow makes them."""
    folder = tmp_path / (split or "")
    for path in (folder / annotations, folder / images):
        path.mkdir(parents=True, exist_ok=True)
    for name in ("b", "a", "._a"):
        text = f"<annotation>{SIZE}{thing()}</annotation>" if name in "ab" else "of a Mac"
        (folder / annotations / f"{name}.xml").write_text(text)
    Image.new("RGB", (30, 20)).save(folder / images / "a.png")
    images_dir = str(folder / "apart") if images == "apart" else None
    data = read_pascal(str(tmp_path), split, images_dir=images_dir)
    assert [record.image_id for record in data.records] == ["a", "b"]
    assert data.records[0].path == str(folder / images / "a.png")
    assert data.records[0].boxes.tolist() == [[10, 1, 20.5, 12]]
    assert splits(tmp_path) == [split] * bool(split)
    if split is None:
        with pytest.raises(InputError, match=r"has no ImageSets/Main/val.txt; add the file"):
            read_pascal(str(tmp_path), "val")


def test_lists_beside_main_and_all_files(write, folder):
    write({"a": "", "b": thing()}, "all")
    (folder / "ImageSets/Main/all.txt").rename(folder / "ImageSets/half.txt")
    (folder / "ImageSets/Main").rmdir()
    (folder / "ImageSets/half.txt").write_text("b\n")
    assert splits(folder) == ["half"]
    assert [r.image_id for r in read_pascal(str(folder), "half").records] == ["b"]
    assert [r.image_id for r in read_pascal(str(folder)).records] == ["a", "b"]


def test_a_vocdevkit_says_which_folder_to_name(write, folder, tmp_path_factory):
    write({"a": ""})
    parent = tmp_path_factory.mktemp("parent")
    (parent / "VOCdevkit").mkdir()
    for name in ("VOC2007", "VOC2012"):
        (parent / "VOCdevkit" / name).symlink_to(folder)
    with pytest.raises(InputError, match=r"Name one of its folders: VOC2007, VOC2012\.$"):
        read_pascal(str(parent / "VOCdevkit"), "train")
    with pytest.raises(InputError, match=r"Name one of its folders: VOCdevkit\.$"):
        read_pascal(str(parent), "train")
    with pytest.raises(InputError, match=r"Annotations, .*, or a folder of XML files\.$"):
        read_pascal(str(folder / "ImageSets" / "Main"))


def test_a_missing_annotation(write, folder):
    write({"a": ""})
    (folder / "Annotations/a.xml").unlink()
    with pytest.raises(InputError, match=r"a.xml: no such file"):
        read_pascal(str(folder), "train")


def test_generator(write):
    from keras_retinanet.preprocessing.pascal_voc import PascalVocGenerator

    folder = write({"a": thing("person")})
    generator = PascalVocGenerator(folder, "train", group_method="none")
    assert generator.size() == 1
    assert generator.num_classes() == len(voc_classes) == 20
    assert generator.load_annotations(0)["labels"].tolist() == [voc_classes["person"]]
    assert generator.load_annotations(0)["bboxes"].tolist() == [[10, 1, 20.5, 12]]
    generator = PascalVocGenerator(folder, "train", ["person"], one_based=False)
    assert generator.num_classes() == 1
    assert generator.load_annotations(0)["bboxes"].tolist() == [[11, 2, 21.5, 13]]


def test_bccd(shared):
    folder = str(shared / "data/bccd/BCCD")
    for name, images, boxes in (("train", 205, 2804), ("val", 87, 1137)):
        with pytest.warns(UserWarning, match=r"Dropped 1 of \d+ boxes .*BloodImage_003(38|43).xml"):
            data = checked(read_pascal(folder, name))
        assert len(data.records) == images
        assert sum(len(record.boxes) for record in data.records) == boxes
        assert data.class_names == ["Platelets", "RBC", "WBC"]
    assert len(checked(read_pascal(folder, "test"), strict=True).records) == 72


def test_the_lists_of_imagenet(shared):
    source = shared / "data/multiformat100/data/database"
    folder = source / "gts/imagenet_format"
    assert splits(folder) == ["default"]
    data = read_pascal(str(folder), "default", images_dir=str(source / "images"), one_based=False)
    coco = read_coco(str(source / "gts/coco_format_v2/instances_v2.json"), str(source / "images"))
    assert len(boxes_of(data)) == 273
    assert boxes_of(data) == boxes_of(coco)


def test_fixtures_of_others(shared):
    folder = shared / "data/fmt_datumaro/tests/assets"
    voc = checked(read_pascal(str(folder / "voc_dataset/voc_dataset1"), "train"), strict=True)
    # 1 2 3 4 of the cat and 4 5 6 7 of the person, counted from 1; the head is but a part
    assert boxes_of(voc) == [
        ("2007_000001.jpg", "cat", 0, 1, 2, 3),
        ("2007_000001.jpg", "person", 3, 4, 5, 6),
    ]
    roboflow = str(folder / "roboflow_dataset/voc")
    assert splits(roboflow) == ["train", "val"]
    data = checked(read_pascal(roboflow, "val", one_based=False), strict=True)
    assert boxes_of(data) == [
        ("val_001.jpg", "label_0", 0, 0, 1, 2),
        ("val_001.jpg", "label_1", 0, 0, 9, 1),
    ]
    assert [record.stated_size for record in data.records] == [(10, 5)]


def boxes_of(dataset):
    return sorted(
        (record.path.rsplit("/", 1)[1], dataset.class_names[label], *box.tolist())
        for record in dataset.records
        for box, label in zip(record.boxes, record.labels, strict=True)
    )
