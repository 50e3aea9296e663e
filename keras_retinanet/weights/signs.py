"""What tells of a file that it is another source's than the one that was asked for."""

import fnmatch

from ..utils.text import listed
from .pickles import printable

SIGNS = {  # a tensor that only files of this source have: the source
    "head.classification_head.cls_logits.weight": "torchvision",
    "head.cls_score.weight": "detectron2",
    "bbox_head.retina_cls.weight": "mmdetection",
    "bbox_head.gfl_cls.weight": "mmdetection",
    "regression_submodel/*": "keras-retinanet",
    "layer[01].0.conv1.weight": "backbone",
    "features.conv0.weight": "backbone",
}


def received(tensors):
    """The first tensors of a file, and the source that calls its tensors so, where one does."""
    if not tensors:
        return "no tensors"
    sources = [source for sign, source in SIGNS.items() if fnmatch.filter(tensors, sign)]
    hint = f", as files of the source {sources[0]} have" if sources else ""
    return f"tensors such as {listed(map(printable, tensors), most=3)}{hint}"
