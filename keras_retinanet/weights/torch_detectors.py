"""RetinaNets of torchvision, Detectron2 and MMDetection: a ResNet, a pyramid, two heads.

A source gives the names of its tensors and its design. The depth of the ResNet, the widths, the
input of P6 and the number of classes follow from the tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import keras
import numpy as np

from .. import coders
from ..errors import InputError
from ..models import RetinaNet
from ..models import backbone as make_backbone
from ..models.build import anchors_of
from ..models.norms import groups_for
from ..models.resnet import NETWORKS
from ..parts import Design, Freeze
from ..typing import ClassNames, StrPath, Tensors
from ..utils.text import listed
from . import weight_map
from .coco import COCO_80, names_for
from .shapes import count_classes, shape_of
from .weight_map import Entry

GROUPS = 32  # of the group norm in heads, in all three projects


@dataclass(frozen=True)
class Source:
    """A kind of files of one project.

    Attributes:
        names: the tensors' names, as in `weight_map.resnet`; "lateral" and "output" of the levels 3
            to 5, "P6", "P7", perhaps "scales" of the levels 3 to 7; and of "classification" and
            "regression" {"convs": [...], "norms": [...], "last": ...}.
        design: the detector, except for the parts that the tensors determine.
        stride_in: the convolution of a bottleneck that strides, "1x1" or "3x3".
        order: (A,) the source's anchors of a location, in this package's order.
        ignored: patterns of the names of tensors that are not weights.
        known: the class names of the project's own files.
    """

    names: dict
    design: Design
    stride_in: str
    order: list[int] | None = None
    ignored: tuple[str, ...] = ()
    known: list[str] = field(default_factory=lambda: COCO_80)


def build(
    path: StrPath,
    tensors: Tensors,
    source: Source,
    class_names: ClassNames = None,
    backbone: str | None = None,
) -> RetinaNet:
    """Return the training model with the weights of the file `path`.

    Args:
        tensors: {name: array} of the file.
        class_names: the names of the file's classes; None takes the source's known ones if their
            number fits.
        backbone: the name that the backbone must have.

    Raises:
        InputError: for tensors of anything but such a detector.
    """
    names = source.names
    resnet = weight_map.resnet_name(path, tensors, names)
    if source.stride_in == "3x3" and f"{resnet}v1.5" in NETWORKS:
        resnet = f"{resnet}v1.5"
    if backbone not in (None, resnet):
        raise InputError(f"{path}: the backbone is {resnet}, not {backbone}.")
    values = coders.get(source.design.coder).size
    box_channels, score_channels = (
        shape_of(path, tensors, f"{names[output]['last']}.weight")[0]
        for output in ("regression", "classification")
    )
    num_anchors = anchors_of(source.design).num_anchors()
    classes = count_classes(path, box_channels, score_channels, num_anchors, values)
    class_names = names_for(path, classes, class_names, source.known)
    model = make_backbone(resnet, stride_in=source.stride_in, epsilon=1e-5).detector(
        class_names or classes,
        design=sized(path, tensors, names, source.design),
        freeze=Freeze(batch_norm=True),
    )
    entries = weight_map.resnet(model, names) + pyramid(model, names)
    for output, size in (("classification", classes), ("regression", values)):
        order = None
        if source.order is not None:
            order = np.add.outer(np.multiply(source.order, size), np.arange(size)).ravel()
        entries += head(model, output, names[output], order)
    ignored = ("*.num_batches_tracked", *source.ignored)
    weight_map.copy(path, tensors, model, entries, ignored)
    return model


def sized(path: StrPath, tensors: Tensors, names: dict, design: Design) -> Design:
    """Return the design with the sizes that the tensors of pyramid and heads show."""
    width = shape_of(path, tensors, f"{names['lateral'][-1]}.weight")[0]
    p6_input = shape_of(path, tensors, f"{names['P6']}.weight")[1]
    tower = names["regression"]
    head_width = shape_of(path, tensors, f"{tower['convs'][0]}.weight")[0]
    if tower["norms"] and groups_for(head_width) != GROUPS:
        raise InputError(
            f"{path}: group norm in heads needs {GROUPS} groups of at least 4 channels, "
            f"but these have {head_width} channels."
        )
    p6_from = "P5" if p6_input == width else "C5"
    heads = replace(
        design.heads,
        width=head_width,
        depth=len(tower["convs"]),
        norm="group" if tower["norms"] else "none",
        level_scales="scales" in names,
    )
    pyramid = replace(design.pyramid, width=width, p6_from=p6_from)
    return replace(design, pyramid=pyramid, heads=heads)


def pyramid(model: keras.Model, names: dict) -> list[Entry]:
    """Map the pyramid and the factors of its levels."""
    pairs = [(name, f"C{level}_reduced") for level, name in enumerate(names["lateral"], 3)]
    pairs += [(name, f"P{level}") for level, name in enumerate(names["output"], 3)]
    pairs += [(names["P6"], "P6"), (names["P7"], "P7")]
    entries = []
    for name, ours in pairs:
        entries += weight_map.conv(name, model.get_layer(ours))
    for level, name in enumerate(names.get("scales", ()), 3):
        factor = model.get_layer(f"regression_scale_{level}").factor
        entries.append(weight_map.scale(name, factor))
    return entries


def with_epsilon(tensors: Tensors, epsilon: float, ours: float = 1e-5) -> Tensors:
    """Return `tensors` {name: array} with the epsilon of batch norms changed to `ours`.

    The weight compensates: w / sqrt(v + epsilon) = w' / sqrt(v + ours), in float64. So the model
    does not need an epsilon of 0, with which backends that flush denormal variances divide by 0. A
    channel with variance 0 gives its bias here; in the source it would give NaN.
    """
    scaled = {}
    for name, value in tensors.items():
        norm, _, part = name.rpartition(".")
        weight = tensors.get(f"{norm}.weight")
        if part != "running_var" or weight is None or weight.shape != np.shape(value):
            continue  # `weight_map.copy` reports it
        variance = np.asarray(value, "float64")
        varied = variance + epsilon > 0
        with np.errstate(invalid="ignore"):
            factor = np.sqrt((variance + ours) / np.where(varied, variance + epsilon, 1))
            scaled[f"{norm}.weight"] = np.where(varied, weight * factor, 0)
    return {**tensors, **scaled}


def head(
    model: keras.Model, output: str, names: dict, channels: np.ndarray | None = None
) -> list[Entry]:
    """Map the head of an output; `channels` orders the channels of its last convolution."""
    submodel = model.get_layer(f"{output}_submodel")
    ours = f"pyramid_{output}"
    entries = weight_map.conv(names["last"], submodel.get_layer(ours), channels)
    for i, name in enumerate(names["convs"]):
        entries += weight_map.conv(name, submodel.get_layer(f"{ours}_{i}"))
    for i, name in enumerate(names["norms"]):
        entries += weight_map.norm(name, submodel.get_layer(f"{ours}_{i}_norm"))
    return entries


def agree(path: StrPath, tensors: Tensors, name: str, values: Sequence[float]) -> None:
    """Raise an InputError if the file has a tensor `name` with other values."""
    found = np.ravel(tensors.get(name, values))
    if found.shape != np.shape(values) or not np.allclose(found, values, atol=1e-3):
        got = ", ".join(f"{value:g}" for value in found[:9])
        raise InputError(f"{path}: {name} must be {listed(values)}, got {got}.")
