"""TensorFlow SavedModel: images of any size in, boxes in their pixels out."""

import os

import keras

from ..errors import InputError
from ..layers import Normalize
from ..preprocessing.grouping import STRIDE


def export_saved_model(model, folder):
    """Writes the inference model as a SavedModel that runs without this package.

    Signatures `serving_default` (float32) and `serving_uint8` take `images` (B, H, W, 3), RGB
    0..255, and give `boxes` (B, D, 4) xyxy px of these images, `scores` (B, D) and `labels` (B, D),
    unused rows -1. The graph resizes to the sides that the model stores, by the model's own rule.

    Raises:
        InputError: on another backend than TensorFlow, or when the folder cannot be written.
    """
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            "A SavedModel is written by TensorFlow: set KERAS_BACKEND=tensorflow. "
            f"Received: {keras.backend.backend()}"
        )
    if os.path.isfile(folder):
        raise InputError(f"{folder}: cannot be written: it is a file")
    import tensorflow as tf

    serve = serving_function(model)
    archive = keras.export.ExportArchive()
    archive.track(model)
    for name, dtype in (("serving_default", tf.float32), ("serving_uint8", tf.uint8)):
        images = tf.TensorSpec((None, None, None, 3), dtype, name="images")
        archive.add_endpoint(name, serve, input_signature=[images])
    try:
        archive.write_out(folder, verbose=False)
    except (OSError, tf.errors.OpError) as error:
        raise InputError(f"{folder}: cannot be written: {error}") from None


def serving_function(model):
    """The graph function images (B, H, W, 3) -> {"boxes", "scores", "labels"} of `model`."""
    import tensorflow as tf

    from .resizing import resize

    normalized = model.normalization is not None  # in its own graph
    prepare = tf.identity if normalized else Normalize(model.preprocessing)
    sides = model.image_min_side, model.image_max_side
    step = STRIDE if model.canvases == "few" else 1

    def serve(images):
        size = tf.shape(images)[1:3]  # (2,): H, W
        images = tf.cast(images, tf.float32)
        images, scale, offset = resize(images, model.resize, *sides)
        picture = tf.shape(images)[1:3]  # (2,)
        canvas = -(-picture // step) * step
        images = tf.image.pad_to_bounding_box(prepare(images), 0, 0, canvas[0], canvas[1])
        boxes, scores, labels = model(images, training=False)[:3]
        boxes, scores, labels = drop_padding(boxes, scores, labels, picture)
        scale, offset = tf.tile(scale, [2]), tf.tile(offset, [2])  # (4,)
        limits = tf.cast(tf.tile(tf.reverse(size, [0]), [2]), tf.float32)  # (4,): W, H, W, H
        original = tf.clip_by_value((boxes - offset) / scale, 0.0, limits)  # (B, D, 4)
        boxes = tf.where(labels[..., None] < 0, -1.0, original)
        return {"boxes": boxes, "scores": scores, "labels": labels}

    return serve


def drop_padding(boxes, scores, labels, picture):
    """Moves detections (B, D, ...) centred beyond the picture of (H, W) px out: to -1."""
    import tensorflow as tf

    center = (boxes[..., :2] + boxes[..., 2:]) / 2  # (B, D, 2)
    limits = tf.reverse(tf.cast(picture, tf.float32), [0])  # (2,): W, H
    inside = tf.reduce_all(center <= limits, axis=-1)  # (B, D)
    kept = tf.logical_and(labels >= 0, inside)
    order = tf.argsort(tf.cast(kept, tf.int32), direction="DESCENDING", stable=True)  # (B, D)

    def pick(values):
        mask = tf.reshape(kept, tf.concat([tf.shape(kept), [1] * (values.shape.rank - 2)], 0))
        masked = tf.where(mask, values, tf.cast(-1, values.dtype))
        return tf.gather(masked, order, batch_dims=1)

    return pick(boxes), pick(scores), pick(labels)
