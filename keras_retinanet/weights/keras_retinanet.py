"""keras-retinanet's `.h5` files: training models, inference models, or weights alone.

A model on a ResNet or VGG takes what `preprocess_image` gives, as there; one on a DenseNet or
MobileNet, which was trained on BGR at the scale of mode tf, takes RGB 0..255. What a file holds
beside weights is kept: how the first convolution is padded, and the anchors, the box coder and the
filter of an inference model.
"""

import json
import re
from collections import namedtuple

import h5py
import keras
import numpy as np

from ..errors import InputError
from ..models import backbone as make_backbone
from ..models.norms import freeze_batch_norm
from ..models.replace import replace_layers
from ..utils.anchors import AnchorParameters
from ..utils.text import listed
from .coco import names_for
from .files import read_tensors
from .moves import Move, copy
from .shapes import count_classes, shape_of
from .signs import received

DIALECT = {
    "preprocessing": "caffe",
    "coder": "corners",
    "clip_margin": 1,
    "resize": "keras-retinanet",
    "canvases": "own",
}
DETECTION = {
    "nms": "hard",
    "class_specific_filter": True,
    "nms_threshold": 0.5,
    "score_threshold": 0.05,
    "max_detections": 300,
    "top_k": None,
    "clip": "before",
}
OUTPUTS = ("regression", "classification")
LEVELS = range(2, 8)
# assumed where a file does not tell
ANCHORS = "keras-retinanet's default anchors; --config INI for others that it was trained with"
STEM = "keras-resnet 0.2, whose first convolution pads as Keras does; an .h5 file would tell"


def load(path, class_names=None, backbone=None, anchors=None):
    """The training model of keras-retinanet in an `.h5` file.

    `backbone` is for the size in the name of a MobileNet, 224 by default, which weights do not
    tell. `anchors` (AnchorParameters) are those of the training where they were not the default
    ones and the file is no inference model, which holds them.
    """
    tensors = canonical(read_tensors(path))
    family, name = family_of(path, tensors, backbone)
    names, layers = structure(path)
    levels = [level for level in LEVELS if f"P{level}/kernel" in tensors]
    try:
        told = anchors or of_class(layers, "Anchors") or None
        anchors = anchors or anchors_in(layers, levels)
        options = {**DIALECT, **decoding(layers)}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: its model_config is not keras-retinanet's ({error!r})") from None
    if len(anchors.sizes) != len(levels):
        raise InputError(
            f"{path}: expected anchors of {len(anchors.sizes)} pyramid levels. "
            f"Received: {listed(f'P{level}' for level in levels)}."
        )
    kernels = [f"{output}_submodel/pyramid_{output}/kernel" for output in OUTPUTS]
    channels = [shape_of(path, tensors, kernel)[-1] for kernel in kernels]
    classes = count_classes(path, *channels, anchors.num_anchors())
    model = make_backbone(name, **family.options).retinanet(
        classes,
        modifier=lambda network: freeze_batch_norm(with_stem(network, tensors, names)),
        normalization=family.normalization,
        anchors=anchors,
        pyramid_levels=levels,
        class_names=names_for(path, classes, class_names),
        **options,
    )
    copy(path, tensors, model, moves_of(model, tensors))
    unknown = {ANCHORS: told is None, STEM: "bn_conv1/gamma" in tensors and not names}
    model.assumed = [line for line, is_unknown in unknown.items() if is_unknown]
    return model


# the names of tensors


def canonical(tensors):
    """The tensors {name: array} under the names that their layers were made with.

    TensorFlow 1 numbered names that a session had already: the last convolution of a head may be
    called pyramid_regression_8. The order of the convolutions is always the same.
    """
    places = {re.sub(r"^(.+)/\1(_\d+)?/", r"\1/", name): name for name in tensors}
    for output in OUTPUTS:
        head = f"{output}_submodel"
        layers = [*(f"pyramid_{output}_{i}" for i in range(4)), f"pyramid_{output}"]
        wanted = [f"{head}/{layer}/{part}" for layer in layers for part in ("kernel", "bias")]
        found = [name for name in places if name.startswith(f"{head}/")]
        if len(found) == len(wanted) and set(found) != set(wanted):
            numbered = [places.pop(name) for name in found]
            places |= dict(zip(wanted, numbered, strict=True))
    return {name: tensors[place] for name, place in places.items()}


def moves_of(model, tensors):
    """The moves of all weights of `model`, which are called as in keras-retinanet but for some of
    its backbones.
    """
    numbered = {name[3] for name in tensors if re.match(r"res\db1_", name)}
    moves = []
    for layer in model.layers:
        parts = layer.layers if isinstance(layer, keras.Model) else [layer]
        for part in parts:
            name = layer_name(part.name, tensors, numbered)
            name = name if part is layer else f"{layer.name}/{name}"
            for weight in part.weights:
                kind = weight.name
                if isinstance(part, keras.layers.DepthwiseConv2D) and kind == "kernel":
                    kind = "depthwise_kernel"
                moves.append(Move(f"{name}/{kind}", weight))
    return moves


def layer_name(name, tensors, numbered=()):
    """What the layer of ours called `name` is called in a file; `numbered` are the stages of a
    ResNet whose blocks have numbers there instead of letters: 3a, 3b1, 3b2 for 3a, 3b, 3c.
    """
    if "bn_conv1/gamma" in tensors:  # keras-resnet
        block = re.fullmatch(r"conv(\d)_block(\d+)_(\d)_(conv|bn)", name)
        if block is None:
            return {"conv1_conv": "conv1", "conv1_bn": "bn_conv1"}.get(name, name)
        stage, number, place, kind = block.groups()
        count = int(number) - 1
        letter = f"b{count}" if count and stage in numbered else chr(ord("a") + count)
        branch = "1" if place == "0" else f"2{'abc'[int(place) - 1]}"
        return f"{'res' if kind == 'conv' else 'bn'}{stage}{letter}_branch{branch}"
    if "conv1/conv/kernel" in tensors:  # DenseNet
        return {"conv1_conv": "conv1/conv", "conv1_bn": "conv1/bn"}.get(name, name)
    return name


# the backbone

# What a family of backbones is told by: `size(tensors)` and the names by it; what normalises its
# images where `preprocess_image` does not; and its options.
Family = namedtuple("Family", ["size", "names", "normalization", "options"], defaults=[None, {}])


def count(pattern):
    """How many tensors have a name of this pattern, as a function of the tensors."""
    return lambda tensors: sum(bool(re.fullmatch(pattern, name)) for name in tensors)


FAMILIES = {  # by a tensor that no other one has
    "bn_conv1/gamma": Family(
        count(r"res4\w+_branch2a/kernel"),
        {6: "resnet50", 23: "resnet101", 36: "resnet152"},
        options={"stride_in": "1x1", "epsilon": 1e-5, "stem_padding": "same"},
    ),
    "block1_conv1/kernel": Family(count(r"block5_conv\d/kernel"), {3: "vgg16", 4: "vgg19"}),
    "conv1/conv/kernel": Family(
        count(r"conv4_block\d+_1_conv/kernel"),
        {24: "densenet121", 32: "densenet169", 48: "densenet201"},
        "tf_bgr",
    ),
    "conv_dw_1/depthwise_kernel": Family(
        lambda tensors: np.size(tensors.get("conv1_bn/gamma", ())),  # channels
        {round(32 * width): f"mobilenet224_{width}" for width in (0.25, 0.5, 0.75, 1.0)},
        "tf_bgr",
    ),
}


def family_of(path, tensors, backbone=None):
    """(Family, name) of the backbone of a file; `backbone` is the name that it should have."""
    family = next((FAMILIES[mark] for mark in FAMILIES if mark in tensors), None)
    if family is None:
        raise InputError(
            f"{path}: expected a RetinaNet of keras-retinanet on a ResNet, VGG, DenseNet or "
            f"MobileNet. Received: {received(tensors)}."
        )
    found = family.size(tensors)
    name = family.names[min(family.names, key=lambda size: abs(size - found))]  # or some lack
    if backbone is not None and sizeless(backbone) != sizeless(name):
        raise InputError(f"{path}: expected the backbone {backbone}. Received: {name}.")
    return family, backbone or name


def sizeless(name):
    """The name of a backbone without what its weights do not tell."""
    return re.sub(r"^mobilenet(?:128|160|192|224)_(\d\.\d+?)0*$", r"mobilenet_\1", name)


def with_stem(network, tensors, names):
    """`network` with the stem of a file that has these tensors, and layers of these names.

    keras-resnet 0.1 pads its first convolution in a layer of its own, 0.2 leaves it to Keras. The
    old MobileNets that pad theirs below and on the right agree with ours on images of even sides.
    """
    if "bn_conv1/gamma" not in tensors or "padding_conv1" in names:
        return network

    def replacement(layer):
        if layer.name == "conv1_pad":
            return keras.layers.ZeroPadding2D(0, name=layer.name)
        if layer.name == "conv1_conv":
            return keras.layers.Conv2D.from_config({**layer.get_config(), "padding": "same"})
        return None

    return replace_layers(network, replacement, network.inputs[0])


# what a file says beside weights


def structure(path):
    """(names, layers) of a file: the names of all layers, and the configurations of the model's,
    none where there are weights alone.
    """
    if not h5py.is_hdf5(path):
        return [], []  # tensors alone, as safetensors
    with h5py.File(path, "r") as file:
        names = list(file.get("model_weights", file))
        config = file.attrs.get("model_config", '{"config": {"layers": []}}')
    try:
        layers = json.loads(config)["config"]["layers"]
        return names, [{"class_name": each["class_name"], **each["config"]} for each in layers]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: its model_config is not Keras's ({error!r})") from None


def of_class(layers, name):
    """The configurations of the layers of a class, in the order of the numbers in their names."""
    found = [layer for layer in layers if layer["class_name"] == name]
    return sorted(found, key=lambda layer: [int(n) for n in re.findall(r"\d+", layer["name"])])


def anchors_in(layers, levels):
    """The AnchorParameters of the `Anchors` layers, keras-retinanet's default without any."""
    places = of_class(layers, "Anchors")
    if not places:
        strides = [2**level for level in levels]
        return AnchorParameters([4 * stride for stride in strides], strides)
    given = {key: places[0][key] for key in ("ratios", "scales") if places[0].get(key)}
    sizes, strides = ([place[key] for place in places] for key in ("size", "stride"))
    return AnchorParameters(sizes, strides, **given)


def decoding(layers):
    """Options of `RetinaNet`: the box coder and the filter of an inference model, the default ones
    of keras-retinanet without it.
    """
    options = {"detection": dict(DETECTION)}
    for layer in of_class(layers, "RegressBoxes"):
        given = {key: layer[key] for key in ("mean", "std") if layer.get(key) is not None}
        options["coder"] = {"name": "corners", **given}
    for layer in of_class(layers, "FilterDetections"):
        given = {key: layer[key] for key in DETECTION if key in layer}
        nms = "hard" if given.get("nms", True) else "none"
        clip = "before" if of_class(layers, "ClipBoxes") else "after"
        options["detection"] |= {**given, "nms": nms, "clip": clip}
    return options
