"""Logs for TensorBoard, read back by TensorBoard itself."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.detections import Detections
from keras_retinanet.preprocessing.dataset import Dataset, Record
from keras_retinanet.training.tensorboard import TensorBoard

pytest.importorskip("tensorboard")


@pytest.fixture
def found(tmp_path):
    """A data set of an image with two balls, of which a detection of score 0.6 finds one."""
    path = tmp_path / "a.png"
    Image.new("RGB", (80, 60), "white").save(path)
    boxes = np.array([[5, 5, 30, 30], [40, 20, 70, 50]], "float32")
    record = Record(
        image_id=1,
        path=str(path),
        size=(80, 60),
        boxes=boxes,
        labels=np.zeros(2, int),
        ignore=np.zeros(2, bool),
        area=np.full(2, 900.0, "float32"),
    )
    one = Detections(boxes[:1], np.array([0.6], "float32"), np.array([0]), ["ball"])
    return Dataset([record], ["ball"], [1]), [one]


def train(folder, found, epochs, every=None):
    """Log epochs of 4 batches whose losses are 1, 2, ..."""
    evaluation = SimpleNamespace(found=None)
    board = TensorBoard(str(folder), every, 4, evaluation)
    optimizer = SimpleNamespace(learning_rate=0.5)
    board.set_model(SimpleNamespace(progress={}, optimizer=optimizer))
    for epoch in epochs:
        board.on_epoch_begin(epoch)
        for batch in range(4):
            board.on_train_batch_end(batch, {"loss": batch + 1})
        evaluation.found = found
        board.on_epoch_end(epoch, {"loss": 2.5, "AP": epoch / 4, "AP ball": 0.25})
    board.on_train_end()


def read(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), {"tensors": 0})
    events.Reload()
    return events


def scalars(events, tag):
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_figures_of_epochs_and_batches(tmp_path, found):
    train(tmp_path, found, range(2), every=2)
    events = read(tmp_path)
    assert scalars(events, "AP") == [(1, 0.0), (2, 0.25)]
    assert scalars(events, "AP_of_class/ball") == [(1, 0.25), (2, 0.25)]
    assert scalars(events, "learning_rate") == [(1, 0.5), (2, 0.5)]
    expected = [(0, 1.0), (2, 3.0), (4, 1.0), (6, 3.0)]
    assert scalars(read(tmp_path / "batches"), "loss") == expected


def test_an_epoch_that_is_done_again_counts_once(tmp_path, found):
    train(tmp_path, found, range(3))
    train(tmp_path, found, range(2, 4))  # after the snapshot of the second epoch
    assert [step for step, _ in scalars(read(tmp_path), "AP")] == [1, 2, 3, 4]


def test_curves_of_classes_and_images_with_boxes(tmp_path, found):
    train(tmp_path, found, range(1))
    events = read(tmp_path)
    [event] = events.Tensors("precision_recall/ball")
    rows = np.reshape(event.tensor_proto.float_val, (6, 101))
    right, wrong, _, missed, precision, recall = rows
    assert (right[50], wrong[50], missed[50]) == (1, 0, 1)
    assert (precision[50], recall[50]) == (1, 0.5)
    assert (right[70], missed[70], recall[70]) == (0, 2, 0)  # above the score of 0.6
    [image] = events.Images("validation/0")
    assert (image.width, image.height) == (640, 480)
