"""What RetinaNets of torchvision, Detectron2 and MMDetection share: a ResNet, a pyramid, two heads.

A source gives its names of these and its dialect, as options of `Backbone.detector`. The rest
follows from the tensors: the depth of the ResNet, the widths, what P6 is made of, and the number of
classes.
"""

import numpy as np

from .. import coders
from ..errors import InputError
from ..models import backbone as make_backbone
from ..models.norms import groups_for
from ..models.resnet import NETWORKS
from . import moves
from .coco import COCO_80, names_for
from .shapes import count_classes, shape_of

GROUPS = 32  # of the group norm in heads, in all three


def build(
    path,
    tensors,
    names,
    class_names,
    backbone,
    network,
    dialect,
    order=None,
    ignored=(),
    known=COCO_80,
):
    """The training model with the weights of the file `path`, whose `tensors` are {name: array}.

    `names` are the source's, as of `moves.resnet`, and "lateral" and "output" of the levels 3 to 5,
    "P6", "P7", "scales" of the levels 3 to 7, and of "classification" and "regression" {"convs":
    [...], "norms": [...], "last": ...}. `network` are options of the ResNet, `dialect` those of
    `Backbone.detector`. `order` (A,) lists the source's anchors of a place as we have them;
    `ignored` as of `moves.copy`, `known` as of `coco.names_for`.
    """
    resnet = moves.resnet_name(path, tensors, names)
    if network["stride_in"] == "3x3" and f"{resnet}v1.5" in NETWORKS:
        resnet = f"{resnet}v1.5"
    if backbone not in (None, resnet):
        raise InputError(f"{path}: expected the backbone {backbone}. Received: {resnet}.")
    values = coders.get(dialect["coder"]).size
    channels = [
        shape_of(path, tensors, f"{names[output]['last']}.weight")[0]
        for output in ("regression", "classification")
    ]
    classes = count_classes(path, *channels, dialect["anchors"].num_anchors(), values)
    class_names = names_for(path, classes, class_names, known)
    model = make_backbone(resnet, **network).detector(
        class_names or [str(label) for label in range(classes)],
        freeze_bn=True,
        pyramid_norm="none",
        **sizes(path, tensors, names),
        **dialect,
    )
    model.class_names = class_names
    every = moves.resnet(model, names) + pyramid(model, names)
    for output, size in (("classification", classes), ("regression", values)):
        channels = order and (np.array(order)[:, None] * size + np.arange(size)).ravel()
        every += head(model, output, names[output], channels)
    moves.copy(path, tensors, model, every, ("*.num_batches_tracked", *ignored))
    return model


def sizes(path, tensors, names):
    """Options of `Backbone.detector` that follow from the shapes of pyramid and heads."""
    feature_size = shape_of(path, tensors, f"{names['lateral'][-1]}.weight")[0]
    p6_input = shape_of(path, tensors, f"{names['P6']}.weight")[1]
    tower = names["regression"]
    head_size = shape_of(path, tensors, f"{tower['convs'][0]}.weight")[0]
    if tower["norms"] and groups_for(head_size) != GROUPS:
        raise InputError(
            f"{path}: expected {GROUPS} groups of 4 channels or more in heads with group norm. "
            f"Received: {head_size} channels."
        )
    return {
        "feature_size": feature_size,
        "head_size": head_size,
        "head_depth": len(tower["convs"]),
        "head_norm": "group" if tower["norms"] else "none",
        "p6_from": "P5" if p6_input == feature_size else "C5",
        "level_scales": "scales" in names,
    }


def pyramid(model, names):
    """Moves of the pyramid and of the factors of its levels."""
    pairs = [(name, f"C{level}_reduced") for level, name in enumerate(names["lateral"], 3)]
    pairs += [(name, f"P{level}") for level, name in enumerate(names["output"], 3)]
    pairs += [(names["P6"], "P6"), (names["P7"], "P7")]
    every = [move for name, ours in pairs for move in moves.conv(name, model.get_layer(ours))]
    for level, name in enumerate(names.get("scales", ()), 3):
        every.append(moves.scale(name, model.get_layer(f"regression_scale_{level}").factor))
    return every


def with_epsilon(tensors, epsilon, ours=1e-5):
    """`tensors` {name: array} whose batch norms, made for `epsilon`, are computed with `ours`.

    The weight makes up for it: w / sqrt(v + epsilon) = w' / sqrt(v + ours), in float64. So the
    model needs no epsilon of 0, with which backends that flush denormal variances divide by 0. A
    channel of variance 0 never varied and gives its bias, where the source would give no number.
    """
    scaled = {}
    for name, value in tensors.items():
        norm, _, part = name.rpartition(".")
        weight = tensors.get(f"{norm}.weight")
        if part != "running_var" or np.shape(weight) != np.shape(value):
            continue  # `moves.copy` tells what is wrong
        variance = np.asarray(value, "float64")
        varied = variance + epsilon > 0
        with np.errstate(invalid="ignore"):
            factor = np.sqrt((variance + ours) / np.where(varied, variance + epsilon, 1))
            scaled[f"{norm}.weight"] = np.where(varied, weight * factor, 0)
    return {**tensors, **scaled}


def head(model, output, names, channels=None):
    """Moves of the head of that output; `channels` is the order of its last convolution."""
    submodel = model.get_layer(f"{output}_submodel")
    ours = f"pyramid_{output}"
    every = moves.conv(names["last"], submodel.get_layer(ours), channels)
    for i, name in enumerate(names["convs"]):
        every += moves.conv(name, submodel.get_layer(f"{ours}_{i}"))
    for i, name in enumerate(names["norms"]):
        every += moves.norm(name, submodel.get_layer(f"{ours}_{i}_norm"))
    return every


def agree(path, tensors, name, values):
    """Checks that the tensor of that name, where the file has it, holds these values."""
    found = np.ravel(tensors.get(name, values))
    if found.shape != np.shape(values) or not np.allclose(found, values, atol=1e-3):
        raise InputError(
            f"{path}: expected {name} to be {', '.join(map(str, values))}. "
            f"Received: {', '.join(f'{value:g}' for value in found[:9])}."
        )
