"""The data set on a command line: kinds, paths whose kind is found out, sets and classes."""

import argparse

import pytest

from keras_retinanet.bin import data_options, evaluate, train
from keras_retinanet.preprocessing.source import TrainingData


def parse(*argv, use="look", last=None):
    parser = argparse.ArgumentParser(prog="command", description="Try.", add_help=False)
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


def test_options_of_the_data_set_stand_before_it_too(tmp_path):
    args = parse("--val-annotations", "v.csv", "csv", "boxes.csv", use="train")
    assert (args.path, args.classes, args.val_annotations) == ("boxes.csv", None, "v.csv")
    args = parse("--zero-based", "pascal", "--skip-difficult", "x", "--rate", "3")
    assert (args.path, args.zero_based, args.skip_difficult) == ("x", True, True)
    assert (args.skip_truncated, args.image_extension, args.rate) == (False, ".jpg", 3)
    assert parse("--set", "a", "coco", "--split=b", "x").split == ["a", "b"]
    last = {"model": {"metavar": "MODEL"}}
    argv = ["csv", "v.csv", "c.csv", "--images", tmp_path, "m.keras"]
    for place in range(len(argv) - 1):  # the option and its value anywhere
        words = [word for word in argv if word not in ("--images", tmp_path)]
        words[place:place] = ["--images", tmp_path]
        args = parse(*words, use="evaluate", last=last)
        assert (args.path, args.classes, args.model) == ("v.csv", "c.csv", "m.keras")
        assert args.images == str(tmp_path)


def test_arguments_that_follow_the_data_set(capsys):
    last = {"model": {"metavar": "MODEL"}}
    args = parse("csv", "a.csv", "m.keras", last=last)
    assert (args.path, args.classes, args.model) == ("a.csv", None, "m.keras")
    args = parse("csv", "a.csv", "c.csv", "m.keras", last=last)
    assert (args.path, args.classes, args.model) == ("a.csv", "c.csv", "m.keras")
    for argv, message in (
        (["coco", "x"], "required: MODEL"),
        (["coco", "x", "m.keras", "y"], "unrecognized arguments: y"),
    ):
        with pytest.raises(SystemExit):
            parse(*argv, last=last)
        assert message in capsys.readouterr().err


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
        (["nowhere"], "no such file, folder or kind: 'nowhere'; known kinds: csv, coco"),
        (["--speed", "coco", "x"], "unrecognized arguments: --speed"),
        (["coco"], "required: PATH"),
        (["coco", "x", "y"], "unrecognized arguments: y"),
        (["coco", "x", "--zero-based"], "--zero-based is not an option of coco data sets"),
        (["--image-extension=.png", "csv", "x"], "--image-extension is not an option of csv"),
        (["csv", "x", "--classes", "y"], "--classes is not an option of csv"),
        (["coco", "x", "--images", "nowhere"], "--images: no such folder: 'nowhere'"),
    ],
)
def test_what_is_missing_or_unknown_is_named(capsys, argv, message):
    with pytest.raises(SystemExit) as stop:
        parse(*argv)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_without_arguments_examples_are_shown(capsys):
    with pytest.raises(SystemExit):
        parse(use="train")
    assert "\n  command train.csv --val-annotations val.csv\n" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parse(use="evaluate", last={"model": {"metavar": "MODEL"}})
    assert "\n  command boxes.csv MODEL\n" in capsys.readouterr().err


def test_help_fits_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for main in (train.main, evaluate.main):
        with pytest.raises(SystemExit):
            main(["--help"])
        assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


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


def data_of(*argv):
    args = parse(*argv, use="train")
    splits = args.train_split, args.val_split, args.val_annotations
    return TrainingData(data_options.source_of(args), *splits)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (
            ["csv", "a.csv", "c.csv", "--val-annotations", "v.csv"],
            ["csv", "v.csv", "c.csv"],
        ),
        (["coco", "x", "--val-split", "holdout"], ["coco", "x", "--split", "holdout"]),
        (
            ["pascal", "x", "--zero-based", "--image-extension=.png", "--val-set=v"],
            ["pascal", "x", "--split", "v", "--image-extension", ".png", "--zero-based"],
        ),
    ],
)
def test_validation_data_are_named_for_retinanet_evaluate(argv, words):
    found = data_options.evaluation_words(data_of(*argv))
    assert found[:2] == words[:2]
    assert sorted(found) == sorted(words)
    last = {"model": {"metavar": "MODEL"}}
    args = parse(*found, "m.keras", use="evaluate", last=last)
    assert (args.path, args.model) == (words[1], "m.keras")


def test_usual_validation_split_is_named(coco_folder):
    [*_, option, split] = data_options.evaluation_words(data_of(coco_folder))
    assert (option, split) == ("--split", "val2017")


def test_every_kind_has_a_reader():
    from keras_retinanet.bin.convert_dataset import FORMATS
    from keras_retinanet.preprocessing.readers import READERS
    from keras_retinanet.preprocessing.writers import WRITERS

    assert set(data_options.KINDS) == set(READERS)
    assert list(FORMATS) == list(WRITERS)


def test_a_command_trains_on_a_path_alone(sample):
    args = train.parse_args([str(sample / "train.csv"), "--epochs", "2"])
    assert (args.dataset_type, args.classes, args.epochs) == ("csv", None, 2)
