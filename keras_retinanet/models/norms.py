"""Normalisation inside networks: which layer, frozen or live, and how to change it."""

import keras

from ..errors import InputError
from ..utils.model import all_layers
from .replace import replace_layers


def groups_for(channels):
    """32 groups, or fewer where channels are few: at least 4 channels to a group, and a divisor."""
    groups = max(1, min(32, channels // 4))
    while channels % groups:
        groups -= 1
    return groups


def batch(channels, name, epsilon=1e-5):
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=epsilon, name=name)


def group(channels, name):
    """Wu and He 2018, arXiv 1803.08494: does not depend on the batch size."""
    return keras.layers.GroupNormalization(groups_for(channels), epsilon=1e-5, name=name)


NORMS = {"batch": batch, "group": group, "none": None}


def normalized(x, norm, name):
    """x (B, h, w, C) through the norm of that name, a key of `NORMS`; unchanged for "none"."""
    if norm not in NORMS:
        raise ValueError(f"Expected a norm among {sorted(NORMS)}. Received: {norm!r}.")
    return x if NORMS[norm] is None else NORMS[norm](x.shape[-1], name)(x)


def group_for_batch(layer):
    return group(layer.gamma.shape[0] if layer.scale else layer.moving_mean.shape[0], layer.name)


def sync_for_batch(layer):
    """Batch norm with the statistics of all replicas. Peng et al. 2018, arXiv 1711.07240."""
    if keras.backend.backend() != "tensorflow":
        raise InputError("Expected TensorFlow as Keras's backend for a norm of sync_batch.")
    return layer.__class__.from_config({**layer.get_config(), "synchronized": True})


# what stands for the batch norm of a backbone
BACKBONE_NORMS = {"batch": None, "sync_batch": sync_for_batch, "group": group_for_batch}


def with_norm(network, norm):
    """`network` with a norm, a key of `BACKBONE_NORMS`, in the place of every batch norm.

    Other weights stay, and those of batch norm where it becomes synchronised.
    """
    if norm not in BACKBONE_NORMS:
        raise ValueError(f"Expected a norm among {sorted(BACKBONE_NORMS)}. Received: {norm!r}.")
    change = BACKBONE_NORMS[norm]
    if change is None:
        return network

    def replacement(layer):
        return change(layer) if isinstance(layer, keras.layers.BatchNormalization) else None

    return replace_layers(network, replacement)


def freeze_batch_norm(model):
    """Puts the batch norm of `model` and its submodels into inference mode; returns the model."""
    for layer in all_layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return model
