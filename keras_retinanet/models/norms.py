"""Norms inside networks: make, replace and freeze them."""

from collections.abc import Callable

import keras

from ..errors import InputError
from ..typing import Tensor
from ..utils.model import all_layers
from .replace import replace_layers


def groups_for(channels: int) -> int:
    """Return the most groups, up to 32, that divide `channels` evenly, 4 or more in each."""
    groups = max(1, min(32, channels // 4))
    while channels % groups:
        groups -= 1
    return groups


def batch(channels: int, name: str, epsilon: float = 1e-5) -> keras.layers.Layer:
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=epsilon, name=name)


def group(channels: int, name: str) -> keras.layers.Layer:
    """Return a norm that does not depend on the batch size. Wu and He 2018, arXiv 1803.08494."""
    return keras.layers.GroupNormalization(groups_for(channels), epsilon=1e-5, name=name)


NORMS: dict[str, Callable | None] = {"batch": batch, "group": group, "none": None}


def normalized(x: Tensor, norm: str, name: str) -> Tensor:
    """Apply a norm, a key of `NORMS`, to x (B, h, w, C); "none" leaves it unchanged."""
    if norm not in NORMS:
        raise ValueError(f"Unknown norm {norm!r}; known: {', '.join(NORMS)}.")
    make = NORMS[norm]
    return x if make is None else make(x.shape[-1], name)(x)


def group_for_batch(layer: keras.layers.Layer) -> keras.layers.Layer:
    return group(layer.gamma.shape[0] if layer.scale else layer.moving_mean.shape[0], layer.name)


def sync_for_batch(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Return batch norm with the statistics of all replicas. Peng et al. 2018, arXiv 1711.07240."""
    if keras.backend.backend() != "tensorflow":
        raise InputError("The norm sync_batch needs KERAS_BACKEND=tensorflow.")
    return layer.__class__.from_config({**layer.get_config(), "synchronized": True})


# replacements of the batch norm of a backbone
BACKBONE_NORMS: dict[str, Callable | None] = {
    "batch": None,
    "sync_batch": sync_for_batch,
    "group": group_for_batch,
}


def with_norm(network: keras.Model, norm: str) -> keras.Model:
    """Return `network` with every batch norm replaced by a norm, a key of `BACKBONE_NORMS`.

    All other weights are kept; with "sync_batch" the weights of the batch norm too.
    """
    if norm not in BACKBONE_NORMS:
        raise ValueError(f"Unknown norm {norm!r}; known: {', '.join(BACKBONE_NORMS)}.")
    change = BACKBONE_NORMS[norm]
    if change is None:
        return network

    def replacement(layer: keras.layers.Layer) -> keras.layers.Layer | None:
        return change(layer) if isinstance(layer, keras.layers.BatchNormalization) else None

    return replace_layers(network, replacement)


def freeze_batch_norm(model: keras.Model) -> keras.Model:
    """Put the batch norm of `model` and its submodels into inference mode; return the model."""
    for layer in all_layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return model
