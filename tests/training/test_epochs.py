"""The logs of batches stay on the device until a callback reads them."""

import keras
import numpy as np
import pytest

from keras_retinanet.training.epochs import Unread


class Watch(keras.callbacks.Callback):
    """What a callback gets after each batch and each epoch."""

    def __init__(self):
        super().__init__()
        self.batches, self.epochs = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(logs)

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(logs)


@pytest.mark.core
def test_logs_of_batches_are_the_arrays_of_the_backend():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    watch = Watch()
    x, y = np.ones((6, 2), "float32"), np.ones((6, 1), "float32")
    called = Unread([watch], add_history=True, model=model, epochs=1, steps=3)
    history = model.fit(x, y, batch_size=2, verbose=0, callbacks=called)
    values = [logs["loss"] for logs in watch.batches]
    assert [keras.ops.is_tensor(value) for value in values] == [True] * 3
    assert watch.epochs == [{"loss": float(values[-1])}]  # the mean of the epoch
    assert history.history["loss"] == [float(values[-1])]
    # kept arrays are not overwritten by later batches
    assert len({float(value) for value in values}) == 3
