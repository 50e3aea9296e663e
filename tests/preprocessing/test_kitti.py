import shutil
from pathlib import Path

import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import checked, with_classes
from keras_retinanet.preprocessing.readers.kitti import kitti_classes, read_kitti, splits

DATA = Path(__file__).parents[1] / "data" / "kitti"
LINES = {  # a file of tests/data/kitti with one bad line: what it gives
    "few_fields": "line 2: expected 15 fields, or 16 with a score, got 8",
    "many_fields": "line 2: expected 15 fields, or 16 with a score, got 17",
    "malformed_number": "line 2: malformed right: 'right' is not a number",
    "not_a_number": "line 2: malformed right: 'nan' is not a number",
    "too_large": "line 2: malformed right: '1e39' is too large",
    "unknown_class": "line 2: unknown class name: 'Tank' (classes: Car)",
}
FILES = {"not_utf8": "line 2 is not UTF-8"}


def line(name="Car", box="1 2 30.5 14", more=""):
    return f"{name} 0.00 0 -1.57 {box} 1.5 1.6 3.7 0 1.7 20 -1.6{more}\n"


@pytest.fixture
def write(tmp_path):
    """Writes label files {id: text} and images of 60 x 40 px."""

    def write(texts, labels="training/label_2", images="training/image_2", suffix=".png"):
        for name in (labels, images):
            (tmp_path / name).mkdir(parents=True, exist_ok=True)
        for image_id, text in texts.items():
            (tmp_path / labels / f"{image_id}.txt").write_text(text)
            Image.new("RGB", (60, 40)).save(tmp_path / images / f"{image_id}{suffix}")
        return str(tmp_path)

    return write


@pytest.fixture
def specimen(tmp_path):
    """Copies a specimen into a new data set; gives the folder and the file."""

    def specimen(name):
        folders = [tmp_path / "training" / name for name in ("label_2", "image_2")]
        for folder in folders:
            folder.mkdir(parents=True)
        shutil.copy(DATA / f"{name}.txt", folders[0])
        shutil.copy(DATA.parent / "images/good.png", folders[1] / f"{name}.png")
        return str(tmp_path), f"{folders[0]}/{name}.txt"

    return specimen


def test_an_image_whose_lines_are_all_faults_is_left_out(write):
    bad, faults = line(box="1 2 x 14"), []
    folder = write({"0": bad, "1": bad + line(), "2": "", "3": line("Tank")})
    data = read_kitti(folder, classes=["Car"], faults=faults)
    assert [record.image_id for record in data.records] == ["1", "2"]
    assert len(faults) == 3


def test_read_kitti(write, tmp_path):
    text = line("Tram") + "\n" + line("Zebra", "0 0 9.25 8", " 0.9") + line("DontCare", "5 5 9 9")
    data = read_kitti(write({"000001": text, "000000": line("Car"), "000002": ""}))
    first, second, empty = data.records
    assert data.class_names == ["Car", "Tram", "Zebra"]  # KITTI's own first
    assert data.category_ids == [1, 2, 3]
    assert (first.image_id, first.path) == (
        "000000",
        str(tmp_path / "training/image_2/000000.png"),
    )
    assert first.boxes.tolist() == [[1, 2, 30.5, 14]]
    assert second.boxes.tolist() == [[1, 2, 30.5, 14], [0, 0, 9.25, 8], [5, 5, 9, 9]]
    assert second.labels.tolist() == [1, 2, 0]
    assert second.ignore.tolist() == [False, False, True]
    place = f"{second.origin} {second.entries[2]}"
    assert place == f"{tmp_path / 'training/label_2/000001.txt'}: line 4"
    assert empty.boxes.shape == (0, 4)


def test_dont_care_is_no_class(write):
    data = read_kitti(write({"a": line("DontCare"), "b": line("DontCare")}))
    assert data.class_names == []
    assert [record.boxes.shape for record in data.records] == [(0, 4), (0, 4)]
    assert with_classes(data, ["Car"]).records[0].labels.shape == (0,)
    data = read_kitti(write({"a": line("DontCare")}), classes=["Car"])
    assert data.records[0].ignore.tolist() == [True]


@pytest.mark.parametrize("classes", [["Van", "Car"], {"Car": 1, "Van": 0}])
def test_classes_given(write, classes):
    data = read_kitti(write({"a": line("Car")}), classes=classes)
    assert data.class_names == ["Van", "Car"]
    assert data.records[0].labels.tolist() == [1]


@pytest.mark.parametrize("name", LINES | FILES)
def test_each_defect_gives_its_message(specimen, name):
    folder, file = specimen(name)
    with pytest.raises(InputError) as caught:
        read_kitti(folder, classes=["Car"])
    assert str(caught.value).startswith(f"{file}: {(LINES | FILES)[name]}")


@pytest.mark.parametrize("name", LINES | FILES)
def test_faults_are_collected_and_the_other_lines_kept(specimen, name):
    (folder, file), faults = specimen(name), []
    data = read_kitti(folder, classes=["Car"], faults=faults)
    assert [fault.startswith(f"{file}: {(LINES | FILES)[name]}") for fault in faults] == [True]
    boxes = [record.boxes.tolist() for record in data.records]
    assert boxes == ([[[1, 2, 30.5, 14]]] if name in LINES else [])


def test_every_specimen_has_its_message():
    assert {path.stem for path in DATA.iterdir()} == set(LINES | FILES)


@pytest.mark.parametrize(
    ("labels", "images", "split"),
    [
        ("training/label_2", "training/image_2", None),
        ("training/label_2", "training/image_2", "training"),
        ("training/label_2", "training/image_2", "train"),
        ("train/labels", "train/images", "train"),
        ("train/labels", "train/images", None),
        ("label_2", "image_2", None),
        ("labels", "images", None),
        ("training/label_2", "training/label_2", None),
    ],
)
def test_layouts(write, tmp_path, labels, images, split):
    folder = write({"a": line()}, labels, images, suffix=".jpg")
    (record,) = read_kitti(folder, split).records
    assert record.path == str(tmp_path / images / "a.jpg")
    assert splits(folder) == ([labels.split("/")[0]] if "/" in labels else [])


def test_lists_of_sets(write, tmp_path):
    folder = write({"a": line(), "b 1": "", "c": ""})
    (tmp_path / "ImageSets").mkdir()
    (tmp_path / "ImageSets/train.txt").write_text("c\r\n\r\nb 1\nc\n")
    (tmp_path / "ImageSets/val.txt").write_text("\n")
    assert splits(folder) == ["train", "val"]
    assert [record.image_id for record in read_kitti(folder, "train").records] == ["c", "b 1"]
    assert len(read_kitti(folder).records) == 3
    with pytest.raises(InputError, match=r"val.txt holds no images"):
        read_kitti(folder, "val")
    with pytest.raises(InputError, match=r"a split \(splits: train, val\)"):
        read_kitti(folder, "test")
    (tmp_path / "ImageSets/val.txt").write_text("d\n")
    with pytest.raises(InputError, match=r"label_2/d.txt: no such file"):
        read_kitti(folder, "val")


def test_pictures_elsewhere_or_missing(write, tmp_path):
    folder = write({"a": line()}, images="elsewhere", suffix=".bmp")
    (record,) = read_kitti(folder, images_dir=str(tmp_path / "elsewhere")).records
    assert record.path == str(tmp_path / "elsewhere/a.bmp")
    (record,) = read_kitti(folder).records
    assert record.path == str(tmp_path / "training/image_2/a.png")


def test_a_folder_without_labels(write, tmp_path):
    with pytest.raises(InputError, match=r"has no training/label_2 .*splits: none"):
        read_kitti(str(tmp_path))
    folder = write({})
    with pytest.raises(InputError, match=r"label_2 holds no images"):
        read_kitti(folder)


def test_generator(write):
    from keras_retinanet.preprocessing.kitti import KittiGenerator

    folder = write({"a": line("Van") + line("DontCare")}, "train/labels", "train/images")
    generator = KittiGenerator(folder, group_method="none")
    assert generator.num_classes() == len(kitti_classes) == 8
    assert generator.load_annotations(0)["labels"].tolist() == [kitti_classes["Van"], 0]
    assert generator.load_annotations(0)["ignore"].tolist() == [False, True]
    assert KittiGenerator(folder, "train", ["Van"], group_method="none").num_classes() == 1


def test_fixtures_of_others(shared):
    folder = shared / "data/fmt_datumaro/tests/assets/kitti_dataset/kitti_detection"
    data = checked(read_kitti(str(folder)), strict=True)
    assert data.class_names == ["Van", "Truck"]
    first, second = data.records
    assert (first.image_id, first.size) == ("000030_10", (10, 10))
    assert first.boxes.tolist() == [[0, 1, 2, 3], [0, 5, 1, 8]]
    assert first.labels.tolist() == [1, 0]
    assert second.boxes.tolist() == [[0, 0, 2, 2], [4, 4, 6, 6], [6, 6, 7, 9]]
