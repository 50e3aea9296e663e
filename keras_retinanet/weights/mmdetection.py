"""RetinaNet (36.5 to 41.0 AP) and GFL (40.2 to 44.7 AP) of MMDetection, from versions 2 and 3."""

import numpy as np

from ..layers.normalize import NORMALIZATIONS
from ..utils.anchors import PYRAMID_LEVELS, AnchorParameters, square_anchors
from . import torch_detectors
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
DIALECT = {
    "pad_to": 32,
    "p7_relu": False,
    "strided_padding": "symmetric",
    "resize": "mmdetection",
    "canvases": "own",
}
DETECTION = {
    "score_threshold": 0.05,
    "top_k": 1000,
    "clip": "dropping",
    "max_detections": 100,
}
# the networks that MMDetection trains on: torchvision's, or as "caffe" those of Detectron2
STYLES = {
    "torch": {"stride_in": "3x3", "epsilon": 1e-5},
    "detectron2": {"stride_in": "1x1", "epsilon": 1e-5},
}


def load(path, class_names=None, backbone=None):
    """The training model of an MMDetection RetinaNet or GFL in a file.

    Which of its two kinds of ResNet it has follows from the statistics of its batch norm, which the
    kind called caffe lacks: they are those that a new layer starts with.
    """
    return from_tensors(path, read_tensors(path), class_names, backbone)


def from_tensors(path, tensors, class_names=None, backbone=None):
    """`load` of the tensors {name: array} of the file `path`."""
    means = [value for name, value in tensors.items() if name.endswith(".running_mean")]
    normalization = "torch" if any(map(np.any, means)) else "detectron2"
    expected = NORMALIZATIONS[normalization]
    step = -1 if expected["order"] == "bgr" else 1
    for part in ("mean", "std"):
        torch_detectors.agree(path, tensors, f"data_preprocessor.{part}", expected[part][::step])
    gfl = "bbox_head.gfl_reg.weight" in tensors
    own = gfl_dialect(path, tensors) if gfl else retinanet_dialect()
    names = {**NAMES, **head_names(tensors, "gfl" if gfl else "retina")}
    return torch_detectors.build(
        path,
        tensors,
        names,
        class_names,
        backbone,
        STYLES[normalization],
        {**DIALECT, "normalization": normalization, **own},
        ignored=("data_preprocessor.*", "bbox_head.integral.project"),
    )


def retinanet_dialect():
    return {
        "anchors": AnchorParameters(offset=0),
        "coder": {"name": "center_size", "clamp": "both"},
        "detection": {**DETECTION, "nms_threshold": 0.5},
    }


def gfl_dialect(path, tensors):
    last = "bbox_head.gfl_reg.weight"
    bins = shape_of(path, tensors, last)[0] // 4 - 1
    torch_detectors.agree(path, tensors, "bbox_head.integral.project", range(bins + 1))
    squares = square_anchors(PYRAMID_LEVELS, 8).get_config()
    return {
        "anchors": AnchorParameters(**{**squares, "offset": 0}),
        "coder": {"name": "distances", "bins": bins},
        "detection": {**DETECTION, "nms_threshold": 0.6},
    }


def head_names(tensors, head):
    """The names of the heads, "retina" or "gfl", with group norm where the file has it."""
    names = {}
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
