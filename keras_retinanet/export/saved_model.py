"""Export to a TensorFlow SavedModel: images of any size in, boxes in their pixels out."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..layers import Normalize
from ..layers.filter_detections import in_rows
from ..model_info import ModelInfo
from ..models import RetinaNet
from ..models.inference import NMS_LAYER
from ..nms import leading
from ..preprocessing.buckets import STRIDE
from ..utils.outputs import filling
from ..utils.resizing import Fit, to_original, within_frame
from .candidates import OUTPUTS, candidates_function, check_backend, frozen
from .formats import Target

INFO = "assets.extra/keras_retinanet.json"
CLIP_LAYER = "clipped_detections"


def export_saved_model(
    model: RetinaNet, folder: str | os.PathLike, target: Target = Target()
) -> None:
    """Write the inference model as a SavedModel that runs without this package.

    Its signatures take `images` and resize them to the sides that the model stores, by the model's
    own rule:

    - `serving_default`: (B, H, W, 3) float32, RGB of 0..255;
    - `serving_uint8`: the same as uint8;
    - `serving_bytes`: (B,) encoded JPEG or PNG files of any sizes, whose EXIF orientation is
      ignored;
    - `serving_raw`: the same as `serving_default`, but gives the candidates before NMS.

    They return `boxes` (B, D, 4) xyxy px of these images, `scores` (B, D) and `labels` (B, D), in
    descending order of score. Unused rows are -1; skip candidates with the label -1. The variables
    are stored as constants, and assets.extra/keras_retinanet.json has the `ModelInfo`.

    Raises:
        InputError: if the backend is not TensorFlow, or the folder cannot be written.
    """
    check_backend("a SavedModel")
    if os.path.isfile(folder):
        raise InputError(f"{folder} is a file; choose another folder.")
    import tensorflow as tf

    serve = serving_functions(model)
    try:
        with filling(folder) as part:
            tf.saved_model.save(tf.Module(), str(part), signatures=signatures(serve))
            info = Path(part, INFO)
            info.parent.mkdir()
            info.write_text(serving_info(model).to_json(), encoding="utf-8")
    except (OSError, tf.errors.OpError) as error:
        raise InputError(f"{folder} cannot be written: {error}.") from None


def signatures(serve: dict[str, Callable[[Any], dict]]) -> dict[str, Any]:
    """Return the signatures of a SavedModel as `tf.function`s by name."""
    import tensorflow as tf

    batch = (None, None, None, 3)
    specs = {
        "serving_default": (serve["detections"], batch, tf.float32),
        "serving_uint8": (serve["detections"], batch, tf.uint8),
        "serving_bytes": (serve["encoded"], (None,), tf.string),
        "serving_raw": (serve["candidates"], batch, tf.float32),
    }
    return {
        name: tf.function(
            function,
            input_signature=[tf.TensorSpec(shape, dtype, name="images")],
            autograph=False,  # it warns of each import that happens inside
        )
        for name, (function, shape, dtype) in specs.items()
    }


def serving_functions(model: RetinaNet) -> dict[str, Callable[[Any], dict]]:
    """Return graph functions of images -> {"boxes", "scores", "labels"} of an inference model.

    "detections" and "candidates", before NMS, take (B, H, W, 3); "encoded" takes files (B,).
    """
    import tensorflow as tf

    from .resizing import GRAPH, resize

    network = frozen(candidates_function(model))
    normalized = model.normalization is not None  # by the model's graph
    prepare = tf.identity if normalized else Normalize(model.preprocessing)
    sides = model.image_min_side, model.image_max_side
    step = STRIDE if model.canvases == "few" else 1

    def fitted(images: Any) -> tuple[Any, Fit]:
        images, fit = resize(tf.cast(images, tf.float32), model.resize, *sides)
        padded = [-(-side // step) * step for side in fit.frame]
        return tf.image.pad_to_bounding_box(prepare(images), 0, 0, *padded[::-1]), fit

    def returned(found: list, fit: Fit, images: Any) -> dict:
        boxes, scores, labels = found
        height, width = tf.unstack(tf.shape(images)[1:3])
        boxes = to_original(boxes, fit, (width, height), GRAPH)  # (B, D, 4)
        boxes = tf.where(labels[..., None] < 0, -1.0, boxes)
        return dict(zip(OUTPUTS, (boxes, scores, labels), strict=True))

    def candidates(images: Any) -> dict:
        inputs, fit = fitted(images)
        boxes, scores, labels = (network(inputs)[name] for name in OUTPUTS)
        labels = tf.where(within_frame(boxes, fit, GRAPH), labels, -1)
        return returned([boxes, scores, labels], fit, images)

    def detections(images: Any) -> dict:
        inputs, fit = fitted(images)
        found = network(inputs)
        boxes, scores, labels = suppressed(model, inputs, [found[name] for name in OUTPUTS])
        return returned(drop_padding(boxes, scores, labels, fit), fit, images)

    def encoded(files: Any) -> dict:
        def one(file: Any) -> dict:
            return first(detections(decoded(file)[None]))

        return tf.map_fn(one, files, fn_output_signature=detections_spec(model))

    return {"detections": detections, "candidates": candidates, "encoded": encoded}


def serving_info(model: RetinaNet) -> ModelInfo:
    """Return the facts of a SavedModel; its graph always normalizes."""
    info = ModelInfo.of(model)
    normalization = model.normalization or model.preprocessing
    return replace(info, inputs=replace(info.inputs, normalization=normalization))


def suppressed(model: RetinaNet, images: Any, candidates: list) -> list:
    """Return the detections [boxes (B, D, 4), scores (B, D), labels (B, D)] among candidates.

    Args:
        images: (B, H, W, 3), the input of the model.
    """
    found = model.get_layer(NMS_LAYER).call(candidates)
    clipped = [layer for layer in model.layers if layer.name == CLIP_LAYER]
    return clipped[0].call([images, *found]) if clipped else found


def detections_spec(model: RetinaNet) -> dict:
    """Return the shapes and types of the detections in one image."""
    import tensorflow as tf

    count = model.get_layer(NMS_LAYER).postprocess.max_detections
    return {
        "boxes": tf.TensorSpec((count, 4), tf.float32),
        "scores": tf.TensorSpec((count,), tf.float32),
        "labels": tf.TensorSpec((count,), tf.int32),
    }


def first(batch: dict) -> dict:
    """Return the values of the first image of a batch."""
    return {name: values[0] for name, values in batch.items()}


def decoded(file: Any) -> Any:
    """Return the RGB image (H, W, 3) uint8 of an encoded JPEG or PNG file, a scalar string."""
    import tensorflow as tf

    image = tf.cond(
        tf.io.is_jpeg(file),
        lambda: tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_png(file, channels=3),
    )
    return tf.ensure_shape(image, (None, None, 3))


def drop_padding(boxes: Any, scores: Any, labels: Any, fit: Fit) -> list:
    """Drop detections (B, D, ...) centred outside the frame; unused rows at the end are -1."""
    import tensorflow as tf

    from .resizing import GRAPH

    kept = (labels >= 0) & within_frame(boxes, fit, GRAPH)  # (B, D)
    count = kept.shape[1]
    rows = leading(tf.where(kept, tf.range(count), -1), count)  # (B, D)
    return [in_rows(values, rows) for values in (boxes, scores, labels)]
