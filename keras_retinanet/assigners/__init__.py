"""Assigners: which anchor stands for which box."""

from functools import partial

from ..lookup import lookup
from . import atss, iou

ASSIGNERS = {"iou": iou.assign, "atss": atss.assign}


def get(assigner):
    """The function assign(anchors, boxes, ignore, levels) of a name or a {"name", **arguments}."""
    assign, arguments = lookup(ASSIGNERS, assigner, "assigner")
    return partial(assign, **arguments)
