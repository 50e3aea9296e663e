"""Kinds of errors: figures of tidecv, and a case by hand for each kind."""

import json

import pytest

from keras_retinanet.bin import evaluate
from keras_retinanet.evaluation.coco import evaluate_rows
from keras_retinanet.evaluation.error_breakdown import KINDS, error_breakdown

# Of tidecv 1.0.1 for `random_set(seed, images=60, ties=False, noise=5)`, with crowds as regions to
# ignore: numbers of errors, then AP50, the AP50 of each kind, of false positives and of false
# negatives. The package needs opencv-python, which replaces the headless one, so it is no test
# dependency.
RECORDED = {
    0: (
        [15, 55, 25, 6, 299, 46],
        [0.10013, 0.07129, 0.14608, 0.00479, 0.00313, 0.04203, 0.0915, 0.22991, 0.21376],
    ),
    1: (
        [13, 53, 33, 9, 290, 54],
        [0.15332, 0.02941, 0.20571, 0.00149, 0.00348, 0.04397, 0.10899, 0.19982, 0.27901],
    ),
    2: (
        [16, 42, 24, 7, 291, 54],
        [0.1703, 0.04072, 0.16587, 0.00318, 0.00148, 0.04992, 0.12954, 0.19604, 0.28354],
    ),
    3: (
        [12, 50, 33, 9, 300, 57],
        [0.1412, 0.04359, 0.16495, 0.01306, 0.00422, 0.04335, 0.11426, 0.22183, 0.247],
    ),
}
BOX = [0, 0, 40, 40]


@pytest.mark.parametrize("seed", RECORDED)
def test_figures_are_those_of_tidecv(random_set, seed):
    truth, rows = random_set(seed, images=60, ties=False, noise=5)
    found = error_breakdown(truth, rows)
    counts, figures = RECORDED[seed]
    assert [found["kinds"][kind]["count"] for kind in KINDS] == counts
    of_kinds = [found["kinds"][kind]["AP50"] for kind in KINDS]
    specials = [found["false_positives"], found["false_negatives"]]
    assert [found["AP50"], *of_kinds, *specials] == pytest.approx(figures, abs=1e-5)
    assert found["AP50"] == pytest.approx(evaluate_rows(truth, rows)["AP50"], abs=1e-12)


def truth_of(*boxes):
    return {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 1, "bbox": box, "area": 1600, "iscrowd": 0}
            for i, box in enumerate(boxes, start=1)
        ],
    }


def row(bbox, score=0.5, category_id=1):
    return {"image_id": 1, "category_id": category_id, "bbox": bbox, "score": score}


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("classification", [row(BOX, category_id=2)]),
        ("localization", [row([0, 0, 40, 10])]),  # IoU 1/4
        ("both", [row([0, 0, 40, 10], category_id=2)]),
        ("duplicate", [row(BOX, 0.9), row(BOX)]),
        ("background", [row([200, 0, 40, 40])]),
    ],
)
def test_kind_of_a_detection(kind, rows):
    kinds = error_breakdown(truth_of(BOX), rows)["kinds"]
    counts = {name: values["count"] for name, values in kinds.items() if values["count"]}
    counts.pop("missed", None)
    assert counts == {kind: 1}
    if kind in ("classification", "localization"):
        assert kinds[kind]["AP50"] == 1  # fixed, the detection finds the only object
        assert kinds["missed"]["count"] == 0


def test_missed_object_by_hand():
    # Recall 1/2 at precision 1: the 51 recalls 0 to 0.5. Without the missed object AP50 is 1.
    found = error_breakdown(truth_of(BOX, [300, 0, 40, 40]), [row(BOX)])
    assert found["AP50"] == pytest.approx(51 / 101)
    assert found["kinds"]["missed"] == {"count": 1, "AP50": pytest.approx(50 / 101)}
    assert found["false_negatives"] == pytest.approx(50 / 101)
    assert found["false_positives"] == 0


def test_nothing_to_find_and_nothing_found():
    assert error_breakdown(truth_of(), [row(BOX)])["AP50"] is None
    found = error_breakdown(truth_of(BOX), [])
    assert (found["AP50"], found["kinds"]["missed"]["count"]) == (0, 1)


def test_command_prints_the_kinds(tmp_path, capsys):
    paths = [str(tmp_path / name) for name in ("truth.json", "results.json", "figures.json")]
    (tmp_path / "truth.json").write_text(json.dumps(truth_of(BOX)))
    (tmp_path / "results.json").write_text(json.dumps([row([0, 0, 40, 10])]))
    evaluate.main(["detections", *paths[:2], "--errors", "--json", paths[2]])
    printed = capsys.readouterr().out
    assert "localization              1      1.000\n" in printed
    errors = json.loads((tmp_path / "figures.json").read_text())["errors"]
    assert errors["kinds"]["localization"] == {"count": 1, "AP50": 1}
