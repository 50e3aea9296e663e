"""The layers of a model: all of them, and to keep them from training."""

import keras


def freeze(model):
    """Keeps every layer of `model` from training; returns the model, so it serves as `modifier`."""
    for layer in model.layers:
        layer.trainable = False
    return model


def all_layers(model):
    """The layers of a model and of those within it."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from all_layers(layer)
