"""The report on the terminal."""

import numpy as np

from keras_retinanet.doctor.anchors import Suggestion
from keras_retinanet.doctor.report import report
from keras_retinanet.doctor.tables import first_step
from keras_retinanet.utils.anchors import AnchorParameters


def test_clean_data(folder):
    lines = report(folder.examine()).splitlines()
    assert lines[:3] == [
        "split  images  boxes  ignored  without boxes  size, px",
        "train       6     24        0              0   96 x 64",
        "val         3     12        0              0   96 x 64",
    ]
    assert lines[-1] == "No problems found"
    table = [line.split() for line in lines[-6:-2]]
    assert table == [
        ["class", "train", "val", "reached:", "small", "medium", "large", "all"],
        ["cat", "12", "6", "-", "100%", "-", "100%"],
        ["dog", "12", "6", "-", "100%", "-", "100%"],
        ["all", "24", "12", "-", "100%", "-", "100%"],
    ]


def test_findings_stand_in_order_with_three_places(folder):
    folder.rows["train"].append("bare.png,96,64,,,,,")
    folder.draw("bare.png", 9)
    for i in range(5):
        folder.add(f"train{i}.png", (20, 50, 20, 60))
    folder.add("train0.png", (2, 2, 34, 34))
    text = report(folder.examine())
    lines = text.splitlines()
    assert f"Files are below {folder.path}" in lines
    start = lines.index("ERROR    boxes without width or height: 5 of 42 boxes")
    assert lines[start : start + 6] == [
        "ERROR    boxes without width or height: 5 of 42 boxes",
        "         - train.csv: line 27 (box 20, 50, 20, 60 in 96 x 64 px)",
        "         - train.csv: line 28 (box 20, 50, 20, 60 in 96 x 64 px)",
        "         - train.csv: line 29 (box 20, 50, 20, 60 in 96 x 64 px)",
        "         - and 2 more",
        "         Most are accidental clicks; --fix leaves them out.",
    ]
    assert text.index("ERROR") < text.index("WARNING  boxes written twice") < text.index("NOTE")
    assert lines[-1] == "1 error, 1 warning, 1 note: this would spoil the training"
    assert max(len(line) for line in lines if str(folder.path) not in line) <= 80


def test_warnings_spoil_nothing(folder):
    folder.add("train0.png", (2, 2, 34, 34))
    assert report(folder.examine()).endswith("1 warning: nothing spoils the training")


def test_histograms_of_the_first_set(folder):
    lines = report(folder.examine()).splitlines()
    start = lines.index("Of train:")
    # four objects of 32 x 32 px in each image
    assert any("  32-64 ########## 100%" in line for line in lines[start:])
    assert any("3:2 to 2:3 ########## 100%" in line for line in lines[start:])
    assert any("3-4 ########## 100%" in line for line in lines[start:])


def test_of_many_classes_the_worst_are_shown(folder):
    names = [f"class {i}" for i in range(30)]
    lines = report(folder.examine(classes=["cat", "dog", *names], thorough=False)).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("class (worst 20 of 32)"))
    assert len(lines[start + 1 :]) == 20 + 1 + 2  # with a row for all, a blank one, the verdict


def test_a_suggestion(folder):
    params = AnchorParameters([16, 32], [8, 16], [1], [1, np.sqrt(2)])
    lines = report(folder.examine(), Suggestion(params, [3, 4], 0.5, 0.971)).splitlines()
    assert lines[-10:-4] == [
        "Anchors fitted to the data reach 97.1% of the objects instead of 50.0%:",
        "  levels  3 4",
        "  sizes   16 32",
        "  strides 8 16",
        "  ratios  1",
        "  scales  1 1.41421",
    ]


def test_a_suggestion_that_reaches_no_more_is_left_out(folder):
    suggestion = Suggestion(AnchorParameters(), [3, 4, 5, 6, 7], 1.0, 1.0)
    examination = folder.examine()
    assert report(examination, suggestion) == report(examination)


def test_nothing_at_all(folder):
    folder.rows = {"train": ["train0.png,96,64,,,,,"]}
    text = report(folder.examine(classes=[]))
    assert "ERROR    splits without a usable box: 1 of 1 splits" in text


def test_the_first_step_is_the_worst_finding(folder):
    assert first_step(folder.examine().findings).startswith("Next: retinanet-train")
    folder.add("train0.png", (2, 2, 34, 34))
    assert "look at this first: boxes written twice." in first_step(folder.examine().findings)
    folder.add("train1.png", (20, 50, 20, 60))
    step = first_step(folder.examine().findings)
    assert step.startswith("Do this first: boxes without width or height. ")
    assert step.endswith("--fix leaves them out. Then look at the rest.")


def test_names_from_files_stay_on_their_line(folder):
    name = "cat\x1b[31m\n" + "x" * 5000
    text = report(folder.examine(classes=["cat", "dog", name]))
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) < 300
