"""Boxes and captions on images, drawn in place.

Images are (H, W, 3) uint8 arrays of any channel order; colours are three numbers in that order.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_retinanet.utils.colors import label_color

Box = Sequence[float] | np.ndarray  # (4,)
Color = Sequence[int]  # (3,)
Namer = Callable[[int], str] | None  # from label to text

FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial.ttf", "arial.ttf")  # beyond ASCII


def draw_box(image: np.ndarray, box: Box, color: Color, thickness: int = 2) -> None:
    """Draw the outline of a box (4,) xyxy px; the line runs inside the box."""
    limit = 2 * max(image.shape[:2])  # boxes of a young model may be anywhere
    x1, y1, x2, y2 = np.clip(np.round(box), -limit, limit).astype(int)
    for _ in range(thickness):
        if x2 > x1 and y2 > y1:
            cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), tuple(map(int, color)), 1)
        x1, y1, x2, y2 = x1 + 1, y1 + 1, x2 - 1, y2 - 1


def draw_boxes(image: np.ndarray, boxes: np.ndarray, color: Color, thickness: int = 2) -> None:
    """Draw the outlines of boxes (n, 4)."""
    for box in boxes:
        draw_box(image, box, color, thickness)


def draw_caption(image: np.ndarray, box: Box, caption: str, color: Color = (0, 0, 0)) -> None:
    """Write a caption on a strip of the given colour above a box, but within the image.

    The text is black or white, whichever is easier to read on the strip.
    """
    height, width = image.shape[:2]
    text = " ".join(str(caption).split())
    if not text:
        return
    ink = text_mask(text, font_size(image))[:height, :width, None]  # (h, w, 1)
    strip_height, strip_width = ink.shape[:2]
    left, top = np.clip(np.round(box[:2]), -1, (width, height)).astype(int)
    y = int(np.clip(top - strip_height, 0, height - strip_height))
    x = int(np.clip(left, 0, width - strip_width))
    # the weights are between RGB's and BGR's
    bright = np.dot(color, (0.2, 0.6, 0.2)) > 140
    strip = np.array(color) + ink * ((0 if bright else 255) - np.array(color))
    image[y : y + strip_height, x : x + strip_width] = np.round(strip)


def draw_detections(
    image: np.ndarray,
    boxes: np.ndarray,
    scores: np.ndarray,
    labels: np.ndarray,
    color: Color | None = None,
    label_to_name: Namer = None,
    score_threshold: float = 0.5,
) -> None:
    """Draw boxes (n, 4) with `name: score`; rows below the threshold or of label -1 are left out.

    Args:
        color: one colour for all; None colours by label.
        label_to_name: None writes the label.
    """
    shown = [
        (box, int(label), f": {score:.2f}")
        for box, score, label in zip(boxes, scores, labels, strict=True)
        if score >= score_threshold and label >= 0
    ]
    draw_labelled(image, shown[::-1], color, label_to_name)  # the first on top


def draw_annotations(
    image: np.ndarray,
    annotations: dict | np.ndarray,
    color: Color | None = (0, 255, 0),
    label_to_name: Namer = None,
) -> None:
    """Draw boxes with their names: a dict of `bboxes` (n, 4) and `labels` (n,), or (n, 5).

    `color=None` colours by label.
    """
    if not isinstance(annotations, dict):
        annotations = np.reshape(annotations, (-1, 5))
        annotations = {"bboxes": annotations[:, :4], "labels": annotations[:, 4]}
    boxes, labels = annotations["bboxes"], annotations["labels"]
    shown = [(box, int(label), "") for box, label in zip(boxes, labels, strict=True)]
    draw_labelled(image, shown, color, label_to_name)


def draw_labelled(
    image: np.ndarray, shown: list[tuple], color: Color | None, label_to_name: Namer
) -> None:
    """Draw `(box, label, text after the name)`, all boxes first, so that captions stay legible."""
    colors = [label_color(label) if color is None else color for _, label, _ in shown]
    thickness = -(-sum(image.shape[:2]) // 1000)
    for (box, _, _), each in zip(shown, colors, strict=True):
        draw_box(image, box, each, thickness)
    for (box, label, text), each in zip(shown, colors, strict=True):
        name = str(label) if label_to_name is None else str(label_to_name(label))
        draw_caption(image, box, name + text, each)


def font_size(image: np.ndarray) -> int:
    return int(np.clip(sum(image.shape[:2]) / 90, 10, 48))


def choose_font(text: str, size: int) -> Any:
    for name in () if text.isascii() else FONTS:
        with contextlib.suppress(OSError):  # not on this machine
            return ImageFont.truetype(name, size)
    return ImageFont.load_default(size)


@functools.lru_cache(maxsize=1024)
def text_mask(text: str, size: int) -> np.ndarray:
    """Draw a line of text with a margin: (h, w) float32, 0 for the ground and 1 for the ink."""
    font = choose_font(text, size)
    margin = max(2, size // 5)
    ascent, descent = font.getmetrics()
    mask = Image.new("L", (int(font.getlength(text)) + 1 + 2 * margin, ascent + descent + margin))
    ImageDraw.Draw(mask).text((margin, margin // 2), text, fill=255, font=font)
    return np.asarray(mask, "float32") / 255


def contact_sheet(images: Sequence[np.ndarray], columns: int = 4, side: int = 320) -> np.ndarray:
    """Tile images (H, W, 3) uint8 in rows of `columns`, each in a square of `side` px."""
    columns = max(1, min(columns, len(images)))
    rows = max(1, -(-len(images) // columns))
    sheet = np.full((rows * side, columns * side, 3), 32, "uint8")
    for i, image in enumerate(images):
        scale = (side - 4) / max(image.shape[:2])
        width, height = (max(1, round(length * scale)) for length in image.shape[1::-1])
        y = i // columns * side + (side - height) // 2
        x = i % columns * side + (side - width) // 2
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        sheet[y : y + height, x : x + width] = small
    return sheet
