"""A loss that is no number ends the training and names the images."""

import math
from types import SimpleNamespace

import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.training import divergence
from keras_retinanet.training.divergence import Diverged, StopAtDivergence


class Optimizer:
    learning_rate = 0.25


class Model:
    """A model that has saved its progress."""

    optimizer = Optimizer()
    weights = ()

    def __init__(self, **progress):
        self.progress = progress


def batches(model, *losses):
    """Give the callback the losses of batches in the second epoch of four batches."""
    callback = StopAtDivergence(lambda step: [f"{step}.jpg"], 4, "last.keras")
    callback.set_model(model)
    callback.on_epoch_begin(1)
    for batch, loss in enumerate(losses):
        callback.time = -math.inf  # of a reading that was long ago
        callback.on_train_batch_end(batch, {"loss": loss})


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_batch_images_and_rate_are_named(loss):
    words = f"The loss is {loss} since batch 2 of epoch 2, with the images 5.jpg, .* rate 0.25."
    with pytest.raises(InputError, match=words) as error:
        batches(Model(), 1.0, loss)
    assert "last.keras" not in str(error.value)  # there is none


def test_batches_of_an_earlier_run_count_and_its_snapshot_is_named():
    with pytest.raises(InputError, match=r"batch 4 of epoch 2, .* 7\.jpg.* last\.keras holds"):
        batches(Model(epoch=1, step=2), 1.0, float("nan"))


class Loss:
    """A loss on a device, which counts how often a loss is read."""

    read = 0

    def __init__(self, value):
        self.value = value

    def __float__(self):
        Loss.read += 1
        return float(self.value)


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(divergence.time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(Loss, "read", 0)
    return clock


def fast_batches(clock, losses, steps):
    """Give the callback the mean losses of an epoch of batches, 16 in a second."""
    callback = StopAtDivergence(lambda step: [f"{step}.jpg"], steps, None)
    callback.set_model(Model())
    callback.on_epoch_begin(0)
    for batch, loss in enumerate(losses):
        clock.now += 1 / 16
        callback.on_train_batch_end(batch, {"loss": Loss(loss)})
    return callback


def test_losses_are_read_once_a_second(clock):
    callback = fast_batches(clock, range(1, 101), 1000)
    assert Loss.read == 7  # the first batch, and one after each second
    assert callback.latest == {"loss": 97}


def test_the_last_batch_of_an_epoch_is_read(clock):
    callback = fast_batches(clock, range(1, 11), 10)
    assert callback.latest == {"loss": 10}
    assert callback.just_read


def test_a_divergence_that_is_read_late_names_its_first_batch(clock):
    losses = [1.0] * 7 + [float("inf")] + [float("nan")] * 50  # a mean of batches stays so
    with pytest.raises(Diverged, match=r"is inf since batch 8 of epoch 1, .*images 7\.jpg,"):
        fast_batches(clock, losses, 1000)
    assert clock.now == 17 / 16


def test_finite_losses_go_on():
    batches(Model(), 1.0, 1e30, 0.0)
