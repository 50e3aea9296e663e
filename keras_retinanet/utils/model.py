"""The layers of a model."""

from __future__ import annotations

from collections.abc import Iterator

import keras


def freeze(model: keras.Model) -> keras.Model:
    """Freeze every layer of `model` and return the model, as a `modifier` does."""
    for layer in model.layers:
        layer.trainable = False
    return model


def all_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield the layers of a model and of the models within it."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from all_layers(layer)
