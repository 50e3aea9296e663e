"""Weights of other projects: their files read, checked tensor by tensor, as models of this one."""

import importlib

from ..errors import InputError
from ..lookup import lookup

SOURCES = {  # the module here that knows its names and dialect, and what options it takes
    "keras-retinanet": ("keras_retinanet", ("anchors",)),
    "torchvision": ("torchvision", ("epsilon",)),
    "detectron2": ("detectron2", ()),
    "mmdetection": ("mmdetection", ()),
    "kerashub": ("kerashub", ()),
    "backbone": ("backbone", ()),
}


def import_weights(source, path, class_names=None, backbone=None, epsilon=None, anchors=None):
    """The Keras model in a weight file of another project: a training model of class RetinaNet, or
    from the source "backbone" a bare one, named as `models.backbone` calls it.

    `class_names` are those of the file's classes in their order; None takes COCO's for a detector
    of COCO. `backbone` is the name of the backbone, where the tensors do not tell. `epsilon`, of
    torchvision, is that of its batch norm; `anchors` (AnchorParameters), of keras-retinanet, are
    those of a training file.

    Raises:
        InputError: for a file that is damaged or asks to run something, and for tensors that are
            missing, left over, or of other shapes than the model's; for an option that the source
            does not have, or that cannot be.
        ValueError: for a source or a backbone that is not known.
    """
    from ..models import backbone as make_backbone

    (module, known), _ = lookup(SOURCES, source, "a source of weights")
    options = {"epsilon": epsilon, "anchors": anchors}
    options = {name: value for name, value in options.items() if value is not None}
    for name in options:
        if name not in known:
            raise InputError(
                f"{path}: expected no {name}, which the source {source} settles itself"
            )
    if epsilon is not None and not 0 <= epsilon < 1:
        raise InputError(f"{path}: expected an epsilon from 0 to 1. Received: {epsilon}")
    backbone = backbone and make_backbone(backbone).backbone
    source = importlib.import_module(f".{module}", __name__)
    return source.load(path, class_names=class_names, backbone=backbone, **options)
