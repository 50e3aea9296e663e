"""Data sets by their path: kinds, splits, classes and options."""

import shutil

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.choices import TRAIN_SPLITS, VAL_SPLITS
from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.source import (
    DataSource,
    disjoint,
    open_dataset,
    read_splits,
    read_training,
)
from keras_retinanet.preprocessing.writers import WRITERS


@pytest.fixture
def write(tmp_path):
    """Writes a CSV file of rows beside the images a.png and b.png, and gives its path."""
    for name in ("a", "b"):
        Image.new("RGB", (64, 48)).save(tmp_path / f"{name}.png")

    def write_rows(rows, name="boxes.csv"):
        (tmp_path / name).write_text(rows)
        return tmp_path / name

    return write_rows


@pytest.fixture(scope="module")
def folders(sample, tmp_path_factory):
    """{kind: folder} of the sample with the splits train2017 and val2017 (pascal: train, val)."""
    folders = {}
    for kind, suffix in (("coco", "2017"), ("pascal", "")):
        folders[kind] = tmp_path_factory.mktemp(kind)
        for split in ("train", "val"):
            dataset = open_dataset(sample / f"{split}.csv", classes=sample / "classes.csv")
            WRITERS[kind](dataset, str(folders[kind]), f"{split}{suffix}")
    return folders


def test_open_recognises_kinds_and_takes_the_only_split(write, folders):
    dataset = open_dataset(write("a.png,1,2,30,40,dog\nb.png,,,,,\n"))
    assert [record.size for record in dataset.records] == [(64, 48)] * 2
    assert dataset.records[0].boxes.tolist() == [[1, 2, 30, 40]]
    assert len(open_dataset(folders["coco"], split="val2017").records) == 4
    assert len(open_dataset(folders["pascal"], split="train").records) == 6
    with pytest.raises(InputError, match=r"train2017, val2017"):
        open_dataset(folders["coco"])
    assert len(open_dataset(folders["coco"], usual=("test", "val2017")).records) == 4
    with pytest.raises(InputError, match=r"boxes\.csv has no named splits.*'train'"):
        open_dataset(write("a.png,1,2,30,40,dog\n"), split="train")


def test_classes_are_names_or_a_file(write, folders):
    path = write("a.png,1,2,30,40,dog\n")
    assert open_dataset(path, classes=["cat", "dog"]).records[0].labels.tolist() == [1]
    names = write("dog,1\ncow,2\ncat,0\n", "classes.csv")
    assert open_dataset(path, classes=names).class_names == ["cat", "dog", "cow"]
    with pytest.raises(InputError, match="dog"):
        open_dataset(path, classes=["cat"])
    plain = open_dataset(folders["coco"], split="val2017")
    names = plain.class_names[::-1]
    turned = open_dataset(folders["coco"], split="val2017", classes=names)
    assert turned.class_names == names
    for one, other in zip(plain.records, turned.records, strict=True):
        np.testing.assert_array_equal(3 - one.labels, other.labels)


def test_unknown_kinds_and_options_are_named(write, folders):
    path = write("a.png,1,2,30,40,dog\n")
    with pytest.raises(InputError, match=r"'voc'.*csv, coco"):
        open_dataset(path, kind="voc")
    with pytest.raises(InputError, match=r"csv.*'one_based'.*none"):
        open_dataset(path, one_based=False)
    one, zero = (
        open_dataset(folders["pascal"], split="val", one_based=one_based).records[0].boxes
        for one_based in (True, False)
    )
    assert (zero - one == 1).any()
    with pytest.raises(InputError, match="missing"):
        open_dataset(path.with_name("missing"))


def test_usual_splits_are_found_and_others_must_be_named(folders, tmp_path):
    source = DataSource("coco", str(folders["coco"]))
    assert source.choose_split(None, TRAIN_SPLITS) == "train2017"
    assert source.choose_split("val2017", TRAIN_SPLITS) == "val2017"
    train, val = read_training(source)
    assert (len(train.records), len(val.records)) == (6, 4)
    shutil.copytree(folders["coco"] / "annotations", tmp_path / "annotations")
    for split in ("train", "val"):
        path = tmp_path / "annotations" / f"instances_{split}2017.json"
        path.rename(path.with_name(f"instances_{split}_a.json"))
    with pytest.raises(InputError, match="train_a, val_a"):
        read_training(DataSource("coco", str(tmp_path)))


def test_the_only_split_needs_no_name_and_a_file_has_none(folders, tmp_path):
    (tmp_path / "annotations").mkdir()
    file = shutil.copy(
        folders["coco"] / "annotations" / "instances_val2017.json",
        tmp_path / "annotations" / "instances_all.json",
    )
    source = DataSource("coco", str(tmp_path))
    assert source.choose_split(None, TRAIN_SPLITS) == "all"
    assert source.choose_split(None, VAL_SPLITS, needed=False) is None
    with pytest.raises(InputError, match="no named splits"):
        read_splits(DataSource("coco", str(file)), ["all"])


def test_data_without_a_validation_split_train_without_one(folders, tmp_path):
    folder = shutil.copytree(folders["pascal"], tmp_path / "voc")
    (folder / "ImageSets/Main/val.txt").unlink()
    train, val = read_training(DataSource("pascal", str(folder)))
    assert len(train.records) == 6
    assert val is None
    assert read_training(DataSource("pascal", str(folders["pascal"])), want_val=False)[1] is None


def test_validation_labels_count_the_training_classes(write):
    source = DataSource("csv", str(write("a.png,1,1,9,9,dog\na.png,2,2,8,8,cat\n", "train.csv")))
    path = str(write("b.png,1,1,9,9,dog\n", "val.csv"))
    train, val = read_training(source, val_path=path)
    assert train.class_names == val.class_names == ["cat", "dog"]
    assert val.records[0].labels.tolist() == [1]
    write("b.png,1,1,9,9,cow\n", "val.csv")
    with pytest.raises(InputError, match=r"val\.csv: line 1.*'cow'"):
        read_training(source, val_path=path)


def test_all_splits_share_the_classes_of_all(write, folders):
    splits = read_splits(DataSource("coco", str(folders["coco"])))
    assert list(splits) == ["train2017", "val2017"]
    assert [len(data.records) for data, _ in splits.values()] == [6, 4]
    source = DataSource("csv", str(write("a.png,1,1,9,9,dog\na.png,x,2,8,8,dog\n", "train.csv")))
    path = str(write("b.png,1,1,9,9,cow\n", "val.csv"))
    splits = read_splits(source, val_path=path)
    assert [data.class_names for data, _ in splits.values()] == [["dog", "cow"]] * 2
    assert splits["val"][0].records[0].labels.tolist() == [1]
    [fault] = splits["train"][1]
    assert "line 2" in fault
    with pytest.raises(InputError, match="line 2"):
        read_splits(source, val_path=path, tolerant=False)


def test_disjoint_splits_leave_out_unions_and_single_classes():
    assert disjoint(["b", "cow_train", "test", "train", "trainval", "val"]) == [
        *("train", "val", "test"),
        "b",
    ]
    assert disjoint(["trainval"]) == ["trainval"]
