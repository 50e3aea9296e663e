"""What is done to a backbone before it is used."""


def freeze(model):
    """Keeps every layer of `model` from training; returns the model, so it serves as `modifier`."""
    for layer in model.layers:
        layer.trainable = False
    return model
