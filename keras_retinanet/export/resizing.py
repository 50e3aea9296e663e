"""The rules of `utils.resizing` inside a TensorFlow graph.

Sizes come from the same formulas, in int32 and float32. Pixels agree to float32 precision if the
rule does not round them, and otherwise to two levels of 255.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import tensorflow as tf

from ..utils.resizing import RESIZES, Fit, borders_kerashub

# The array module of the formulas. Its division of integers gives float32; TensorFlow's gives
# float64.
GRAPH = SimpleNamespace(
    minimum=tf.minimum,
    maximum=tf.maximum,
    where=tf.where,
    stack=tf.stack,
    clip=tf.clip_by_value,
    divide=lambda a, b: tf.cast(a, tf.float32) / tf.cast(b, tf.float32),
    int32=partial(tf.cast, dtype=tf.int32),
    float32=partial(tf.cast, dtype=tf.float32),
)


def resize(
    images: tf.Tensor, rule: str, min_side: int | None, max_side: int | None
) -> tuple[tf.Tensor, Fit]:
    """Return images (B, H, W, 3), float32 0..255, resized by a key of `RESIZES`, and their `Fit`.

    With a `min_side` of None, images keep their size.
    """
    height, width = tf.unstack(tf.shape(images)[1:3])
    if min_side is None:
        return images, Fit((width, height), (1.0, 1.0), (0.0, 0.0), (width, height))
    fit = RESIZES[rule].formula((width, height), min_side, max_side, GRAPH)
    return RESAMPLERS[rule](images, fit), fit


def stretch(images: tf.Tensor, fit: Fit) -> tf.Tensor:
    return tf.image.resize(images, fit.size[::-1])


def stretch_rounded(images: tf.Tensor, fit: Fit) -> tf.Tensor:
    return tf.round(stretch(images, fit))


def stretch_smoothly(images: tf.Tensor, fit: Fit) -> tf.Tensor:
    """Resize as Pillow does: horizontally, rounding halves up, then vertically."""
    width, height = fit.size
    across = tf.image.resize(images, [tf.shape(images)[1], width], antialias=True)
    down = tf.image.resize(tf.floor(across + 0.5), [height, width], antialias=True)
    return tf.floor(down + 0.5)


def stretch_nominally(images: tf.Tensor, fit: Fit) -> tf.Tensor:
    """Sample at steps of 1 / scale, not at the rounded size's steps."""
    for axis in (1, 2):
        count, step = fit.size[2 - axis], 1 / fit.scale[2 - axis]
        last = tf.shape(images)[axis] - 1
        places = (tf.range(tf.cast(count, tf.float32)) + 0.5) * step - 0.5  # px centres are at 0.5
        places = tf.clip_by_value(places, 0.0, tf.cast(last, tf.float32))  # (count,)
        low = tf.cast(places, tf.int32)
        share = tf.reshape(places - tf.cast(low, tf.float32), [-1, 1] if axis == 2 else [-1, 1, 1])
        before, after = (
            tf.gather(images, rows, axis=axis) for rows in (low, tf.minimum(low + 1, last))
        )
        images = before + (after - before) * share
    return images


def letterbox(images: tf.Tensor, fit: Fit) -> tf.Tensor:
    height, width = tf.unstack(tf.shape(images)[1:3])
    left, top = borders_kerashub((width, height), fit.frame, GRAPH)
    bordered = tf.pad(images, [[0, 0], [top, top], [left, left], [0, 0]])
    return tf.image.resize(bordered, fit.frame[::-1])


RESAMPLERS = {
    "opencv": stretch_rounded,
    "keras-retinanet": stretch_nominally,
    "torchvision": stretch,
    "detectron2": stretch_smoothly,
    "mmdetection": stretch_rounded,
    "kerashub": letterbox,
}
