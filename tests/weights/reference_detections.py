"""The detections of PyTorch's projects in an image, in plain NumPy: from pixels to boxes."""

import math

import cv2
import numpy as np
from PIL import Image

from .reference import raw, sigmoid, softmax

STRIDES = (8, 16, 32, 64, 128)
GROWTH = math.log(1000 / 16)
RGB = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
BGR = {"mean": (103.53, 116.28, 123.675), "std": (1, 1, 1), "bgr": True}

# images (H, W, 3) uint8 RGB -> the network's input


def new_size(size, shortest, longest, rounded):
    scale = min(shortest / min(size), longest / max(size))
    return tuple(rounded(side * scale) for side in size)


def nearest(side):
    return int(side + 0.5)


def resized_torchvision(image, shortest, longest):
    """Sides are cut to whole px, and pixels not rounded: the four nearest, by their distance."""
    size = new_size(image.shape[1::-1], shortest, longest, math.floor)
    for axis, new in ((1, size[0]), (0, size[1])):
        old = image.shape[axis]
        place = np.clip((np.arange(new) + 0.5) * (old / new) - 0.5, 0, old - 1)
        low = np.floor(place).astype(int)
        share = (place - low).astype("float32").reshape(-1, *[1] * (2 - axis))
        below, above = (np.take(image, np.minimum(low + i, old - 1), axis) for i in (0, 1))
        image = below * (1 - share) + above * share
    return image


def resized_detectron2(image, shortest, longest):
    """Pillow's bilinear filter, which averages when it makes smaller."""
    size = new_size(image.shape[1::-1], shortest, longest, nearest)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def resized_mmdetection(image, shortest, longest):
    size = new_size(image.shape[1::-1], shortest, longest, nearest)
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)


def prepared(image, mean, std, bgr=False, multiple=32):
    """(1, 3, H, W): normalised, then padded with zeros to a multiple of px."""
    image = image[..., ::-1] if bgr else image
    image = (image.astype("float32") - np.float32(mean)) / np.float32(std)
    pad = [(0, -side % multiple) for side in image.shape[:2]]
    return np.pad(image, [*pad, (0, 0)]).transpose(2, 0, 1)[None]


# anchors and their boxes


def cells(order="ratio"):
    """The anchors of a place about it, for each level (9, 4): by ratio, then scale, or by scale."""
    levels = []
    for stride in STRIDES:
        scales, ratios = [4 * stride * 2 ** (i / 3) for i in range(3)], [0.5, 1.0, 2.0]
        pairs = [(r, s) for r in ratios for s in scales]
        if order == "scale":
            pairs = [(r, s) for s in scales for r in ratios]
        sides = np.array([(s / r**0.5, s * r**0.5) for r, s in pairs])  # (9, 2) width, height
        levels.append(np.hstack([-sides, sides]) / 2)
    return levels


def rounded_cells():
    """torchvision cuts the sizes to whole px and rounds the corners."""
    levels = []
    for size in (32, 64, 128, 256, 512):
        scales = [size, int(size * 2 ** (1 / 3)), int(size * 2 ** (2 / 3))]
        sides = np.array([(s / r**0.5, s * r**0.5) for r in (0.5, 1.0, 2.0) for s in scales])
        levels.append(np.round(np.hstack([-sides, sides]) / 2))
    return levels


def square_cells():
    return [np.array([[-4.0, -4, 4, 4]]) * stride for stride in STRIDES]


def grid(cell, shape, strides):
    """Anchors (rows · columns · A, 4) of the cell at every place; `strides` (down, across) px."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    places = np.stack([x * strides[1], y * strides[0]] * 2, -1).reshape(-1, 1, 4)
    return (places + cell).reshape(-1, 4).astype("float32")


def decode(anchors, deltas, smallest=-np.inf):
    size = anchors[:, 2:] - anchors[:, :2]
    center = anchors[:, :2] + size / 2 + deltas[:, :2] * size
    half = size * np.exp(np.clip(deltas[:, 2:], smallest, GROWTH)) / 2
    return np.hstack([center - half, center + half])


def decode_clamped(anchors, deltas):
    return decode(anchors, deltas, -GROWTH)


def decode_distribution(anchors, logits, bins=16):
    """Expected distances, in strides of the level (an eighth of the square anchor)."""
    center = (anchors[:, :2] + anchors[:, 2:]) / 2
    stride = (anchors[:, 2:] - anchors[:, :2]) / 8
    expected = softmax(logits.reshape(-1, 4, bins + 1)) @ np.arange(bins + 1)  # (N, 4)
    return np.hstack([center - expected[:, :2] * stride, center + expected[:, 2:] * stride])


# from raw outputs to detections


def overlaps(box, others):
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), 1)
    union = np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], 1) - shared
    return np.where(shared > 0, shared / np.where(union > 0, union, 1), 0)


def candidates(levels, decode, best, threshold=0.05):
    """(boxes, scores, labels) of the best pairs of anchor and class above the threshold on each
    level, [(anchors (N, 4), regression (N, V), logits (N, K)), ...]."""
    found = []
    for anchors, regression, logits in levels:
        scores = sigmoid(logits)
        rows, labels = np.nonzero(scores > threshold)
        order = np.argsort(-scores[rows, labels], kind="stable")[:best]
        rows, labels = rows[order], labels[order]
        found.append((decode(anchors[rows], regression[rows]), scores[rows, labels], labels))
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def suppressed(boxes, scores, labels, threshold, most):
    """The rows that greedy NMS of each class keeps, best first."""
    kept = []
    for row in np.argsort(-scores, kind="stable"):
        rivals = [other for other in kept if labels[other] == labels[row]]
        if not rivals or overlaps(boxes[row], boxes[rivals]).max() <= threshold:
            kept.append(row)
        if len(kept) == most:
            break
    return np.array(kept, int)


def clipped(boxes, size, drop):
    """Boxes within an image of `size` (w, h), and which of them count: with `drop` none without
    area."""
    boxes = np.clip(boxes, 0, [*size, *size])
    return boxes, (boxes[:, 2:] > boxes[:, :2]).all(1) | (not drop)


# `clip` boxes before NMS or after it, and `drop` those without area; `fitted` strides fill the
# input with the features
PROJECTS = {
    "torchvision": {
        "resize": resized_torchvision,
        "pixels": RGB,
        "cells": rounded_cells(),
        "fitted": True,
        "decode": decode,
        "clip": "before",
        "drop": False,
        "threshold": 0.5,
        "most": 300,
    },
    "detectron2": {
        "resize": resized_detectron2,
        "pixels": BGR,
        "cells": cells("scale"),
        "fitted": False,
        "decode": decode,
        "clip": "after",
        "drop": True,
        "threshold": 0.5,
        "most": 100,
    },
    "mmdetection": {
        "resize": resized_mmdetection,
        "pixels": RGB,
        "cells": cells(),
        "fitted": False,
        "decode": decode_clamped,
        "clip": "before",
        "drop": True,
        "threshold": 0.5,
        "most": 100,
    },
}
PROJECTS["gfl"] = {
    **PROJECTS["mmdetection"],
    "cells": square_cells(),
    "decode": decode_distribution,
    "threshold": 0.6,
}


def detections(image, sides, project, state, names, best=1000, network=None, **changes):
    """(boxes (n, 4) px of the image, scores (n,), labels (n,)) that a project finds in an image.

    `sides` are those that it is resized to, the shortest and the longest; `network` the arguments
    of `reference.raw`, `changes` of the project's rule in `PROJECTS`.
    """
    rule = {**PROJECTS[project], **changes}
    small = rule["resize"](image, *sides)
    size = small.shape[1::-1]
    pixels = prepared(small, **rule["pixels"])
    outputs, shapes = raw(pixels, state, names, **network or {})
    levels = []
    for (regression, logits), cell, shape, stride in zip(
        outputs, rule["cells"], shapes, STRIDES, strict=True
    ):
        fitted = [side // n for side, n in zip(pixels.shape[2:], shape, strict=True)]
        anchors = grid(cell, shape, fitted if rule["fitted"] else (stride, stride))
        levels.append((anchors, regression[0], logits[0]))
    found = candidates(levels, rule["decode"], best)
    if rule["clip"] == "before":
        found[0], counts = clipped(found[0], size, rule["drop"])
        found = [values[counts] for values in found]
    kept = suppressed(*found, rule["threshold"], rule["most"])
    found = [values[kept] for values in found]
    if rule["clip"] == "after":
        found[0], counts = clipped(found[0], size, rule["drop"])
        found = [values[counts] for values in found]
    scale = np.divide(size, image.shape[1::-1])
    return found[0] / np.tile(scale, 2), *found[1:]
