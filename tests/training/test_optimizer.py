import keras
import numpy as np
import pytest

from keras_retinanet.training import optimizer as schedules
from keras_retinanet.training.config import TrainConfig

pytestmark = pytest.mark.core


class Model:
    """A model whose pyramid has `width` features."""

    pyramid_levels = (3,)

    def __init__(self, width):
        self.width = width
        self.progress = {"start": "pretrained"}

    def get_layer(self, name):
        assert name == "P3"
        return keras.layers.Identity()(keras.Input((8, 8, self.width)))._keras_history.operation


def test_rate_grows_with_root_of_batch_and_falls_with_width():
    rates = schedules.RECIPES["pretrained"]["learning_rate"]

    def rate(width, **options):
        return schedules.peak_rate(TrainConfig(**options), Model(width))

    assert rate(64, batch_size=8) == rates
    assert rate(64, batch_size=32) == pytest.approx(2 * rates)
    assert rate(64, batch_size=8, accumulate=4) == pytest.approx(2 * rates)
    assert rate(256, batch_size=8) == pytest.approx(rates / 4)
    assert rate(64, batch_size=8, lr=0.5) == 0.5


def test_the_cosine_rises_to_the_peak_and_ends_at_zero():
    schedule = schedules.cosine(0.5, 100)  # 5 steps of warm-up, 95 of cosine
    rates = [float(schedule(step)) for step in (0, 5, 52.5, 100)]
    # half way down the cosine, at 5 + 95 / 2, the rate is half the peak
    np.testing.assert_allclose(rates, [0, 0.5, 0.25, 0], atol=1e-6)


def test_the_rate_ends_at_zero_with_accumulated_batches():
    optimizer = schedules.adamw(schedules.cosine(0.5, 100, accumulate=4), 0.0, accumulate=4)
    weight = keras.Variable(1.0)
    optimizer.build([weight])
    rates = []
    for _ in range(100):
        optimizer.apply([keras.ops.ones(())], [weight])
        rates.append(float(optimizer.learning_rate))
    assert np.argmax(rates) == 4  # after 5 batches of warm-up, as without accumulation
    assert rates[-1] == pytest.approx(0, abs=1e-6)
    assert rates[-5] > 0  # the last update still trains


def test_a_long_warm_up_is_counted_in_updates():
    # 5% of 100,000 batches are 5,000, bounded by 1,000 updates of 4 batches
    schedule = schedules.cosine(0.5, 100_000, accumulate=4)
    assert float(schedule(2_000)) == pytest.approx(0.25)
    assert float(schedule(4_000)) == pytest.approx(0.5)


def test_one_step_is_enough_for_a_schedule():
    assert float(schedules.cosine(0.5, 1)(0)) == pytest.approx(0.5)


def test_accumulated_batches_make_one_update():
    weight = keras.Variable(1.0)
    optimizer = schedules.adamw(0.1, 0.0, accumulate=2)
    optimizer.build([weight])
    values = []
    for _ in range(2):
        optimizer.apply([keras.ops.ones(())], [weight])
        values.append(float(weight.numpy()))
    # Adam's first update is the rate itself, against the gradient's sign
    np.testing.assert_allclose(values, [1.0, 0.9], atol=1e-5)
