"""Transfer: a detector for other classes that starts from a trained one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from ..errors import InputError
from ..initializers import PriorBackground
from ..layers import Scale
from ..models.detector import RetinaNet
from ..models.options import checked_names
from ..models.retinanet import training_model
from ..typing import StrPath
from ..utils.anchors import AnchorParameters
from ..utils.text import listed


@dataclass(frozen=True)
class Transfer:
    """Counts of the weights that a new model takes from the old one."""

    kept: int  # weights of the old model
    total: int  # weights
    copied: list[str]  # names of classes
    new: list[str]
    fresh: dict[str, str]  # {layer: reason} of layers that start from new weights


@dataclass(frozen=True)
class End:
    """The end of a head."""

    head: keras.Model  # the whole head
    layers: list  # the last convolution and what follows
    anchors: int  # at each place
    values: int  # of each anchor


def with_classes(
    model: RetinaNet,
    class_names: list[str],
    anchors: AnchorParameters | None = None,
    pyramid_levels: list[int] | None = None,
    **options: Any,
) -> tuple[RetinaNet, Transfer]:
    """Return a training model for other classes, and the `Transfer` from `model`.

    The new model shares the layers of `model`, so training one trains the other. Only the last
    layer of the classification head is separate: it starts as in a new detector, except that the
    columns of classes with exactly the same name are copied. If the number of anchors per location
    changes, the last layers of all heads start from new weights.

    Args:
        model: any RetinaNet, a training or an inference model.
        class_names: the class names of the new model.
        anchors: the anchors of the new model; None takes the anchors of `model`.
        pyramid_levels: some of the model's pyramid levels; None takes all.
        options: arguments of `RetinaNet` that differ from the model's.

    Raises:
        InputError: for levels that `model` lacks, for missing or repeated class names, and for
            heads that do not end in a convolution and a Reshape.
    """
    class_names = checked_names(class_names)
    anchors = anchors or model.anchor_params
    num_anchors = anchors.num_anchors()
    levels = list(pyramid_levels or model.pyramid_levels)
    if not set(levels) <= set(model.pyramid_levels):
        raise InputError(
            f"The detector has the pyramid levels {listed(model.pyramid_levels)} only; "
            f"it cannot be used on {listed(levels)}."
        )
    heads, fresh, lost = [], {}, 0
    for output in raw_outputs(model):
        end = end_of(model, output)
        same_anchors = end.anchors == num_anchors  # in all heads or in none
        values, columns = columns_of(model, output, end, class_names)
        head, layer = renewed(end, num_anchors, values, columns if same_anchors else {})
        heads.append((output, head))
        if not same_anchors:
            fresh[layer.name] = f"{end.anchors} anchors per location, now {num_anchors}"
        elif len(columns) < values:
            fresh[layer.name] = "for new classes"
        lost += len(layer.weights) if layer.name in fresh else 0
    options = {**options, "anchors": anchors, "class_names": class_names, "pyramid_levels": levels}
    new = assembled(model, heads, options)
    known = (model.class_names or []) if same_anchors else []
    copied, left = ([n for n in class_names if (n in known) == kept] for kept in (True, False))
    return new, Transfer(len(new.weights) - lost, len(new.weights), copied, left, fresh)


def columns_of(model: RetinaNet, output: str, end: End, class_names: list[str]) -> tuple[int, dict]:
    """Return the number of values per anchor of the new head, and {new: old} of the kept values."""
    if output != "classification":
        return end.values, {i: i for i in range(end.values)}
    known = model.class_names or []
    columns = {i: known.index(name) for i, name in enumerate(class_names) if name in known}
    background = end.values - model.get_layer(output).output.shape[-1]  # 1 of a softmax
    values = len(class_names) + background
    return values, columns | ({values - 1: end.values - 1} if background else {})


def raw_outputs(model: RetinaNet) -> list[str]:
    """Return the outputs of `model`, or of the training model that it was converted from."""
    if model.is_training_model:
        return model.output_names
    branch = ["iou"] if any(layer.name == "iou" for layer in model.layers) else []
    others = [name.removeprefix("detected_") for name in model.output_names[3:]]
    return ["regression", "classification", *branch, *others]


def end_of(model: RetinaNet, output: str) -> End:
    """Return the end of the head behind the layer `output`, which joins the head's rows."""
    head = model.get_layer(output)
    while head.name == output or isinstance(head, Scale):
        rows = head.input
        head = (rows[0] if isinstance(rows, list) else rows)._keras_history.operation
    layers = head.layers if isinstance(head, keras.Model) else []
    places = [i for i, layer in enumerate(layers) if isinstance(layer, keras.layers.Conv2D)]
    layers = layers[places[-1] :] if places else []
    shapes = [each.target_shape for each in layers if isinstance(each, keras.layers.Reshape)]
    if len(shapes) != 1 or layers[0].filters % shapes[0][-1]:
        raise InputError(
            f"The head {head.name} of {output} does not end in a convolution and a Reshape, "
            "so it cannot be changed."
        )
    return End(head, layers, layers[0].filters // shapes[0][-1], shapes[0][-1])


def renewed(end: End, num_anchors: int, values: int, columns: dict[int, int]) -> tuple:
    """Return a head for other numbers of anchors and values, and its last convolution.

    The values `columns` {new: old} of each anchor are copied. If nothing would change, the head
    itself is returned.
    """
    last, *after = end.layers
    identical = list(columns.items()) == [(i, i) for i in range(values)]
    if identical and (end.anchors, end.values) == (num_anchors, values):
        return end.head, last
    layer = resized(last, num_anchors * values, values)
    x = layer(last.input)
    for each in after:
        config = each.get_config()
        if isinstance(each, keras.layers.Reshape):
            config["target_shape"] = (*config["target_shape"][:-1], values)
        x = type(each).from_config(config)(x)
    for before, variable in zip(last.weights, layer.weights, strict=True):
        old = ops.convert_to_numpy(before).reshape(-1, end.anchors, end.values)
        new = ops.convert_to_numpy(variable).reshape(-1, num_anchors, values).copy()
        if columns:
            new[..., list(columns)] = old[..., list(columns.values())]
        variable.assign(np.reshape(new, variable.shape))
    return keras.Model(end.head.inputs, x, name=end.head.name), layer


def resized(layer: keras.layers.Layer, filters: int, values: int) -> keras.layers.Layer:
    """Return a new convolution like `layer` with other numbers of filters and values."""
    config = {**layer.get_config(), "filters": filters}
    if isinstance(layer.bias_initializer, PriorBackground):
        probability = layer.bias_initializer.probability
        config["bias_initializer"] = PriorBackground(probability, values - 1)
    return type(layer).from_config(config)


def assembled(model: RetinaNet, heads: list, options: dict) -> RetinaNet:
    """Return the training model of these heads, [(output, head)], on the pyramid of `model`."""
    scales = {layer.name: layer for layer in model.layers if isinstance(layer, Scale)}
    known = {**model.options, "progress": {}}
    known["detection"]["class_thresholds"] = None  # they hold for the old weights
    if not model.is_training_model:  # training needs lower scores too
        known["detection"].pop("score_threshold", None)
    levels = options["pyramid_levels"]
    pyramid = {f"P{level}": model.get_layer(f"P{level}").output for level in levels}
    new = training_model(model.inputs[0], pyramid, heads, {**known, **options}, bool(scales))
    for layer in new.layers:
        if isinstance(layer, Scale):
            layer.set_weights(scales[layer.name].get_weights())
    return new


def described(transfer: Transfer, path: StrPath) -> str:
    """Return a few lines on the kept and the new weights of a detector from a file."""
    lines = [f"kept from {path}: {transfer.kept} of {transfer.total} weights"]
    names = {"copied": transfer.copied, "new": transfer.new}
    lists = [f"{what}: {listed(which)}" for what, which in names.items() if which]
    lines.append(f"classes {'; '.join(lists)}")
    rows = [f"{layer} ({why})" for layer, why in transfer.fresh.items()]
    return "\n".join(lines + [f"new weights: {', '.join(rows)}"] * bool(rows))


def backbone_of(model: RetinaNet) -> keras.Model:
    """Return the layers of a detector below its pyramid as a model with outputs such as C3 to C5.

    Raises:
        InputError: for a detector without such a pyramid.
    """
    laterals = [layer for layer in model.layers if re.fullmatch(r"C\d_reduced", layer.name)]
    if not laterals:
        raise InputError("The detector has no pyramid with layers such as C5_reduced.")
    laterals.sort(key=lambda layer: layer.name)
    return keras.Model(model.inputs, [layer.input for layer in laterals])
