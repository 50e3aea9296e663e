"""Callbacks that work on another model than the one in training."""

from __future__ import annotations

import keras


class RedirectModel(keras.callbacks.Callback):
    """Hand every call on to `callback`, with `model` in the place of the one in training."""

    def __init__(self, callback: keras.callbacks.Callback, model: keras.Model) -> None:
        super().__init__()
        self.callback = callback
        self.redirect_model = model

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        self.callback.set_model(self.redirect_model)

    def set_params(self, params: dict) -> None:
        super().set_params(params)
        self.callback.set_params(params)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.callback.on_epoch_end(epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        self.callback.on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.callback.on_train_batch_end(batch, logs)

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.callback.on_train_begin(logs)

    def on_train_end(self, logs: dict | None = None) -> None:
        self.callback.on_train_end(logs)
