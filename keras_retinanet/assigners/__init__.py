"""Assigners: which anchor stands for which box."""

from . import iou

ASSIGNERS = {"iou": iou.assign}
