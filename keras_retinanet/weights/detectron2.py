"""RetinaNets of Detectron2's model zoo: R50 (37.4, 38.7 AP) and R101 (40.4 AP)."""

import numpy as np

from ..errors import InputError
from ..layers.normalize import NORMALIZATIONS
from ..utils.anchors import AnchorParameters
from . import torch_detectors
from .files import read_tensors

BODY = "backbone.bottom_up"
BLOCK = "backbone.bottom_up.res{stage}.{block}"
NAMES = {
    "first": 2,
    "stem": (f"{BODY}.stem.conv1", f"{BODY}.stem.conv1.norm"),
    "conv": f"{BLOCK}.conv{{i}}",
    "norm": f"{BLOCK}.conv{{i}}.norm",
    "shortcut": (f"{BLOCK}.shortcut", f"{BLOCK}.shortcut.norm"),
    "lateral": [f"backbone.fpn_lateral{level}" for level in (3, 4, 5)],
    "output": [f"backbone.fpn_output{level}" for level in (3, 4, 5)],
    "P6": "backbone.top_block.p6",
    "P7": "backbone.top_block.p7",
    "classification": {
        "convs": [f"head.cls_subnet.{2 * i}" for i in range(4)],
        "norms": [],
        "last": "head.cls_score",
    },
    "regression": {
        "convs": [f"head.bbox_subnet.{2 * i}" for i in range(4)],
        "norms": [],
        "last": "head.bbox_pred",
    },
}
DIALECT = {
    "normalization": "detectron2",
    "pad_to": 32,
    "strided_padding": "symmetric",
    "coder": "center_size",
    "resize": "detectron2",
    "canvases": "own",
    "detection": {
        "score_threshold": 0.05,
        "top_k": 1000,
        "nms_threshold": 0.5,
        "max_detections": 100,
        "clip": "after",
    },
}
CELLS = "anchor_generator.cell_anchors"


def load(path, class_names=None, backbone=None):
    """The training model of a Detectron2 RetinaNet in a file: MSRA's ResNet, stride in the 1x1."""
    return from_tensors(path, read_tensors(path), class_names, backbone)


def from_tensors(path, tensors, class_names=None, backbone=None):
    """`load` of the tensors {name: array} of the file `path`."""
    normalization = NORMALIZATIONS[DIALECT["normalization"]]
    torch_detectors.agree(path, tensors, "pixel_mean", normalization["mean"][::-1])  # BGR
    torch_detectors.agree(path, tensors, "pixel_std", normalization["std"][::-1])
    anchors = anchors_of(path, tensors)
    ratios, scales = len(anchors.ratios), len(anchors.scales)
    return torch_detectors.build(
        path,
        tensors,
        NAMES,
        class_names,
        backbone,
        {"stride_in": "1x1", "epsilon": 1e-5},
        {**DIALECT, "anchors": anchors},
        order=np.arange(ratios * scales).reshape(scales, ratios).T.ravel().tolist(),
        ignored=("pixel_mean", "pixel_std", f"{CELLS}.*"),
    )


def anchors_of(path, tensors):
    """The anchors whose cells the file holds; those of the zoo where it holds none."""
    zoo = AnchorParameters(offset=0)
    cells = [tensors.get(f"{CELLS}.{level}") for level in range(len(zoo.sizes))]
    if not any(cell is not None for cell in cells):
        return zoo
    faulty = InputError(
        f"{path}: expected {CELLS}.0 to {len(cells) - 1} to hold anchors of the same scales and "
        "ratios on each level. Received: others."
    )
    if any(np.ndim(cell) != 2 or np.shape(cell) != np.shape(cells[0]) for cell in cells):
        raise faulty
    sides = np.stack(cells)[..., 2:] - np.stack(cells)[..., :2]  # (5, A, 2)
    if not sides.size or not (sides > 0).all():
        raise faulty
    sizes = np.sqrt(sides.prod(-1))  # (5, A), by scale, then ratio
    ratios = int(np.isclose(sizes[0], sizes[0, 0], rtol=1e-3).sum())
    own = AnchorParameters(
        sizes[:, 0],
        zoo.strides,
        sides[0, :ratios, 1] / sides[0, :ratios, 0],
        sizes[0, ::ratios] / sizes[0, 0],
        offset=0,
    )
    for anchors in (zoo, own):
        if all(fits(cell, anchors, size) for cell, size in zip(cells, anchors.sizes, strict=True)):
            return anchors
    raise faulty


def fits(cell, anchors, size):
    """Whether a cell (A, 4) holds these anchors, in the order of Detectron2: scale, then ratio."""
    expected = anchors.anchors_of(size)  # (A, 4), by ratio, then scale
    shape = (len(anchors.ratios), len(anchors.scales), 4)
    expected = expected.reshape(shape).transpose(1, 0, 2).reshape(-1, 4)
    return cell.shape == expected.shape and np.allclose(cell, expected, rtol=1e-3, atol=1e-2)
