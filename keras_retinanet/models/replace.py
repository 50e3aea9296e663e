"""Copies of networks with some layers replaced."""

from collections.abc import Callable
from typing import Any

import keras

from ..layers.grouped_convolution import GroupedConv2D
from ..typing import Tensor


def replace_layers(
    network: keras.Model, replacement: Callable, inputs: Tensor | None = None
) -> keras.Model:
    """Return a copy of a functional network with each layer replaced by `replacement(layer)`.

    A layer is copied if `replacement` returns None. Weights are copied if their names and shapes
    stay the same.

    Args:
        inputs: images (B, H, W, 3) for the copy, perhaps the output of other layers; None for the
            inputs of `network`.
    """
    source = network.inputs[0] if inputs is None else keras.utils.get_source_inputs(inputs)[0]
    inputs = source if inputs is None else inputs

    def change(layer: keras.layers.Layer) -> keras.layers.Layer:
        if not isinstance(layer, keras.layers.Layer):
            return layer  # an operation, which has no state
        return replacement(layer) or layer.__class__.from_config(layer.get_config())

    def call(
        layer: keras.layers.Layer, *args: Any, mask: Tensor = None, **kwargs: Any
    ) -> Tensor:  # batch norm takes a mask, group norm does not
        args, kwargs = keras.tree.map_structure(
            lambda value: inputs if value is source else value, (args, kwargs)
        )
        return layer(*args, **kwargs)

    copy = keras.models.clone_model(
        network,
        input_tensors=keras.tree.pack_sequence_as(network.input, [source]),
        clone_function=change,
        call_function=call,
        recursive=True,
    )
    copy_weights(network, copy)
    return copy


def copy_weights(network: keras.Model, copy: keras.Model) -> None:
    """Copy the weights of the layers of `network` to the layers of `copy` of the same names."""
    others = {layer.name: layer for layer in copy.layers}
    for layer in network.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        other = others[layer.name]
        if isinstance(layer, keras.Model):
            copy_weights(layer, other)
        elif shapes(layer) == shapes(other):
            other.set_weights(layer.get_weights())
        if isinstance(other, keras.layers.Normalization):
            other.finalize_state()  # the layer computes with constants made from its weights


def shapes(layer: keras.layers.Layer) -> list[tuple]:
    return [(weight.name, weight.shape) for weight in layer.weights]


def with_quick_groups(layer: keras.layers.Layer) -> keras.layers.Layer | None:
    """Return a `GroupedConv2D` for a convolution with groups, else None; for `replace_layers`."""
    if type(layer) is keras.layers.Conv2D and layer.groups > 1:
        return GroupedConv2D.from_config(layer.get_config())
    return None
