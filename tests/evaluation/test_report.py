"""Reports are compared with the text they ought to be; JSON files with what was written."""

import json

import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.evaluation.report import report, summary, write_json

METRICS = {
    "AP": 0.5124,
    "AP50": 0.9006,
    "AP75": 0.5333,
    "APs": None,
    "APm": 0.25,
    "APl": 1.0,
    "AR1": 0.1,
    "AR10": 0.2,
    "AR100": 0.601,
    "ARs": None,
    "ARm": 0.3,
    "ARl": 0.0,
    "per_class": {"cat": {"AP": 0.5124, "AP50": 0.9006}, "washing machine": None},
}
EMPTY = {**{name: None for name in METRICS}, "per_class": {}}


def test_summary():
    assert summary(METRICS) == "AP 0.512  AP50 0.901  AP75 0.533  AR100 0.601"
    assert summary(EMPTY).split() == ["AP", "-", "AP50", "-", "AP75", "-", "AR100", "-"]


def test_report_with_voc():
    text = report(METRICS, voc={0: (0.75, 1234), 1: (0.0, 0)})
    assert text.splitlines() == [
        "AP    0.512   AP50  0.901   AP75  0.533",
        "APs       -   APm   0.250   APl   1.000",
        "AR1   0.100   AR10  0.200   AR100 0.601",
        "ARs       -   ARm   0.300   ARl   0.000",
        "",
        "class               AP   AP50  VOC AP  boxes",
        "cat              0.512  0.901   0.750   1234",
        "washing machine      -      -       -      0",
        "all              0.512  0.901   0.750   1234",
    ]


def test_report_without_voc():
    lines = report(METRICS).splitlines()
    assert lines[5].split() == ["class", "AP", "AP50"]
    assert lines[-1] == "all              0.512  0.901"


def test_report_of_a_class_called_all():
    figures = {"AP": 0.5, "AP50": 0.6}
    lines = report({**METRICS, "per_class": {"all": figures}}).splitlines()
    assert lines[-2:] == ["all    0.500  0.600", "all    0.512  0.901"]


def test_report_of_nothing():
    assert report(EMPTY, voc={}).splitlines()[-1].split() == ["all", "-", "-", "-", "0"]


def test_json_round_trip(tmp_path):
    path = tmp_path / "new" / "metrics.json"
    for obj in (METRICS, {"per_class": {"räv": None}}):  # the second replaces the first
        write_json(path, obj)
        assert json.loads(path.read_text(encoding="utf-8")) == obj
    assert [p.name for p in path.parent.iterdir()] == ["metrics.json"]


@pytest.mark.parametrize(
    ("obj", "error"), [({"AP": float("nan")}, ValueError), ({"AP": {1, 2}}, TypeError)]
)
def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path, obj, error):
    path = tmp_path / "metrics.json"
    write_json(path, {"AP": 0.5})
    with pytest.raises(error):
        write_json(path, obj)
    assert json.loads(path.read_text()) == {"AP": 0.5}
    assert list(tmp_path.iterdir()) == [path]


def test_json_leaves_no_part_behind_when_replacing_fails(tmp_path, monkeypatch):
    path = tmp_path / "metrics.json"
    write_json(path, {"AP": 0.5})

    def refuse(source, target):
        raise OSError("disk")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(InputError, match="disk"):
        write_json(path, {"AP": 0.6})
    assert json.loads(path.read_text()) == {"AP": 0.5}
    assert list(tmp_path.iterdir()) == [path]
