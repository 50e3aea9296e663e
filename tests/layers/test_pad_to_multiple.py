"""Padding inside the graph."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.layers import PadToMultiple

pytestmark = pytest.mark.core


@pytest.mark.parametrize("sides", [(5, 9), (8, 8), (1, 16)])
def test_zeros_come_at_the_right_and_the_bottom(sides):
    images = np.random.default_rng(0).normal(size=(2, *sides, 3)).astype("float32")
    padded = ops.convert_to_numpy(PadToMultiple(8)(images))
    height, width = (-(-side // 8) * 8 for side in sides)
    expected = np.pad(images, [[0, 0], [0, height - sides[0]], [0, width - sides[1]], [0, 0]])
    np.testing.assert_array_equal(padded, expected)
    assert PadToMultiple(8).compute_output_shape((2, *sides, 3)) == (2, height, width, 3)


def test_in_a_graph_of_any_size(tmp_path):
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, PadToMultiple(4)(inputs))
    assert model.output_shape == (None, None, None, 3)
    model.save(tmp_path / "m.keras")
    model = keras.saving.load_model(tmp_path / "m.keras")
    for sides, padded in (((5, 6), (8, 8)), ((4, 9), (4, 12)), ((4, 4), (4, 4))):
        result = model.predict_on_batch(np.ones((1, *sides, 3), "float32"))
        assert result.shape == (1, *padded, 3)
        assert result.sum() == sides[0] * sides[1] * 3


def test_no_images():
    assert tuple(PadToMultiple(4)(np.zeros((0, 5, 6, 3), "float32")).shape) == (0, 8, 8, 3)
