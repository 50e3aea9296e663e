"""RetinaNet (36.5 to 41.0 AP) and GFL (40.2 to 44.7 AP) of MMDetection, from versions 2 and 3."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..normalization import NORMALIZATIONS
from ..parts import Design
from ..presets import MMDETECTION, MMDETECTION_GFL
from ..typing import ClassNames, StrPath, Tensors
from . import Imported, torch_detectors
from .backbone_names import resnet
from .files import read_tensors
from .shapes import shape_of

NAMES = {
    **resnet("backbone."),
    "lateral": [f"neck.lateral_convs.{i}.conv" for i in range(3)],
    "output": [f"neck.fpn_convs.{i}.conv" for i in range(3)],
    "P6": "neck.fpn_convs.3.conv",
    "P7": "neck.fpn_convs.4.conv",
}
# Its networks are torchvision's, or as "caffe" Detectron2's: {normalization: the strided layer}
STRIDE_IN = {"torch": "3x3", "detectron2": "1x1"}


def load(
    path: StrPath,
    class_names: ClassNames = None,
    backbone: str | None = None,
    tensors: Tensors | None = None,
) -> Imported:
    """Load the training model of an MMDetection RetinaNet or GFL from a file.

    Its ResNet is of one of two kinds. In the kind called caffe, batch norm has the statistics of an
    untrained layer.
    """
    tensors = read_tensors(path) if tensors is None else tensors
    means = [value for name, value in tensors.items() if name.endswith(".running_mean")]
    normalization = "torch" if any(map(np.any, means)) else "detectron2"
    expected = NORMALIZATIONS[normalization]
    step = -1 if expected["order"] == "bgr" else 1
    for part in ("mean", "std"):
        torch_detectors.agree(path, tensors, f"data_preprocessor.{part}", expected[part][::step])
    gfl = "bbox_head.gfl_reg.weight" in tensors
    design = gfl_design(path, tensors) if gfl else MMDETECTION
    source = torch_detectors.Source(
        {**NAMES, **head_names(tensors, "gfl" if gfl else "retina")},
        replace(design, inputs=replace(design.inputs, normalization=normalization)),
        STRIDE_IN[normalization],
        ignored=("data_preprocessor.*", "bbox_head.integral.project"),
    )
    return Imported(torch_detectors.build(path, tensors, source, class_names, backbone))


def gfl_design(path: StrPath, tensors: Tensors) -> Design:
    """Return the design of a GFL with as many bins as the file has."""
    bins = shape_of(path, tensors, "bbox_head.gfl_reg.weight")[0] // 4 - 1
    torch_detectors.agree(path, tensors, "bbox_head.integral.project", range(bins + 1))
    return replace(MMDETECTION_GFL, coder={"name": "distances", "bins": bins})


def head_names(tensors: Tensors, head: str) -> dict:
    """Return the names of the heads "retina" or "gfl", with the group norm that the file has."""
    names: dict[str, Any] = {}
    for output, short in (("classification", "cls"), ("regression", "reg")):
        stems = [f"bbox_head.{short}_convs.{i}" for i in range(4)]
        norms = [f"{stem}.gn" for stem in stems]
        names[output] = {
            "convs": [f"{stem}.conv" for stem in stems],
            "norms": norms if any(f"{norm}.weight" in tensors for norm in norms) else [],
            "last": f"bbox_head.{head}_{short}",
        }
    if head == "gfl":
        names["scales"] = [f"bbox_head.scales.{i}.scale" for i in range(5)]
    return names
