"""Signs that a weight file belongs to another source than the requested one."""

import fnmatch

from ..typing import Tensors
from ..utils.text import listed, printable

SIGNS = {  # {tensor that only the files of a source have: source}
    "head.classification_head.cls_logits.weight": "torchvision",
    "head.cls_score.weight": "detectron2",
    "bbox_head.retina_cls.weight": "mmdetection",
    "bbox_head.gfl_cls.weight": "mmdetection",
    "regression_submodel/*": "keras-retinanet",
    "layer[01].0.conv1.weight": "backbone",
    "features.conv0.weight": "backbone",
}


def received(tensors: Tensors) -> str:
    """Return the first tensors of a file in words, and the source whose names they are, if any."""
    if not tensors:
        return "no tensors"
    sources = [source for sign, source in SIGNS.items() if fnmatch.filter(tensors, sign)]
    hint = f"; name the source {sources[0]}" if sources else ""
    return f"tensors such as {listed(map(printable, tensors), most=3)}{hint}"
