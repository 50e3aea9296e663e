"""Import weights of other projects as models of this package, checked tensor by tensor."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple

from ..choices import lookup
from ..errors import InputError

if TYPE_CHECKING:
    import keras

    from ..typing import ClassNames, StrPath
    from ..utils.anchors import AnchorParameters


class Imported(NamedTuple):
    """A model with the weights of a file, and assumptions about what the file does not state."""

    model: keras.Model
    assumed: tuple[str, ...] = ()


SOURCES = {  # {source: (its module, the options that it takes)}
    "keras-retinanet": ("keras_retinanet", ("anchors",)),
    "torchvision": ("torchvision", ("epsilon",)),
    "detectron2": ("detectron2", ()),
    "mmdetection": ("mmdetection", ()),
    "kerashub": ("kerashub", ()),
    "backbone": ("backbone", ()),
}


def import_weights(
    source: str,
    path: StrPath,
    class_names: ClassNames = None,
    backbone: str | None = None,
    epsilon: float | None = None,
    anchors: AnchorParameters | None = None,
) -> Imported:
    """Build a Keras model with the weights in a file of another project.

    Args:
        source: a key of `SOURCES`. "backbone" gives a bare backbone, with its name for
            `models.backbone`; the other sources give a training model of class RetinaNet.
        class_names: the names of the file's classes in their order; None takes COCO's for a
            detector of COCO.
        backbone: the name of the backbone, if the tensors do not determine it.
        epsilon: the epsilon of torchvision's batch norm.
        anchors: `AnchorParameters` of a training file of keras-retinanet.

    Raises:
        InputError: for a file that is damaged or asks to run something; for tensors that are
            missing, left over, or of other shapes than the model's; for repeated class names; for
            an option that the source does not have, or whose value is out of range.
        ValueError: for an unknown source or backbone.
    """
    from ..models import backbone as make_backbone
    from ..models.options import checked_names

    (module, known), _ = lookup(SOURCES, source, "source of weights")
    options = {"epsilon": epsilon, "anchors": anchors}
    options = {name: value for name, value in options.items() if value is not None}
    for name in options:
        if name not in known:
            raise InputError(f"{path}: the source {source} does not take {name}; remove it.")
    if epsilon is not None and not 0 <= epsilon < 1:
        raise InputError(f"{path}: epsilon must be at least 0 and below 1, got {epsilon}.")
    if class_names is not None:
        class_names = checked_names(class_names)
    backbone = backbone and make_backbone(backbone).backbone
    load = importlib.import_module(f".{module}", __name__).load
    return load(path, class_names=class_names, backbone=backbone, **options)
