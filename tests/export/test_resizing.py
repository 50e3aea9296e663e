"""The rules in a TensorFlow graph, against those of the generator."""

import keras
import numpy as np
import pytest

from keras_retinanet.utils.resizing import RESIZES

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the graph is TensorFlow's"
)

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
def test_pictures_are_those_of_the_generator(rule):
    rng = np.random.default_rng(0)
    resize = in_graph(rule, (48, 80))
    for size in [(64, 48), (31, 70), (101, 33), (300, 200), (1, 5)]:
        image = rng.integers(0, 256, (*size[::-1], 3), "uint8")
        fit = RESIZES[rule].fit(size, 48, 80)
        expected = RESIZES[rule].resample(image, fit).astype("float32")
        pictures = resize(image[None].astype("float32"))
        assert pictures.images.shape == (1, *expected.shape)
        difference = np.abs(pictures.images[0] - expected)
        assert difference.max() <= NEAR[rule][0]
        assert (difference > 0.1).mean() <= NEAR[rule][1]
        np.testing.assert_allclose(pictures.scale, fit.scale, rtol=1e-6)
        np.testing.assert_allclose(pictures.offset, fit.offset, rtol=1e-6)


@pytest.mark.parametrize("rule", RESIZES)
@pytest.mark.parametrize("sides", [(64, 70), (33, 47)])
def test_sizes_are_those_of_the_generator(rule, sides):
    rng = np.random.default_rng(0)
    resize = in_graph(rule, sides)
    for width, height in [*rng.integers(1, 300, (60, 2)).tolist(), (1, 999), (2, 3), (999, 1)]:
        fit = RESIZES[rule].fit((width, height), *sides)
        pictures = resize(np.zeros((1, height, width, 3), "float32"))
        assert pictures.images.shape[2:0:-1] == fit.picture
        np.testing.assert_allclose(pictures.scale, fit.scale, rtol=1e-6)


def test_sizes_of_large_images():
    import tensorflow as tf

    from keras_retinanet.export.resizing import fitted_size
    from keras_retinanet.utils.resizing import resized_size

    rng = np.random.default_rng(0)
    for width, height in rng.integers(1, 3000, (50, 2)).tolist():
        size = fitted_size(tf.constant([height, width]), 800, 1333)
        assert size.numpy().tolist()[::-1] == list(resized_size((width, height)))


def test_without_sides_images_stay_as_they_are():
    images = np.random.default_rng(0).random((2, 50, 77, 3), "float32")
    pictures = in_graph("torchvision", (None, None))(images)
    np.testing.assert_array_equal(pictures.images, images)
    assert pictures.scale.numpy().tolist() == [1, 1]
    assert pictures.offset.numpy().tolist() == [0, 0]
