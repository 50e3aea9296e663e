"""A loss that is no number ends the training and names the images."""

import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.training.divergence import StopAtDivergence


class Optimizer:
    learning_rate = 0.25


class Model:
    """A model that has saved its progress."""

    optimizer = Optimizer()

    def __init__(self, **progress):
        self.progress = progress


def batches(model, *losses):
    """Give the callback the losses of batches in the second epoch of four batches."""
    callback = StopAtDivergence(lambda step: [f"{step}.jpg"], 4, "last.keras")
    callback.set_model(model)
    callback.on_epoch_begin(1)
    for batch, loss in enumerate(losses):
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


def test_finite_losses_go_on():
    batches(Model(), 1.0, 1e30, 0.0)
