import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import checked
from keras_retinanet.preprocessing.pascal_voc import PascalVocGenerator, read_pascal, voc_classes
from keras_retinanet.preprocessing.readers import read_coco

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
    """Writes the images of a set: {id: what is in its <annotation>}, and pictures 30 x 20 px."""

    def write(images, set_name="train", suffix=".jpg"):
        (folder / f"ImageSets/Main/{set_name}.txt").write_text("".join(f"{i}\n" for i in images))
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
    with pytest.raises(InputError, match="labels 0 to K - 1"):
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
    with pytest.raises(InputError, match=r"test.txt: no such file \(sets: empty, train, dog_train"):
        read_pascal(str(folder), "test")
    with pytest.raises(InputError, match=r"JPEGImages: expected a folder with ImageSets/Main"):
        read_pascal(str(folder / "JPEGImages"), "train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n<object>", r"line 2, column 11: malformed XML: mismatched tag"),
        (thing() + "<object></object>", r"object 2: expected a <name>"),
        ("<object><name>dog</name></object>", r"object 1 \(dog\): expected a <bndbox>"),
        (thing(box="<xmin>1</xmin>"), r"object 1: expected an <ymin> in <bndbox>"),
        (thing(box=BOX.replace("11", "left")), r"object 1: malformed xmin: 'left'"),
        (thing(box=BOX.replace("11", "nan")), r"object 1: malformed xmin: 'nan'"),
        (thing() + thing("dgo"), r"object 2: unknown class name: 'dgo' \(classes: dog, cat\)"),
    ],
)
def test_errors_name_file_and_object(write, text, message):
    with pytest.raises(InputError, match=rf"a.xml: {message}"):
        read_pascal(write({"a": text}), "train", ["dog", "cat"])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"line 1, column 1: malformed XML: no element found"),
        (b"<annotations/>", r"expected <annotation> as the root. Received: <annotations>"),
        (b'<?xml version="1.0" encoding="nonsense"?><annotation/>', r"line 1.*: malformed XML"),
    ],
)
def test_files_that_are_no_annotation(write, folder, data, message):
    write({"a": ""})
    (folder / "Annotations/a.xml").write_bytes(data)
    with pytest.raises(InputError, match=rf"a.xml: {message}"):
        read_pascal(str(folder), "train")


def test_a_missing_annotation(write, folder):
    write({"a": ""})
    (folder / "Annotations/a.xml").unlink()
    with pytest.raises(InputError, match=r"a.xml: no such file"):
        read_pascal(str(folder), "train")


def test_generator(write):
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


@pytest.mark.parametrize("annotations", ["pascalvoc_format", "imagenet_format/Annotations"])
def test_the_same_set_as_coco(shared, tmp_path, annotations):
    source = shared / "data/multiformat100/data/database"
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    ids = sorted(path.stem for path in (source / "images").iterdir())
    (tmp_path / "ImageSets/Main/all.txt").write_text("\n".join(ids))
    (tmp_path / "JPEGImages").symlink_to(source / "images")
    (tmp_path / "Annotations").symlink_to(source / "gts" / annotations)
    voc = read_pascal(str(tmp_path), "all", one_based=False)
    coco = read_coco(str(source / "gts/coco_format_v2/instances_v2.json"), str(source / "images"))
    assert len(boxes_of(voc)) == 273
    assert boxes_of(voc) == boxes_of(coco)


def boxes_of(dataset):
    return sorted(
        (record.path.rsplit("/", 1)[1], dataset.class_names[label], *box.tolist())
        for record in dataset.records
        for box, label in zip(record.boxes, record.labels, strict=True)
    )
