"""retinanet-doctor: the exit status, and the files that it writes."""

import csv

import pytest

from keras_retinanet.bin import doctor
from keras_retinanet.preprocessing.readers import read_csv
from keras_retinanet.utils.config import (
    parse_anchor_parameters,
    parse_pyramid_levels,
    read_config_file,
)


@pytest.fixture
def examine(tmp_path):
    """Runs the command, and gives its exit status."""

    def run(*args):
        sides = ["--image-min-side=64", "--image-max-side=64", f"--html={tmp_path}/report.html"]
        try:
            doctor.main([*sides, *map(str, args)])
        except SystemExit as stop:
            return stop.code
        return 0

    return run


def test_sound_data_are_0_and_the_page_is_written(examine, coco_folder, sample, tmp_path, capsys):
    assert examine(coco_folder, "--config", sample / "anchors.ini") == 0
    out = capsys.readouterr().out
    assert "train2017" in out
    assert "val2017" in out
    assert "nothing spoils the training" in out.lower()
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_what_spoils_training_is_1(examine, csv_data, capsys):
    data = csv_data("a.jpg,8,8,40,40,ball\nb.jpg,40,8,8,40,star\nc.jpg,x,8,40,40,star\n")
    assert examine(*data) == 1
    out = capsys.readouterr().out
    assert "line 2" in out  # an inverted box
    assert "line 3: malformed x1" in out


def test_no_data_at_all_is_2(examine, tmp_path, capsys):
    assert examine("csv", tmp_path / "none.csv") == 2
    assert "no such file" in capsys.readouterr().err


def test_the_cleaned_copy_is_sound_and_every_change_listed(examine, csv_data, tmp_path, capsys):
    rows = (
        "a.jpg,8,8,40,40,ball\nb.jpg,40,8,8,40,star\nb.jpg,20,20,20,30,star\nc.jpg,x,8,40,40,star\n"
    )
    rows += "gone.jpg,8,8,40,40,ball\n"
    data = csv_data(rows)
    fixed = tmp_path / "fixed"
    assert examine("--fix", fixed, *data) == 1
    with open(fixed / doctor.CHANGES, newline="") as file:
        changes = list(csv.DictReader(file))
    assert [change["change"] for change in changes].count("corners swapped") == 1
    assert {"entry left out", "image left out", "box left out"} <= {c["change"] for c in changes}
    again = read_csv(str(fixed / "train.csv"), str(fixed / "classes.csv"))
    boxes = {tuple(box) for record in again.records for box in record.boxes.tolist()}
    assert boxes == {(8, 8, 40, 40)}
    assert examine("csv", fixed / "train.csv", fixed / "classes.csv") == 0


def test_a_folder_that_holds_something_is_safe(examine, csv_data, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("kept")
    data = csv_data("a.jpg,8,8,40,40,ball\n")
    assert examine("--fix", tmp_path / "full", *data) == 2
    assert "new or empty folder" in capsys.readouterr().err


def test_fitted_anchors_are_written_for_config(examine, coco_folder, tmp_path):
    path = tmp_path / "anchors.ini"
    examine("--quick", "--no-html", "--write-config", path, coco_folder)
    config = read_config_file(path)
    levels = parse_pyramid_levels(config)
    assert parse_anchor_parameters(config).strides == [2**level for level in levels]
    assert not (tmp_path / "report.html").exists()
