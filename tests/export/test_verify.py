"""The proof of an export: differences by hand, what is rejected, and what the command leaves."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_retinanet.bin import convert_model
from keras_retinanet.export import verify
from keras_retinanet.export.verify import Differences, Report, differences_of

BOXES = np.array([[[0, 0, 10, 10], [20, 20, 40, 40], [50, 50, 60, 60], [0, 0, 9, 9]]], "float32")
SCORES = np.array([[0.9, 0.8, 0.7, 0.001]], "float32")
LABELS = np.array([[0, 1, 0, 2]], "int32")
FOUND = BOXES, SCORES, LABELS
NONE = Differences(np.zeros(0), np.zeros(0))


def test_equal_candidates_do_not_differ():
    found = differences_of(FOUND, FOUND)
    assert found.boxes.tolist() == found.scores.tolist() == [0] * 6  # three, there and back
    assert (found.lost, found.extra) == (0, 0)
    assert found.tied == 2  # the last one, whose score decides by chance if it is kept


def test_order_of_ties_does_not_matter():
    order = [1, 0, 2, 3]
    swapped = BOXES[:, order], np.array([[0.85, 0.85, 0.7, 0.001]], "float32"), LABELS[:, order]
    level = BOXES, swapped[1], LABELS
    assert differences_of(level, swapped).boxes.max() == 0


def test_differences_are_measured_and_lost_candidates_counted():
    moved, scores = BOXES.copy(), SCORES.copy()
    moved[0, 0, 2] += 0.25
    scores[0, 1] -= 0.125
    labels = np.array([[0, 1, 5, 2]], "int32")  # the third one has another class
    found = differences_of(FOUND, (moved, scores, labels))
    assert found.boxes.max() == pytest.approx(0.25)
    assert found.scores.max() == pytest.approx(0.125)
    assert (found.lost, found.extra) == (1, 1)


def test_images_without_candidates_have_no_differences():
    empty = np.zeros((1, 0, 4)), np.zeros((1, 0)), np.zeros((1, 0), "int32")
    found = differences_of(empty, empty)
    assert (len(found.boxes), found.lost, found.extra) == (0, 0, 0)
    unused = BOXES, np.full_like(SCORES, -1), np.full_like(LABELS, -1)
    assert differences_of(unused, unused).lost == 0
    assert differences_of(FOUND, unused).lost == 4


@pytest.mark.parametrize(
    ("precision", "changes", "faults"),
    [
        ("float32", {}, []),
        ("float32", {"boxes": np.array([0.4])}, []),
        ("float32", {"boxes": np.array([0.6])}, ["0.6"]),
        ("float32", {"boxes": np.array([np.nan])}, ["nan"]),
        ("float32", {"scores": np.array([0.002])}, ["0.002"]),
        ("float32", {"lost": 2, "extra": 1}, ["2 candidates"]),
        ("float16", {"boxes": np.array([9.0]), "lost": 2}, []),
    ],
)
def test_tolerance_of_differences(precision, changes, faults):
    differences = dataclasses.replace(NONE, **changes)
    found = Report(precision, differences, (1, 1), (1, 1)).faults()
    assert len(found) == len(faults)
    assert all(value in sentence for value, sentence in zip(faults, found, strict=True))


@pytest.mark.parametrize(
    ("precision", "after", "wrong"),
    [
        ("float32", 0.5005, False),
        ("float32", 0.498, True),
        ("float16", 0.496, False),
        ("float16", 0.494, True),
        ("int8", 0.481, False),
        ("int8", 0.47, True),
    ],
)
def test_tolerance_of_average_precision(precision, after, wrong):
    report = Report(precision, NONE, (1, 1), (1, 1), (0.5, after))
    assert bool(report.faults()) is wrong


pytestmark_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="exports begin with TensorFlow's graphs"
)


@pytestmark_tensorflow
def test_command_proves_export_with_average_precision(snapshot, sample, tmp_path, capsys):
    pytest.importorskip("ai_edge_litert")
    data, out = sample / "val.csv", tmp_path / "model.tflite"
    convert_model.main([str(snapshot), str(out), "--verify", str(data)])
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("candidates: ") and "0 lost, 0 extra" in line for line in lines)
    [ap] = [line.split() for line in lines if line.startswith("AP ")]
    assert abs(float(ap[1]) - float(ap[3])) <= 0.001
    assert float(ap[1]) > 0
    assert [path.name for path in tmp_path.iterdir()] == ["model.tflite"]


@pytestmark_tensorflow
def test_export_that_finds_something_else_is_rejected(snapshot, tmp_path, monkeypatch, capsys):
    pytest.importorskip("ai_edge_litert")
    from keras_retinanet.engines import litert

    run = litert.LiteRtEngine.__call__

    def shifted(self, images):
        boxes, scores, labels = run(self, images)
        return boxes + 2, scores, labels

    monkeypatch.setattr(litert.LiteRtEngine, "__call__", shifted)
    with pytest.raises(SystemExit) as stop:
        convert_model.main([str(snapshot), str(tmp_path / "model.tflite")])
    assert stop.value.code == 1
    assert "Boxes differ by up to" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["model.tflite.rejected"]


def test_size_of_files_and_folders(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(bytes(7))
    (tmp_path / "c").write_bytes(bytes(5))
    assert verify.size_of(tmp_path) == 12
    assert verify.size_of(tmp_path / "c") == 5
