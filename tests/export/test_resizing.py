"""Resize rules in a TensorFlow graph, against the resamplers of NumPy images."""

import keras
import numpy as np
import pytest

from keras_retinanet.utils.resizing import RESIZES, to_original, within_frame

from .graphs import wide_nodes

pytestmark = [
    pytest.mark.usefixtures("graphs"),
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the graph is TensorFlow's"),
]

# the largest difference of a level, and the share of levels that may differ by more than a tenth:
# cv2 calculates a rounded rule in fixed point
NEAR = {
    "opencv": (1, 0.2),
    "mmdetection": (1, 0.2),
    "detectron2": (1, 0.04),
    "keras-retinanet": (0.01, 0),
    "torchvision": (0.01, 0),
    "kerashub": (0.01, 0),
}


def in_graph(rule, sides):
    import tensorflow as tf

    from keras_retinanet.export.resizing import resize

    spec = tf.TensorSpec((None, None, None, 3), tf.float32)
    return tf.function(lambda images: resize(images, rule, *sides), input_signature=[spec])


@pytest.mark.parametrize("rule", RESIZES)
def test_pixels_are_those_of_numpy(rule):
    rng = np.random.default_rng(0)
    resize = in_graph(rule, (48, 80))
    for size in [(64, 48), (31, 70), (101, 33), (300, 200), (1, 5), (1, 1)]:
        image = rng.integers(0, 256, (*size[::-1], 3), "uint8")
        fit = RESIZES[rule].fit(size, 48, 80)
        expected = RESIZES[rule].resample(image, fit).astype("float32")
        resized, found = resize(image[None].astype("float32"))
        assert resized.shape == (1, *expected.shape)
        difference = np.abs(resized[0] - expected)
        assert difference.max() <= NEAR[rule][0]
        assert (difference > 0.1).mean() <= NEAR[rule][1]
        np.testing.assert_array_equal(found.size, fit.size)
        np.testing.assert_array_equal(found.frame, fit.frame)
        np.testing.assert_allclose(found.scale, fit.scale, rtol=1e-6)
        np.testing.assert_allclose(found.offset, fit.offset, rtol=1e-6)


@pytest.mark.parametrize("rule", RESIZES)
def test_graph_has_no_64_bit_numbers(rule):
    graph = in_graph(rule, (48, 80)).get_concrete_function().graph.as_graph_def()
    assert not wide_nodes(graph)


def test_without_sides_images_stay_as_they_are():
    images = np.random.default_rng(0).random((2, 50, 77, 3), "float32")
    resized, fit = in_graph("torchvision", (None, None))(images)
    np.testing.assert_array_equal(resized, images)
    np.testing.assert_array_equal(fit.scale, (1, 1))
    np.testing.assert_array_equal(fit.offset, (0, 0))
    np.testing.assert_array_equal(fit.frame, (77, 50))


def test_boxes_return_to_the_original_as_in_numpy():
    from keras_retinanet.export.resizing import GRAPH

    rng = np.random.default_rng(0)
    boxes = rng.uniform(-50, 1400, (2, 300, 4)).astype("float32")
    for rule in RESIZES.values():
        fit = rule.fit((2048, 1025), 800, 1333)
        found = to_original(boxes, fit, (2048, 1025), GRAPH)
        np.testing.assert_allclose(found, to_original(boxes, fit, (2048, 1025)), atol=1e-4)
        kept = within_frame(boxes, fit)
        assert 0 < kept.sum() < kept.size
        np.testing.assert_array_equal(within_frame(boxes, fit, GRAPH), kept)
