"""RetinaNets of Detectron2's model zoo: R50 (37.4, 38.7 AP) and R101 (40.4 AP)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import InputError
from ..models.build import anchors_of as anchors_of_design
from ..normalization import NORMALIZATIONS
from ..presets import DETECTRON2
from ..typing import ClassNames, StrPath, Tensors
from ..utils.anchors import AnchorParameters
from . import Imported, torch_detectors
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
CELLS = "anchor_generator.cell_anchors"


def load(
    path: StrPath,
    class_names: ClassNames = None,
    backbone: str | None = None,
    tensors: Tensors | None = None,
) -> Imported:
    """Load the training model of a Detectron2 RetinaNet, whose ResNet is MSRA's, from a file."""
    tensors = read_tensors(path) if tensors is None else tensors
    normalization = NORMALIZATIONS["detectron2"]
    torch_detectors.agree(path, tensors, "pixel_mean", normalization["mean"][::-1])  # BGR
    torch_detectors.agree(path, tensors, "pixel_std", normalization["std"][::-1])
    anchors = anchors_of(path, tensors)
    ratios, scales = len(anchors.ratios), len(anchors.scales)
    source = torch_detectors.Source(
        NAMES,
        replace(DETECTRON2, anchors=anchors),
        stride_in="1x1",
        order=np.arange(ratios * scales).reshape(scales, ratios).T.ravel().tolist(),
        ignored=("pixel_mean", "pixel_std", f"{CELLS}.*"),
    )
    return Imported(torch_detectors.build(path, tensors, source, class_names, backbone))


def anchors_of(path: StrPath, tensors: Tensors) -> AnchorParameters:
    """Return the anchors in the file's cells, or the model zoo's if it has no cells."""
    zoo = anchors_of_design(DETECTRON2)
    levels = range(len(zoo.sizes))
    cells = [tensors[f"{CELLS}.{n}"] for n in levels if f"{CELLS}.{n}" in tensors]
    if not cells:
        return zoo
    faulty = InputError(
        f"{path}: {CELLS}.0 to {levels[-1]} must hold anchors of the same scales and ratios on "
        "each level."
    )
    alike = all(cell.ndim == 2 and cell.shape == cells[0].shape for cell in cells)
    if len(cells) < len(levels) or not alike:
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
        offset=zoo.offset,
    )
    for anchors in (zoo, own):
        if all(fits(cell, anchors, size) for cell, size in zip(cells, anchors.sizes, strict=True)):
            return anchors
    raise faulty


def fits(cell: np.ndarray, anchors: AnchorParameters, size: float) -> bool:
    """Return True if a cell (A, 4) has these anchors in Detectron2's order: scale, then ratio."""
    expected = anchors.anchors_of(size)  # (A, 4), by ratio, then scale
    shape = (len(anchors.ratios), len(anchors.scales), 4)
    expected = expected.reshape(shape).transpose(1, 0, 2).reshape(-1, 4)
    return cell.shape == expected.shape and np.allclose(cell, expected, rtol=1e-3, atol=1e-2)
