"""RetinaNets of torchvision: `retinanet_resnet50_fpn` (36.4 AP) and `_v2` (41.5 AP)."""

import numpy as np

from ..utils.anchors import AnchorParameters
from . import torch_detectors
from .backbone_names import resnet
from .coco import coco_91
from .files import read_tensors

LASTS = {
    "classification": ("head.classification_head", "cls_logits"),
    "regression": ("head.regression_head", "bbox_reg"),
}
DIALECT = {
    "normalization": "torch",
    "pad_to": 32,
    "strided_padding": "symmetric",
    "coder": "center_size",
    "resize": "torchvision",
    "canvases": "own",
    "detection": {
        "score_threshold": 0.05,
        "top_k": 1000,
        "clip": "before",
        "nms_threshold": 0.5,
        "max_detections": 300,
    },
}

ASSUMED = (
    "batch norm's epsilon 0, that of the published first version; --epsilon 1e-5 for a network "
    "fine-tuned from an ImageNet backbone"
)


def load(path, class_names=None, backbone=None, epsilon=None):
    """The training model of a torchvision RetinaNet in a file.

    `class_names` are those of all rows, or all but the first, which stands for the background.
    `epsilon` is that of the batch norm: 0 in the published first version, 1e-5 in the second and in
    networks trained without frozen batch norm, which count their batches. A fine-tuned file without
    counters may have either: None takes 0 for it, and `assumed` of the model says so.
    """
    return from_tensors(path, read_tensors(path), class_names, backbone, epsilon)


def from_tensors(path, tensors, class_names=None, backbone=None, epsilon=None):
    """`load` of the tensors {name: array} of the file `path`."""
    names = names_of(tensors)
    counted = any(name.endswith(".num_batches_tracked") for name in tensors)
    assumed = () if counted or epsilon is not None else (ASSUMED,)
    if epsilon is None:
        epsilon = 1e-5 if counted else 0.0
    anchors = AnchorParameters(offset=0, rounded=True, fitted_strides=True)
    rows = np.size(tensors.get(f"{names['classification']['last']}.bias", ()))
    if class_names is not None and rows == anchors.num_anchors() * (len(class_names) + 1):
        class_names = ["background", *class_names]
    model = torch_detectors.build(
        path,
        torch_detectors.with_epsilon(tensors, epsilon),
        names,
        class_names,
        backbone,
        {"stride_in": "3x3", "epsilon": 1e-5},
        {**DIALECT, "anchors": anchors},
        known=coco_91(),
    )
    model.assumed = assumed
    return model


def names_of(tensors):
    """The names of pyramid and heads: those of version 0.13 and later, or the older ones."""
    end = "" if "backbone.fpn.inner_blocks.0.weight" in tensors else ".0"
    heads = {}
    for output, (head, last) in LASTS.items():
        older = f"{head}.conv.2.weight" in tensors
        normed = f"{head}.conv.0.1.weight" in tensors
        heads[output] = {
            "convs": [f"{head}.conv.{2 * i}" if older else f"{head}.conv.{i}.0" for i in range(4)],
            "norms": [f"{head}.conv.{i}.1" for i in range(4) if normed],
            "last": f"{head}.{last}",
        }
    return {
        **resnet("backbone.body."),
        "lateral": [f"backbone.fpn.inner_blocks.{i}{end}" for i in range(3)],
        "output": [f"backbone.fpn.layer_blocks.{i}{end}" for i in range(3)],
        "P6": "backbone.fpn.extra_blocks.p6",
        "P7": "backbone.fpn.extra_blocks.p7",
        **heads,
    }
