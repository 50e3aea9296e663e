"""Normalisation inside networks: which layer, frozen or live, and how to change it."""

import keras


def groups_for(channels):
    """32 groups, or fewer where channels are few: at least 4 channels to a group, and a divisor."""
    groups = max(1, min(32, channels // 4))
    while channels % groups:
        groups -= 1
    return groups


def batch(channels, name):
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)


def group(channels, name):
    """Wu and He 2018, arXiv 1803.08494: does not depend on the batch size."""
    return keras.layers.GroupNormalization(groups_for(channels), epsilon=1e-5, name=name)


NORMS = {"batch": batch, "group": group, "none": None}


def normalized(x, norm, name):
    """x (B, h, w, C) through the norm of that name, a key of `NORMS`; unchanged for "none"."""
    if norm not in NORMS:
        raise ValueError(f"Expected a norm among {sorted(NORMS)}. Received: {norm!r}.")
    return x if NORMS[norm] is None else NORMS[norm](x.shape[-1], name)(x)


def freeze_batch_norm(model):
    """Puts the batch norm of `model` and its submodels into inference mode; returns the model."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            freeze_batch_norm(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return model
