import keras
import numpy as np
import pytest

from keras_retinanet.training import recipes

pytestmark = pytest.mark.core


def test_the_rate_grows_with_the_root_of_the_batch_and_falls_with_the_width():
    one = recipes.peak_rate("pretrained", 8, 64)
    assert one == recipes.RECIPES["pretrained"]["learning_rate"]
    assert recipes.peak_rate("pretrained", 32, 64) == pytest.approx(2 * one)
    assert recipes.peak_rate("pretrained", 8, 256) == pytest.approx(one / 4)


def test_the_cosine_rises_to_the_peak_and_ends_at_zero():
    schedule = recipes.cosine(0.5, 100)  # 5 steps of warm-up, 95 of cosine
    rates = [float(schedule(step)) for step in (0, 5, 52.5, 100)]
    # half way down the cosine, at 5 + 95 / 2, the rate is half the peak
    np.testing.assert_allclose(rates, [0, 0.5, 0.25, 0], atol=1e-6)


def test_the_rate_ends_at_zero_with_accumulated_batches():
    optimizer = recipes.adamw(recipes.cosine(0.5, 100, accumulate=4), 0.0, accumulate=4)
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
    schedule = recipes.cosine(0.5, 100_000, accumulate=4)
    assert float(schedule(2_000)) == pytest.approx(0.25)
    assert float(schedule(4_000)) == pytest.approx(0.5)


def test_one_step_is_enough_for_a_schedule():
    assert float(recipes.cosine(0.5, 1)(0)) == pytest.approx(0.5)


def test_accumulated_batches_make_one_update():
    weight = keras.Variable(1.0)
    optimizer = recipes.adamw(0.1, 0.0, accumulate=2)
    optimizer.build([weight])
    values = []
    for _ in range(2):
        optimizer.apply([keras.ops.ones(())], [weight])
        values.append(float(weight.numpy()))
    # Adam's first update is the rate itself, against the gradient's sign
    np.testing.assert_allclose(values, [1.0, 0.9], atol=1e-5)
