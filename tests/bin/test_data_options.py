"""The data set on a command line: kinds, paths whose kind is found out, sets and classes."""

import argparse
import shutil

import pytest

from keras_retinanet.bin import data_options, train
from keras_retinanet.errors import InputError


def parse(*argv, use="look", last=None):
    parser = argparse.ArgumentParser(prog="command", add_help=False)
    parser.add_argument("--rate", type=float, default=1.0)
    return data_options.parse_with_data(parser, [str(arg) for arg in argv], use, last)


def test_options_stand_before_and_after_the_data_set():
    for argv in (
        ["--rate", "2", "coco", "x"],
        ["coco", "x", "--rate=2"],
        ["coco", "--rate=2", "x"],
    ):
        args = parse(*argv)
        assert (args.dataset_type, args.path, args.rate) == ("coco", "x", 2)


def test_arguments_that_follow_the_data_set():
    last = {"model": {"metavar": "MODEL"}}
    args = parse("csv", "a.csv", "m.keras", last=last)
    assert (args.path, args.classes, args.model) == ("a.csv", None, "m.keras")
    args = parse("csv", "a.csv", "c.csv", "m.keras", last=last)
    assert (args.path, args.classes, args.model) == ("a.csv", "c.csv", "m.keras")


def test_a_path_is_a_data_set_of_its_own_kind(sample, coco_folder, pascal_folder):
    assert parse(sample / "train.csv").dataset_type == "csv"
    assert parse(coco_folder).dataset_type == "coco"
    args = parse(pascal_folder, "--zero-based", "--rate", "2")
    assert (args.dataset_type, args.path, args.zero_based) == ("pascal", str(pascal_folder), True)
    assert args.rate == 2


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "required: DATASET"),
        (["--rate", "2"], "required: DATASET"),
        (["nowhere"], "no such file or folder: 'nowhere', nor a kind of data set (csv, coco"),
        (["--speed", "coco", "x"], "unrecognized arguments: --speed"),
        (["coco"], "required: PATH"),
        (["coco", "x", "y"], "unrecognized arguments: y"),
        (["coco", "x", "--zero-based"], "unrecognized arguments: --zero-based"),
        (["coco", "x", "--images", "nowhere"], "--images: no such folder: 'nowhere'"),
    ],
)
def test_what_is_missing_or_unknown_is_named(capsys, argv, message):
    with pytest.raises(SystemExit) as stop:
        parse(*argv)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["-h"], ["--help"], ["--rate", "2", "--help"]])
def test_help_lists_options_and_kinds(capsys, argv):
    with pytest.raises(SystemExit) as stop:
        parse(*argv)
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "--rate" in text
    assert all(f"  {kind} " in text for kind in data_options.KINDS)


def test_help_of_a_kind_lists_its_own_arguments(capsys):
    for argv in (["pascal", "--help"], ["--rate", "2", "pascal", "-h"]):
        with pytest.raises(SystemExit) as stop:
            parse(*argv)
        assert stop.value.code == 0
        assert "--skip-difficult" in capsys.readouterr().out


def test_every_kind_has_a_reader():
    from keras_retinanet.bin.convert_dataset import FORMATS
    from keras_retinanet.preprocessing.readers import READERS
    from keras_retinanet.preprocessing.writers import WRITERS

    assert set(data_options.KINDS) == set(READERS)
    assert list(FORMATS) == list(WRITERS)


def test_usual_sets_are_found_and_others_asked_for(coco_folder, tmp_path):
    args = parse("coco", coco_folder, use="train")
    assert data_options.choose_set(args, None, data_options.TRAIN_SETS) == "train2017"
    assert data_options.choose_set(args, "val2017", data_options.TRAIN_SETS) == "val2017"
    train_set, val_set = data_options.read_training(args)
    assert (len(train_set.records), len(val_set.records)) == (6, 4)
    shutil.copytree(coco_folder / "annotations", tmp_path / "annotations")
    for split in ("train", "val"):
        path = tmp_path / "annotations" / f"instances_{split}2017.json"
        path.rename(path.with_name(f"instances_{split}_a.json"))
    args = parse("coco", tmp_path, use="train")
    with pytest.raises(InputError, match="name of a set among train_a, val_a"):
        data_options.read_training(args)


def test_the_only_set_needs_no_name_and_a_file_has_none(coco_folder, tmp_path):
    (tmp_path / "annotations").mkdir()
    source = coco_folder / "annotations" / "instances_val2017.json"
    file = shutil.copy(source, tmp_path / "annotations" / "instances_all.json")
    args = parse("coco", tmp_path, use="train")
    assert data_options.choose_set(args, None, data_options.TRAIN_SETS) == "all"
    assert data_options.choose_set(args, None, data_options.VAL_SETS, needed=False) is None
    with pytest.raises(InputError, match="expected no name of a set"):
        data_options.read_sets(parse("coco", file, "--set", "all"))


def test_data_without_a_usual_set_to_evaluate_on_are_trained_on_all_the_same(
    pascal_folder, tmp_path
):
    folder = shutil.copytree(pascal_folder, tmp_path / "voc")
    (folder / "ImageSets/Main/val.txt").unlink()
    (folder / "ImageSets/Main/test.txt").unlink()
    train_set, val_set = data_options.read_training(parse("pascal", folder, use="train"))
    assert len(train_set.records) == 6
    assert val_set is None


def test_classes_of_the_held_out_set_count_as_those_of_the_training_set(csv_data, tmp_path):
    csv_data("a.jpg,1,1,9,9,dog\na.jpg,2,2,8,8,cat\n", name="train.csv")
    csv_data("b.jpg,1,1,9,9,dog\n", name="val.csv")
    argv = ["csv", tmp_path / "train.csv", "--val-annotations", tmp_path / "val.csv"]
    train_set, val_set = data_options.read_training(parse(*argv, use="train"))
    assert train_set.class_names == val_set.class_names == ["cat", "dog"]
    assert val_set.records[0].labels.tolist() == [1]
    csv_data("b.jpg,1,1,9,9,cow\n", name="val.csv")
    with pytest.raises(InputError, match=r"val\.csv: line 1: unknown class name: 'cow'"):
        data_options.read_training(parse(*argv, use="train"))


def test_all_sets_are_read_with_the_classes_of_all(csv_data, coco_folder, tmp_path):
    splits = data_options.read_sets(parse("coco", coco_folder))
    assert list(splits) == ["train2017", "val2017"]
    assert [len(data.records) for data, _ in splits.values()] == [6, 4]
    csv_data("a.jpg,1,1,9,9,dog\na.jpg,x,2,8,8,dog\n", name="train.csv")
    csv_data("b.jpg,1,1,9,9,cow\n", name="val.csv")
    argv = ["csv", tmp_path / "train.csv", "--val-annotations", tmp_path / "val.csv"]
    splits = data_options.read_sets(parse(*argv))
    assert [data.class_names for data, _ in splits.values()] == [["dog", "cow"]] * 2
    assert splits["val"][0].records[0].labels.tolist() == [1]
    [fault] = splits["train"][1]
    assert "line 2: malformed x1" in fault
    with pytest.raises(InputError, match="line 2: malformed x1"):
        data_options.read_sets(parse(*argv), tolerant=False)


def test_a_command_trains_on_a_path_alone(sample):
    args = train.parse_args([str(sample / "train.csv"), "--epochs", "2"])
    assert (args.dataset_type, args.classes, args.epochs) == ("csv", None, 2)
