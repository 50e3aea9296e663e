"""RedirectModel: every call arrives, with the other model."""

import keras
import numpy as np

from keras_retinanet.callbacks import RedirectModel


class Recorder(keras.callbacks.Callback):
    """Remembers its calls and the model at that time."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __getattribute__(self, name):
        if name.startswith("on_"):
            calls, model = self.calls, self.model
            return lambda *args, **kwargs: calls.append((name, args[0] if args else None, model))
        return super().__getattribute__(name)


def small(seed):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def test_every_call_arrives_with_the_other_model():
    recorder, training, other = Recorder(), small(0), small(1)
    training.fit(
        np.zeros((4, 2)),
        np.zeros((4, 1)),
        batch_size=2,
        epochs=2,
        verbose=0,
        callbacks=[RedirectModel(recorder, other)],
    )
    assert all(model is other for _, _, model in recorder.calls)
    names = [(name, place) for name, place, _ in recorder.calls]
    epoch = [
        ("on_train_batch_begin", 0),
        ("on_train_batch_end", 0),
        ("on_train_batch_begin", 1),
        ("on_train_batch_end", 1),
    ]
    assert [(name, place) for name, place in names if name != "on_train_begin"][:-1] == [
        *[("on_epoch_begin", 0), *epoch, ("on_epoch_end", 0)],
        *[("on_epoch_begin", 1), *epoch, ("on_epoch_end", 1)],
    ]
    assert names[0][0] == "on_train_begin"
    assert names[-1][0] == "on_train_end"


def test_figures_reach_the_callbacks_that_follow():
    seen = []

    class Adds(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["AP"] = 0.5

    class Reads(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(logs["AP"])

    history = small(0).fit(
        np.zeros((2, 2)),
        np.zeros((2, 1)),
        verbose=0,
        callbacks=[RedirectModel(Adds(), small(1)), Reads()],
    )
    assert seen == [0.5]
    assert history.history["AP"] == [0.5]


def test_parameters_are_handed_on():
    recorder = keras.callbacks.Callback()
    redirect = RedirectModel(recorder, small(1))
    redirect.set_params({"epochs": 3})
    redirect.set_model(small(0))
    assert recorder.params == {"epochs": 3}
    assert recorder.model is redirect.redirect_model
