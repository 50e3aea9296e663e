"""The rules of `utils.resizing` inside a TensorFlow graph.

Sizes are the same integers. Pixels are the same to float32 where a rule leaves them unrounded, else
to two levels of 255.
"""

from collections import namedtuple

import tensorflow as tf

# Images (B, H, W, 3) float32 as a model sees them: boxes of the original grow by `scale` (x, y) and
# move by `offset` (x, y) px.
Pictures = namedtuple("Pictures", ["images", "scale", "offset"])


def resize(images, rule, min_side, max_side):
    """The `Pictures` of images (B, H, W, 3), float32 0..255, by a key of `RESIZES`.

    A `min_side` of None leaves them as they are.
    """
    if min_side is None:
        return Pictures(images, tf.ones(2), tf.zeros(2))
    size = tf.shape(images)[1:3]  # (2,): H, W
    return RESIZES[rule](images, size, min_side, max_side)


def by_opencv(images, size, min_side, max_side):
    resized = tf.image.resize(images, fitted_size(size, min_side, max_side))
    return pictures_of(tf.round(resized), size)


def by_torchvision(images, size, min_side, max_side):
    target = whole(scaled(size, within(size, min_side, max_side)))
    return pictures_of(tf.image.resize(images, target), size)


def by_mmdetection(images, size, min_side, max_side):
    target = whole(scaled(size, within(size, min_side, max_side)) + 0.5)
    return pictures_of(tf.round(tf.image.resize(images, target)), size)


def by_detectron2(images, size, min_side, max_side):
    short, _ = sides(size)
    grown = scaled(size, min_side / short)
    longest = tf.reduce_max(grown)
    grown = tf.where(longest > max_side, grown * (max_side / longest), grown)
    target = whole(grown + 0.5)
    # Pillow works across, rounds halves up, and then works down
    across = tf.image.resize(images, tf.stack([size[0], target[1]]), antialias=True)
    down = tf.image.resize(tf.floor(across + 0.5), target, antialias=True)
    return pictures_of(tf.floor(down + 0.5), size)


def by_keras_retinanet(images, size, min_side, max_side):
    short, long = sides(size)
    scale = min_side / short
    scale = tf.where(long * scale > max_side, max_side / long, scale)
    target = whole(tf.round(scaled(size, scale)))
    step = tf.cast(1 / scale, tf.float32)
    shift = step / 2 - 0.5  # pixel centres lie at 0.5
    zero = tf.zeros(())
    resized = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([step, zero, shift, zero, step, shift, zero, zero])[None],  # (1, 8)
        output_shape=target,
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
    scale = tf.cast(scale, tf.float32)
    return Pictures(resized, tf.stack([scale, scale]), tf.zeros(2))


def by_kerashub(images, size, min_side, max_side):
    wide = tf.cast(size[0] * max_side, tf.float32) / min_side
    high = tf.cast(size[1] * min_side, tf.float32) / max_side
    pixels = tf.cast(tf.stack([high, wide]), tf.int32)  # (2,): H, W
    borders = tf.maximum(pixels - size, 0) // 2
    top, left = borders[0], borders[1]
    bordered = tf.pad(images, [[0, 0], [top, top], [left, left], [0, 0]])
    resized, scale, _ = pictures_of(
        tf.image.resize(bordered, [min_side, max_side]), size + 2 * borders
    )
    return Pictures(resized, scale, scale * tf.cast(borders[::-1], tf.float32))


RESIZES = {
    "opencv": by_opencv,
    "keras-retinanet": by_keras_retinanet,
    "torchvision": by_torchvision,
    "detectron2": by_detectron2,
    "mmdetection": by_mmdetection,
    "kerashub": by_kerashub,
}


def pictures_of(resized, size):
    """The `Pictures` of images that were resized from `size` (H, W)."""
    scale = tf.shape(resized)[1:3] / size  # (2,): y, x
    return Pictures(resized, tf.cast(scale[::-1], tf.float32), tf.zeros(2))


def fitted_size(size, min_side, max_side):
    """`resized_size` in the graph: (H, W) -> (H, W), int32."""
    short, long = tf.reduce_min(size), tf.reduce_max(size)
    by_short = min_side * long <= max_side * short
    target = tf.where(by_short, min_side, max_side)
    side = tf.where(by_short, short, long)
    return whole(tf.round(size * target / side))


def sides(size):
    """The short and the long side of (H, W), float64."""
    return tuple(tf.cast(side, tf.float64) for side in (tf.reduce_min(size), tf.reduce_max(size)))


def within(size, min_side, max_side):
    """The factor that keeps both sides within theirs, float64."""
    short, long = sides(size)
    return tf.minimum(min_side / short, max_side / long)


def scaled(size, scale):
    """(H, W) times a factor, float64."""
    return tf.cast(size, tf.float64) * scale


def whole(size):
    """(H, W) cut to whole px, but 1 at least."""
    return tf.maximum(tf.cast(size, tf.int32), 1)
