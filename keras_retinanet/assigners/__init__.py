"""Assigners: which anchor stands for which box."""

from functools import partial

from . import atss, iou

ASSIGNERS = {"iou": iou.assign, "atss": atss.assign}


def get(assigner):
    """The function assign(anchors, boxes, ignore, levels) of a name or a {"name", **arguments}."""
    arguments = {"name": assigner} if isinstance(assigner, str) else dict(assigner)
    name = arguments.pop("name")
    if name not in ASSIGNERS:
        raise ValueError(f"Expected assigner among {sorted(ASSIGNERS)}. Received: {name!r}.")
    return partial(ASSIGNERS[name], **arguments)
