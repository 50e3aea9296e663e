"""RetinaNets of torchvision: `retinanet_resnet50_fpn` (36.4 AP) and `_v2` (41.5 AP)."""

from __future__ import annotations

import numpy as np

from ..models.build import anchors_of
from ..presets import TORCHVISION
from ..typing import ClassNames, StrPath, Tensors
from . import Imported, torch_detectors
from .backbone_names import resnet
from .coco import coco_91
from .files import read_tensors

LASTS = {
    "classification": ("head.classification_head", "cls_logits"),
    "regression": ("head.regression_head", "bbox_reg"),
}
ASSUMED = (
    "batch norm's epsilon 0, as in the published first version; give 1e-5 for a network fine-tuned "
    "from an ImageNet backbone"
)


def load(
    path: StrPath,
    class_names: ClassNames = None,
    backbone: str | None = None,
    epsilon: float | None = None,
    tensors: Tensors | None = None,
) -> Imported:
    """Load the training model of a torchvision RetinaNet from a file.

    Args:
        class_names: for all rows, or for all but the first, the background.
        backbone: the name that the backbone must have.
        epsilon: the epsilon of batch norm. It is 0 in the published first version, and 1e-5 in the
            second and in networks trained without frozen batch norm, which count their batches. A
            fine-tuned file without these counters may have either; None then assumes 0.
    """
    tensors = read_tensors(path) if tensors is None else tensors
    names = names_of(tensors)
    counted = any(name.endswith(".num_batches_tracked") for name in tensors)
    assumed = () if counted or epsilon is not None else (ASSUMED,)
    if epsilon is None:
        epsilon = 1e-5 if counted else 0.0
    rows = np.size(tensors.get(f"{names['classification']['last']}.bias", ()))
    num_anchors = anchors_of(TORCHVISION).num_anchors()
    if class_names is not None and rows == num_anchors * (len(class_names) + 1):
        class_names = ["background", *class_names]
    tensors = torch_detectors.with_epsilon(tensors, epsilon)
    source = torch_detectors.Source(names, TORCHVISION, stride_in="3x3", known=coco_91())
    return Imported(torch_detectors.build(path, tensors, source, class_names, backbone), assumed)


def names_of(tensors: Tensors) -> dict:
    """Return the names in version 0.13 and later, or in older versions."""
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
