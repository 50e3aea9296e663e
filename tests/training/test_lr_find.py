"""The learning rate range test."""

import numpy as np
import pytest

from keras_retinanet.training import lr_find

RATES = np.geomspace(1e-6, 1, 7)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([9, 9, 8, 4, 2, 3, 7], 1e-3),  # slopes per decade: 0, -.5, -2.5, -3, -.5
        ([9, 9, 8, 4, 2, np.nan], 1e-3),
        ([5, 4], 1e-6),
        ([1, 2, 3], None),  # only rises
        ([np.nan], None),
        ([], None),
    ],
)
def test_the_rate_where_the_loss_falls_most(losses, expected):
    rate = lr_find.steepest(RATES, np.array(losses, float))
    assert rate == (expected and pytest.approx(expected))
