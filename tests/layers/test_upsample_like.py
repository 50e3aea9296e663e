"""Nearest-neighbour upsampling to the size of another tensor."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.layers import UpSampleLike, UpsampleLike

pytestmark = pytest.mark.core


def test_doubles():
    source = np.arange(4, dtype="float32").reshape(1, 2, 2, 1)
    result = UpSampleLike()([source, np.zeros((1, 4, 4, 7), "float32")])
    expected = np.repeat(np.repeat(source, 2, axis=1), 2, axis=2)
    np.testing.assert_array_equal(ops.convert_to_numpy(result), expected)


@pytest.mark.parametrize(("height", "width"), [(3, 5), (7, 3), (2, 3), (4, 4)])
def test_odd_sizes(height, width):
    # row i of H takes row floor(i · h / H) of h
    source = np.arange(12, dtype="float32").reshape(1, 2, 3, 2)
    result = UpSampleLike()([source, np.zeros((1, height, width, 1), "float32")])
    rows = [i * 2 // height for i in range(height)]
    columns = [i * 3 // width for i in range(width)]
    np.testing.assert_array_equal(ops.convert_to_numpy(result), source[:, rows][:, :, columns])


def test_gradient_of_doubling_on_jax_has_no_scatter():
    if keras.backend.backend() != "jax":
        pytest.skip("the graph of JAX")
    import jax

    source, target = np.ones((1, 3, 5, 2), "float32"), np.zeros((1, 6, 10, 2), "float32")

    def gradient(source, target):
        return jax.grad(lambda x: (UpSampleLike()([x, target]) ** 2).sum())(source)

    np.testing.assert_array_equal(gradient(source, target), 8 * source)  # 4 pixels, d x² = 2
    for wide, moved in [(target, False), (target[:, :5], True)]:  # 5 rows of 3 are gathered
        graph = jax.jit(gradient).lower(source, wide).as_text()
        assert ("gather" in graph, "scatter" in graph) == (moved, moved)


def test_channels_and_dtype_are_the_sources():
    source, target = ops.ones((2, 1, 1, 3), "float16"), ops.zeros((2, 5, 4, 8), "float16")
    result = UpSampleLike(dtype="float16")([source, target])
    assert tuple(result.shape) == (2, 5, 4, 3)
    assert keras.backend.standardize_dtype(result.dtype) == "float16"


def test_plain_arrays():
    source, target = np.ones((1, 1, 1, 3), "float32"), np.zeros((1, 3, 2, 3), "float32")
    assert tuple(UpSampleLike().call([source, target]).shape) == (1, 3, 2, 3)


def test_symbolic_shapes():
    source, target = keras.Input((None, None, 3)), keras.Input((9, 7, 8))
    assert UpSampleLike()([source, target]).shape == (None, 9, 7, 3)
    assert UpSampleLike()([source, source]).shape == (None, None, None, 3)


def test_both_names():
    assert UpsampleLike is UpSampleLike
