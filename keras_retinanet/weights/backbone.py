"""Bare ImageNet backbones of keras.applications, torchvision and timm.

The classifier in a file is left out; every other tensor must have a variable. Only networks that
compute the same as this package's are accepted.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np

from ..errors import InputError
from ..models import backbone as make_backbone
from ..typing import ClassNames, StrPath, Tensors
from . import Imported
from . import backbone_names as names
from .files import read_tensors
from .signs import received
from .weight_map import Entry, copy, resnet


class Kind(NamedTuple):
    """Files of one project and kind of network."""

    classifier: list[str]  # patterns of its tensors
    weight_map: Callable[[keras.Model, Tensors], list[Entry]]


def by_names(known: dict[str, str]) -> Callable:
    return lambda network, tensors: names.map_by_names(network, known)


def of_legacy_senet(network: keras.Model, tensors: Tensors) -> list[Entry]:
    deep_stem = names.map_by_names(network, names.DEEP_STEM)
    return resnet(network, names.LEGACY_SENET) + deep_stem


def of_applications(network: keras.Model, tensors: Tensors) -> list[Entry]:
    """Map layers by their names, and those that Keras numbers or has renamed in their order."""
    groups: dict[str, list[str]] = {}
    for name in tensors:
        layer = name.rpartition("/")[0].replace("/", "_")  # Keras 2 allowed "conv1/bn"
        groups.setdefault(layer, []).append(name)
    layers = list(names.leaf_layers(network))
    pairs = [(layer, groups.pop(layer.name, None)) for layer in layers]
    rest = iter(groups.values())
    filled = [(layer, found or next(rest, [])) for layer, found in pairs]
    return [
        Entry(name, variable)
        for layer, found in filled
        for name, variable in zip(found, layer.weights, strict=False)
    ]


PADDING = "pad on other sides than ours: take the file of keras.applications"
# {a tensor of a kind of file: the kind, or the reason to refuse the file}; the first match counts
KINDS: dict[str, Kind | str] = {
    "layer0.conv1.weight": Kind(["last_linear.*"], of_legacy_senet),
    "layer1.0.se.fc1.weight": "timm's SE-ResNets of today stride and pad in other places than "
    "ours: take a file of its legacy_seresnet50 and the like",
    "layer1.0.conv1.weight": Kind(["fc.*"], lambda network, _: resnet(network, names.resnet())),
    "features.conv0.weight": Kind(["classifier.*"], by_names(names.DENSENET)),
    "features.1.0.layer_scale": Kind(["classifier.2.*"], by_names(names.CONVNEXT_OF_TORCHVISION)),
    "stages.0.blocks.0.conv_dw.weight": Kind(["head.fc.*"], by_names(names.CONVNEXT_OF_TIMM)),
    "features.0.weight": "the VGGs of torchvision and timm expect another normalization than ours: "
    "take the file of keras.applications",
    "features.0.0.weight": f"the MobileNets and EfficientNets of torchvision {PADDING}",
    "conv_stem.weight": f"the MobileNets and EfficientNets of timm {PADDING}",
    "*/vars/0": "training starts from weights of Keras 3 directly, without an import",
    "*/kernel": Kind(
        [
            "predictions/*",
            "fc[12]/*",
            "conv_preds/*",
            "[Ll]ogits/*",
            "[Cc]onv_2/*",
            "*_head_dense/*",
        ],
        of_applications,
    ),
}

SIZES = {  # numbers in the tensors of a network, without its classifier
    **{11186112: "resnet18", 21301696: "resnet34"},
    **{23561152: "resnet50v1.5", 42605504: "resnet101v1.5", 58295232: "resnet152v1.5"},
    **{23587712: "resnet50", 42658176: "resnet101", 58370944: "resnet152"},
    **{23564800: "resnet50v2", 42626560: "resnet101v2", 58331648: "resnet152v2"},
    **{23048128: "resnext50", 42266560: "resnext101", 86945216: "resnext101_32x8d"},
    **{11275192: "seresnet18", 21462892: "seresnet34", 26092144: "seresnet50"},
    **{47383216: "seresnet101", 64924272: "seresnet152", 113287536: "senet154"},
    **{25579120: "seresnext50", 47044272: "seresnext101"},
    **{14714688: "vgg16", 20024384: "vgg19"},
    **{7037504: "densenet121", 12642880: "densenet169", 18321984: "densenet201"},
    **{218544: "mobilenet224_0.25", 829536: "mobilenet224_0.5", 1832976: "mobilenet224_0.75"},
    **{3228864: "mobilenet224_1.0", 410208: "mobilenetv2_0.35", 706224: "mobilenetv2_0.5"},
    **{1382064: "mobilenetv2_0.75", 2257984: "mobilenetv2_1.0", 3766048: "mobilenetv2_1.3"},
    **{4363712: "mobilenetv2_1.4", 583160: "mobilenetv3small_0.75", 939120: "mobilenetv3small_1.0"},
    **{1808736: "mobilenetv3large_0.75", 2996352: "mobilenetv3large_1.0"},
    **{4049571: "efficientnetb0", 6575239: "efficientnetb1", 7768569: "efficientnetb2"},
    **{10783535: "efficientnetb3", 17673823: "efficientnetb4", 28513527: "efficientnetb5"},
    **{40960143: "efficientnetb6", 64097687: "efficientnetb7"},
    **{5919312: "efficientnetv2b0", 6931124: "efficientnetv2b1", 8769374: "efficientnetv2b2"},
    **{12930622: "efficientnetv2b3", 20331360: "efficientnetv2s", 53150388: "efficientnetv2m"},
    **{117746848: "efficientnetv2l", 27820128: "convnext_tiny", 49454688: "convnext_small"},
    **{87566464: "convnext_base"},
}
NEAR = 0.001  # relative tolerance of a size; the sizes in the table differ by more
COUNTERS = "*.num_batches_tracked"


def load(path: StrPath, class_names: ClassNames = None, backbone: str | None = None) -> Imported:
    """Load the Keras model of a bare backbone from a file.

    The model takes images (B, H, W, 3) that are normalized as for `models.backbone(model.name)`.

    Args:
        class_names: must be None.
        backbone: the name, if the tensors do not show it, such as the image size of a MobileNet.
    """
    if class_names is not None:
        raise InputError(f"{path}: a bare backbone has no class names; leave them out.")
    tensors = {current(name): value for name, value in read_tensors(path).items()}
    kind, tensors = without_classifier(path, tensors)
    name = backbone or name_of(path, tensors)
    chosen = make_backbone(name)
    network = chosen.network(keras.Input((None, None, 3), name="image"))
    model = keras.Model(network.inputs[0], network.outputs[0], name=chosen.backbone)
    try:
        weight_map = kind.weight_map(model, tensors)
    except ValueError:  # the network lacks some of the layers
        raise InputError(f"{path}: not the tensors of {name}; name another backbone.") from None
    copy(path, tensors, model, weight_map, [COUNTERS])
    for layer in names.leaf_layers(model):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # the layer computes with constants made from its weights
    return Imported(model)


def current(name: str) -> str:
    """Return today's name of a DenseNet's tensor: torchvision's files write norm.1."""
    return re.sub(r"(\.denselayer\d+\.(?:norm|conv))\.", r"\1", name)


def without_classifier(path: StrPath, tensors: Tensors) -> tuple[Kind, Tensors]:
    """Return the Kind of a file, and its tensors without the classifier's.

    Raises:
        InputError: for files that are refused.
    """
    for sign, kind in KINDS.items():
        if fnmatch.filter(tensors, sign):
            if isinstance(kind, str):
                raise InputError(f"{path}: {kind}.")
            left_out = {
                name for pattern in kind.classifier for name in fnmatch.filter(tensors, pattern)
            }
            return kind, {n: value for n, value in tensors.items() if n not in left_out}
    raise InputError(
        f"{path}: not a ResNet, ResNeXt, legacy SE-ResNet, DenseNet or ConvNeXt of torchvision "
        f"or timm, or a file of keras.applications, but {received(tensors)}."
    )


def name_of(path: StrPath, tensors: Tensors) -> str:
    """Return the name of the backbone with about this size; `copy` reports differences."""
    counted = [value for name, value in tensors.items() if not fnmatch.fnmatchcase(name, COUNTERS)]
    size = sum(map(np.size, counted))
    nearest = min(SIZES, key=lambda known: abs(known - size))
    if abs(nearest - size) > NEAR * size:
        raise InputError(
            f"{path}: no known backbone has its {size:,} numbers in {len(counted)} tensors; "
            "give the backbone's name."
        )
    return SIZES[nearest]
