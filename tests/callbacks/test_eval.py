"""The two evaluations that run each epoch: what they print and add to the logs."""

import numpy as np
import pytest

from keras_retinanet.callbacks.coco import CocoEval
from keras_retinanet.callbacks.eval import Evaluate
from keras_retinanet.preprocessing.dataset import Dataset, make_record
from keras_retinanet.preprocessing.generator import Generator


class Images(Generator):
    """Two black images of 64 x 64 px, the first with two cats and a dog."""

    def __init__(self, *boxes, **options):
        labels = [0, 0, 1][: len(boxes)]
        records = [
            make_record("0.png", 0, boxes, labels, size=(64, 64)),
            make_record("1.png", 1, size=(64, 64)),
        ]
        super().__init__(
            Dataset(records, ["cat", "dog"], [1, 2]),
            no_resize=True,
            preprocess_image=None,
            group_method="none",
            shuffle_groups=False,
            batch_size=2,
            **options,
        )

    def load_image(self, image_index):
        return np.zeros((64, 64, 3), "uint8")


BOXES = [(0, 0, 20, 20), (30, 30, 60, 60), (0, 40, 20, 60)]


class FindsTheFirst:
    """Finds one cat of the first image, and the dog only as a cat."""

    def predict_on_batch(self, images):
        boxes = np.array([[BOXES[0], BOXES[2]], [[-1] * 4] * 2], "float32")
        return boxes, np.array([[0.9, 0.2], [-1, -1]]), np.array([[0, 0], [-1, -1]])


def at_the_end_of_an_epoch(callback):
    callback.set_model(FindsTheFirst())
    logs = {"loss": 1.0}
    callback.on_epoch_end(0, logs)
    return logs


def test_evaluate_adds_the_mean_of_the_classes(capsys):
    logs = at_the_end_of_an_epoch(Evaluate(Images(*BOXES)))
    # cats: one of two found, at precision 1: 0.5; dogs: 0
    assert logs == {"loss": 1.0, "mAP": pytest.approx(0.25)}
    printed = capsys.readouterr().out
    assert "2 instances of class cat: 0.5000" in printed
    assert "1 instances of class dog: 0.0000" in printed
    assert "mAP: 0.2500" in printed


def test_evaluate_may_weigh_the_classes_and_be_silent(capsys):
    logs = at_the_end_of_an_epoch(Evaluate(Images(*BOXES), weighted_average=True, verbose=0))
    assert logs["mAP"] == pytest.approx(0.5 * 2 / 3)
    assert "mAP" not in capsys.readouterr().out


def test_evaluate_hands_its_options_on(tmp_path):
    callback = Evaluate(Images(*BOXES), score_threshold=0.95, save_path=tmp_path / "pictures")
    assert at_the_end_of_an_epoch(callback)["mAP"] == 0
    assert len(list((tmp_path / "pictures").iterdir())) == 2
    callback = Evaluate(Images(*BOXES), iou_threshold=1.01)
    assert at_the_end_of_an_epoch(callback)["mAP"] == 0


def test_coco_adds_its_figures_by_name(capsys):
    logs = at_the_end_of_an_epoch(CocoEval(Images(*BOXES)))
    # one of two cats at precision 1: recalls 0 to 0.5 are 51 of 101 points; dogs 0
    assert logs["AP"] == pytest.approx(51 / 101 / 2)
    assert logs["AP50"] == logs["AP75"] == logs["AP"]
    assert logs["AR100"] == pytest.approx(0.25)
    assert "APl" not in logs  # there is no large box, so there is no such figure
    assert "per_class" not in logs
    assert f"AP {51 / 101 / 2:.3f}" in capsys.readouterr().out


def test_coco_obeys_its_threshold():
    assert at_the_end_of_an_epoch(CocoEval(Images(*BOXES), threshold=0.95))["AP"] == 0


def test_without_boxes_there_are_no_figures(capsys):
    assert at_the_end_of_an_epoch(CocoEval(Images())) == {"loss": 1.0}
    assert "AP     -" in capsys.readouterr().out
    assert at_the_end_of_an_epoch(Evaluate(Images()))["mAP"] == 0


def test_logs_may_be_missing():
    for callback in (CocoEval(Images(*BOXES)), Evaluate(Images(*BOXES), verbose=0)):
        callback.set_model(FindsTheFirst())
        callback.on_epoch_end(0)
