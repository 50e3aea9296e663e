"""A detector for other classes, which starts from what another one has learnt."""

import re
from collections import namedtuple

import keras
from keras import ops

from ..errors import InputError
from ..initializers import PriorBackground
from ..layers import Scale
from ..models.detector import checked_names
from ..models.retinanet import retinanet
from ..utils.text import listed

# of the `total` weights of a new model, `kept` are those of the old one; `copied` and `new` are
# names of classes; `fresh` is {layer: why it starts anew}
Transfer = namedtuple("Transfer", ["kept", "total", "copied", "new", "fresh"])

# a head, its layers from the last convolution on, and what these give: at each place so many
# anchors with so many values each
End = namedtuple("End", ["head", "layers", "anchors", "values"])


def with_classes(model, class_names, anchors=None, pyramid_levels=None, **options):
    """(training model, Transfer): a detector for other classes, from any RetinaNet.

    The new model consists of the layers of `model` themselves, so training one trains the other,
    but for the last layer of the classification head. That starts as in a new detector, apart from
    the classes that `model` has by the very same name, whose columns are copied. Where `anchors`
    are more or fewer at a place, the last layers of all heads start anew. `pyramid_levels` are some
    of the model's. `options` are those of `RetinaNet`, by default as `model` has them.

    Raises:
        InputError: for levels that `model` lacks, for no names of classes or one that is there
            twice, and for heads that do not end in a convolution and a Reshape.
    """
    class_names = checked_names(class_names)
    anchors = anchors or model.anchor_params
    num_anchors = anchors.num_anchors()
    levels = list(pyramid_levels or model.pyramid_levels)
    if not set(levels) <= set(model.pyramid_levels):
        raise InputError(
            f"expected some of the pyramid levels {listed(model.pyramid_levels)} of the detector. "
            f"Received: {listed(levels)}"
        )
    known = model.class_names or []
    copied = [name for name in class_names if name in known]
    heads, fresh, lost = [], {}, 0
    for output in raw_outputs(model):
        end = end_of(model, output)
        values, columns = end.values, {i: i for i in range(end.values)}  # {new: old}
        if output == "classification":
            background = end.values - model.get_layer(output).output.shape[-1]  # softmax: 1
            values = len(class_names) + background
            columns = {class_names.index(name): known.index(name) for name in copied}
            columns |= {values - 1: end.values - 1} if background else {}
        if end.anchors != num_anchors:
            copied, columns = [], {}
        head, layer = renewed(end, num_anchors, values, columns)
        heads.append((output, head))
        if len(columns) < values:
            others = f"{end.anchors} anchors at a place, now {num_anchors}"
            fresh[layer.name] = "for new classes" if end.anchors == num_anchors else others
            lost += len(layer.weights)
    new = assembled(model, heads, levels, anchors=anchors, class_names=class_names, **options)
    left = [name for name in class_names if name not in copied]
    return new, Transfer(len(new.weights) - lost, len(new.weights), copied, left, fresh)


def raw_outputs(model):
    """The outputs of the training model that `model` is or was made from."""
    if model.is_training_model:
        return model.output_names
    branch = ["iou"] if any(layer.name == "iou" for layer in model.layers) else []
    others = [name.removeprefix("detected_") for name in model.output_names[3:]]
    return ["regression", "classification", *branch, *others]


def end_of(model, output):
    """The End of the head whose rows the layer of that name joins."""
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
            f"expected a head for {output} that ends in a convolution and a Reshape. "
            f"Received: {head.name}"
        )
    return End(head, layers, layers[0].filters // shapes[0][-1], shapes[0][-1])


def renewed(end, num_anchors, values, columns):
    """(head, its last convolution) with other numbers of anchors and values; of the values,
    `columns` {new: old} are copied, for each anchor.
    """
    last, *after = end.layers
    identical = list(columns.items()) == [(i, i) for i in range(values)]
    if identical and (end.anchors, end.values) == (num_anchors, values):
        return end.head, last
    config = {**last.get_config(), "filters": num_anchors * values}
    if isinstance(last.bias_initializer, PriorBackground):
        probability = last.bias_initializer.probability
        config["bias_initializer"] = PriorBackground(probability, values - 1)
    layer = type(last).from_config(config)
    x = layer(last.input)
    for each in after:
        config = each.get_config()
        if isinstance(each, keras.layers.Reshape):
            config["target_shape"] = (*config["target_shape"][:-1], values)
        x = type(each).from_config(config)(x)
    for before, variable in zip(last.weights, layer.weights, strict=True):
        rows = ops.convert_to_numpy(before).reshape(-1, end.anchors, end.values)
        start = ops.convert_to_numpy(variable).reshape(-1, num_anchors, values).copy()
        for new, old in columns.items():
            start[..., new] = rows[..., old]
        variable.assign(start.reshape(variable.shape))
    return keras.Model(end.head.inputs, x, name=end.head.name), layer


def assembled(model, heads, levels, **options):
    """The training model of these heads, [(output, model), ...], on the pyramid of `model`."""
    scales = [layer for layer in model.layers if isinstance(layer, Scale)]
    known = {**model.options, "progress": {}}
    if not model.is_training_model:  # scores below it are of use while training
        known["detection"].pop("score_threshold", None)
    new = retinanet(
        model.inputs[0],
        {f"P{level}": model.get_layer(f"P{level}").output for level in levels},
        len(options["class_names"]),
        create_pyramid_features=lambda features, levels: features,
        submodels=heads,
        level_scales=bool(scales),
        **{**known, **options, "pyramid_levels": levels},
    )
    for layer in new.layers:
        if isinstance(layer, Scale):
            layer.set_weights(model.get_layer(layer.name).get_weights())
    return new


def described(transfer, path):
    """What was kept of the detector in a file, and what was not, in a few lines."""
    lines = [f"kept from {path}: {transfer.kept} of {transfer.total} weights"]
    names = {"copied": transfer.copied, "new": transfer.new}
    told = [f"{what}: {listed(which)}" for what, which in names.items() if which]
    lines.append(f"classes {'; '.join(told)}")
    rows = [f"{layer} ({why})" for layer, why in transfer.fresh.items()]
    return "\n".join(lines + [f"starts anew: {', '.join(rows)}"] * bool(rows))


def backbone_of(model):
    """The layers of a detector up to what its pyramid takes, as a model; InputError without them.

    Its outputs are C3, C4 and C5, or those that there are.
    """
    laterals = [layer for layer in model.layers if re.fullmatch(r"C\d_reduced", layer.name)]
    if not laterals:
        raise InputError("expected a pyramid with layers such as C5_reduced. Received: none")
    laterals.sort(key=lambda layer: layer.name)
    return keras.Model(model.inputs, [layer.input for layer in laterals])
