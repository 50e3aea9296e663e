"""State dicts of random weights, under the names that PyTorch's projects give them."""

import numpy as np

from .reference import BLOCKS


def torchvision_names(v2=False, old=False):
    """The names of torchvision's RetinaNets; `old` are those before version 0.13."""

    def convolutions(name):
        plain = [f"head.{name}.conv.{2 * i}" for i in range(4)]
        return plain if old else [f"head.{name}.conv.{i}.0" for i in range(4)]

    def of_head(name, last):
        norms = [f"head.{name}.conv.{i}.1" if v2 else None for i in range(4)]
        return {"convs": convolutions(name), "norms": norms, "last": f"head.{name}.{last}"}

    body, end = "backbone.body", "" if old else ".0"
    return {
        "first": 1,
        "stem": (f"{body}.conv1", f"{body}.bn1"),
        "conv": f"{body}.layer{{stage}}.{{block}}.conv{{i}}",
        "norm": f"{body}.layer{{stage}}.{{block}}.bn{{i}}",
        "shortcut": (
            f"{body}.layer{{stage}}.{{block}}.downsample.0",
            f"{body}.layer{{stage}}.{{block}}.downsample.1",
        ),
        "lateral": [f"backbone.fpn.inner_blocks.{i}{end}" for i in range(3)],
        "output": [f"backbone.fpn.layer_blocks.{i}{end}" for i in range(3)],
        "P6": "backbone.fpn.extra_blocks.p6",
        "P7": "backbone.fpn.extra_blocks.p7",
        "classification": of_head("classification_head", "cls_logits"),
        "regression": of_head("regression_head", "bbox_reg"),
    }


def detectron2_names():
    body = "backbone.bottom_up"
    block = f"{body}.res{{stage}}.{{block}}"
    subnets = {
        output: [f"head.{subnet}.{2 * i}" for i in range(4)]
        for output, subnet in (("classification", "cls_subnet"), ("regression", "bbox_subnet"))
    }
    lasts = {"classification": "head.cls_score", "regression": "head.bbox_pred"}
    return {
        "first": 2,
        "stem": (f"{body}.stem.conv1", f"{body}.stem.conv1.norm"),
        "conv": f"{block}.conv{{i}}",
        "norm": f"{block}.conv{{i}}.norm",
        "shortcut": (f"{block}.shortcut", f"{block}.shortcut.norm"),
        "lateral": [f"backbone.fpn_lateral{level}" for level in (3, 4, 5)],
        "output": [f"backbone.fpn_output{level}" for level in (3, 4, 5)],
        "P6": "backbone.top_block.p6",
        "P7": "backbone.top_block.p7",
        **{
            output: {"convs": convs, "norms": [None] * 4, "last": lasts[output]}
            for output, convs in subnets.items()
        },
    }


def mmdetection_names(gfl=False):
    block = "backbone.layer{stage}.{block}"

    def of_head(short):
        stems = [f"bbox_head.{short}_convs.{i}" for i in range(4)]
        return {
            "convs": [f"{stem}.conv" for stem in stems],
            "norms": [f"{stem}.gn" if gfl else None for stem in stems],
            "last": f"bbox_head.{'gfl' if gfl else 'retina'}_{short}",
        }

    return {
        "first": 1,
        "stem": ("backbone.conv1", "backbone.bn1"),
        "conv": f"{block}.conv{{i}}",
        "norm": f"{block}.bn{{i}}",
        "shortcut": (f"{block}.downsample.0", f"{block}.downsample.1"),
        "lateral": [f"neck.lateral_convs.{i}.conv" for i in range(3)],
        "output": [f"neck.fpn_convs.{i}.conv" for i in range(3)],
        "P6": "neck.fpn_convs.3.conv",
        "P7": "neck.fpn_convs.4.conv",
        "classification": of_head("cls"),
        "regression": of_head("reg"),
        "scales": [f"bbox_head.scales.{i}.scale" for i in range(5)] if gfl else [],
    }


def draw(
    names,
    depth=50,
    classes=4,
    anchors=9,
    values=4,
    width=256,
    p6_from="C5",
    prior=-5.0,
    spread=1.0,
):
    """A state dict of random weights under these names: activations and outputs are of order 1.

    `prior` is the mean of the logits, `spread` the standard deviation of the input's pixels.
    """
    rng = np.random.default_rng(0)
    state = {}
    normal = rng.standard_normal

    def conv(name, shape, bias=True, gain=1.0):
        fan_in = shape[1] * shape[2] * shape[3]
        state[f"{name}.weight"] = normal(shape, "float32") * np.float32(gain / fan_in**0.5)
        if bias:
            state[f"{name}.bias"] = normal(shape[0], "float32") * np.float32(0.1)

    def norm(name, channels, statistics=True, gain=1.0):
        state[f"{name}.weight"] = (rng.random(channels, "float32") * 0.4 + 0.8) * np.float32(gain)
        state[f"{name}.bias"] = normal(channels, "float32") * np.float32(0.1)
        if statistics:
            state[f"{name}.running_mean"] = normal(channels, "float32") * np.float32(0.1)
            state[f"{name}.running_var"] = rng.random(channels, "float32") + np.float32(0.5)

    def both(pair, shape, gain=1.0):
        conv(pair[0], shape, bias=False, gain=2**0.5)
        norm(pair[1], shape[0], gain=gain)
        small = np.float32(0.03) ** (np.arange(shape[0]) % 4 == 0)  # so small that epsilon counts
        state[f"{pair[0]}.weight"] *= small[:, None, None, None]
        state[f"{pair[1]}.running_mean"] *= small
        state[f"{pair[1]}.running_var"] *= small**2

    both(names["stem"], (64, 3, 7, 7))
    state[f"{names['stem'][0]}.weight"] /= np.float32(spread)
    channels = 64
    for stage, count in enumerate(BLOCKS[depth]):
        wide = 64 * 2**stage
        out = wide if depth < 50 else 4 * wide
        for block in range(count):
            place = {"stage": stage + names["first"], "block": block}
            kernels = [(wide, channels, 3, 3), (wide, wide, 3, 3)]
            if depth >= 50:
                kernels = [(wide, channels, 1, 1), (wide, wide, 3, 3), (out, wide, 1, 1)]
            for i, shape in enumerate(kernels, 1):
                pair = [names[kind].format(**place, i=i) for kind in ("conv", "norm")]
                both(pair, shape, gain=0.2 if i == len(kernels) else 1)
            if channels != out or (stage > 0 and block == 0):
                both([name.format(**place) for name in names["shortcut"]], (out, channels, 1, 1))
            channels = out
    sizes = [channels // 4, channels // 2, channels]
    for size, lateral, output in zip(sizes, names["lateral"], names["output"], strict=True):
        conv(lateral, (width, size, 1, 1))
        conv(output, (width, width, 3, 3))
    conv(names["P6"], (width, width if p6_from == "P5" else channels, 3, 3))
    conv(names["P7"], (width, width, 3, 3), gain=2**0.5)
    for kind, outputs in (("classification", classes), ("regression", values)):
        of_head = names[kind]
        for name, normal_name in zip(of_head["convs"], of_head["norms"], strict=True):
            conv(name, (width, width, 3, 3), bias=normal_name is None, gain=2**0.5)
            if normal_name is not None:
                norm(normal_name, width, statistics=False)
        normed = of_head["norms"][0] is not None  # or the ResNet's growth comes through
        gain = (2 if kind == "classification" else 0.8) * (1 if normed else 0.15)
        conv(of_head["last"], (anchors * outputs, width, 3, 3), gain=gain)
    state[f"{names['classification']['last']}.bias"] += np.float32(prior)
    if values > 4:  # distributions: near boxes are likelier
        near = np.tile(np.arange(values // 4, dtype="float32"), 4 * anchors)
        state[f"{names['regression']['last']}.bias"] -= near / 4
    for i, name in enumerate(names.get("scales", [])):
        state[name] = np.float32(0.8 + 0.1 * i)
    return state
