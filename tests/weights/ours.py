"""The outputs of the package under test for the images of the reference."""

import numpy as np
from PIL import Image

from keras_retinanet import Detector
from keras_retinanet.models import convert_model


def picture(width, height, seed=0):
    """Smooth random colours, (H, W, 3) uint8 RGB."""
    rough = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype="uint8")
    return np.asarray(Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC))


def raw(model, image):
    """(regression (1, N, V), scores (1, N, K)) of a training model for an image as it is."""
    from keras import ops

    outputs = model(ops.convert_to_tensor(image[None]), training=False)
    return [ops.convert_to_numpy(output) for output in outputs]


def detections(model, images, sides, most=300, **options):
    """Return the `Detections` of a training model in each image by itself.

    The model's own sides give way to `sides`, the shortest and the longest; `options` are those of
    `convert_model`.
    """
    inference = convert_model(model, **options)
    inference.image_min_side, inference.image_max_side = sides
    inference.run_eagerly = True  # a graph for each size of image takes longer
    threshold = max(0.05, inference.detection["score_threshold"])
    return Detector(inference, score_threshold=threshold, max_detections=most)(list(images))


def agree(found, boxes, scores, labels):
    """Assert that boxes agree to 0.05 px and scores to 1e-4, in the same order."""
    assert len(found) == len(boxes)
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_allclose(found.scores, scores, atol=1e-4)
    np.testing.assert_allclose(found.boxes, boxes, atol=0.05)
