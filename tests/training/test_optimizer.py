import keras
import numpy as np
import pytest

from keras_retinanet.optimizers import SGD, AdamW
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


def test_adamw_rate_grows_with_root_of_batch_and_falls_with_width():
    expected = schedules.ADAMW_RATES["pretrained"]

    def rate(width, **options):
        return schedules.peak_rate(TrainConfig(**options), Model(width))

    assert rate(64, batch_size=8) == expected
    assert rate(64, batch_size=32) == pytest.approx(2 * expected)
    assert rate(64, batch_size=8, accumulate=4) == pytest.approx(2 * expected)
    assert rate(256, batch_size=8) == pytest.approx(expected / 4)
    assert rate(64, batch_size=8, lr=0.5) == 0.5


def test_sgd_rate_grows_with_batch():
    config = TrainConfig(optimizer="sgd", batch_size=4, accumulate=2)
    assert schedules.peak_rate(config, Model(64)) == pytest.approx(0.005)  # 0.01 at 16 images


def schedule(batches, **options):
    return schedules.schedule_of(TrainConfig(**options), 0.5, batches)


def test_the_cosine_rises_to_the_peak_and_ends_at_zero():
    made = schedule(100)  # 5 steps of warm-up, 95 of cosine
    rates = [float(made(step)) for step in (0, 5, 52.5, 100, 120)]
    # half way down the cosine, at 5 + 95 / 2, the rate is half the peak
    np.testing.assert_allclose(rates, [0, 0.5, 0.25, 0, 0], atol=1e-6)


def test_the_cosine_is_that_of_keras():
    ours = schedule(200)
    theirs = keras.optimizers.schedules.CosineDecay(0.0, 190, warmup_target=0.5, warmup_steps=10)
    for step in range(0, 200, 7):
        assert float(ours(step)) == pytest.approx(float(theirs(step)), abs=1e-7)


def test_the_cosine_may_end_above_zero():
    made = schedule(100, final_lr=0.1)
    np.testing.assert_allclose([float(made(s)) for s in (52.5, 100)], [0.3, 0.1], atol=1e-6)


def test_steps_divide_the_rate_by_ten_at_two_thirds_and_eight_ninths():
    made = schedule(90, schedule="step", warmup_steps=10)
    rates = [float(made(step)) for step in (5, 10, 59, 60, 79, 80, 89)]
    np.testing.assert_allclose(rates, [0.25, 0.5, 0.5, 0.05, 0.05, 0.005, 0.005], rtol=1e-5)


def test_a_constant_rate_warms_up_and_stays():
    made = schedule(90, schedule="constant", warmup_steps=10)
    assert [float(made(step)) for step in (0, 5, 10, 89)] == [0, 0.25, 0.5, 0.5]


def test_a_plateau_has_no_schedule():
    assert schedule(90, reduce_lr_patience=3) == schedule(90, schedule="plateau") == 0.5


def test_schedules_are_saved():
    made = schedule(90, schedule="step", warmup_steps=10, final_lr=0.1)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    assert again.get_config() == made.get_config()


def test_the_rate_ends_at_zero_with_accumulated_batches():
    optimizer = AdamW(schedule(100, accumulate=4), gradient_accumulation_steps=4)
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
    made = schedule(100_000, accumulate=4)
    assert float(made(2_000)) == pytest.approx(0.25)
    assert float(made(4_000)) == pytest.approx(0.5)
    assert float(schedule(100, accumulate=4, warmup_steps=5)(10)) == pytest.approx(0.25)


def test_one_step_is_enough_for_a_schedule():
    assert float(schedule(1)(0)) == pytest.approx(0.5)


# optimizers


def trained(make, count, steps=1, values=(1.0,), gradient=1.0, **options):
    """Return the weights after `count` batches with the same gradient."""
    weight = keras.Variable(np.array(values, "float32"))
    optimizer = make(0.1, gradient_accumulation_steps=steps if steps > 1 else None, **options)
    optimizer.build([weight])
    found = []
    for _ in range(count):
        optimizer.apply([keras.ops.full(weight.shape, gradient)], [weight])
        found.append(float(np.ravel(keras.ops.convert_to_numpy(weight.value))[0]))
    return optimizer, found


def test_accumulated_batches_make_one_update():
    # Adam's first update is the rate itself, against the gradient's sign
    _, found = trained(AdamW, 2, steps=2)
    np.testing.assert_allclose(found, [1.0, 0.9], atol=1e-5)


def test_only_kernels_decay():
    for make in (AdamW, SGD):
        _, bias = trained(make, 1, gradient=0.0, weight_decay=0.5)
        _, kernel = trained(make, 1, gradient=0.0, weight_decay=0.5, values=((1.0,),))
        assert bias == [1.0]
        assert kernel == pytest.approx([0.95])  # 1 - 0.1 * 0.5


def test_decay_of_sgd_goes_through_the_momentum():
    _, found = trained(SGD, 2, gradient=0.0, weight_decay=0.5, momentum=0.9, values=((1.0,),))
    # velocities -0.1 * 0.5 and 0.9 * -0.05 - 0.1 * 0.5 * 0.95
    np.testing.assert_allclose(found, [0.95, 0.95 - 0.045 - 0.0475], rtol=1e-6)


def test_adamw_without_decay_is_the_adamw_of_keras():
    _, ours = trained(AdamW, 5, weight_decay=0.01, values=((1.0,),))
    _, theirs = trained(keras.optimizers.AdamW, 5, weight_decay=0.01, values=((1.0,),))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_chosen_variables_train_at_another_rate():
    fast, slow = (keras.Variable(np.ones(1, "float32"), name=name) for name in "ab")
    optimizer = SGD(0.1, slower=[slow.path], slower_factor=0.1)
    optimizer.build([fast, slow])
    optimizer.apply([keras.ops.ones(1)] * 2, [fast, slow])
    assert keras.ops.convert_to_numpy(fast.value) == pytest.approx([0.9])
    assert keras.ops.convert_to_numpy(slow.value) == pytest.approx([0.99])


@pytest.mark.parametrize("steps", [1, 2])
def test_averages_follow_the_updates(steps):
    optimizer, found = trained(SGD, 4 * steps, steps=steps, average=0.15)
    [average] = optimizer._model_variables_moving_average
    expected = None
    for number, value in enumerate(found[steps - 1 :: steps]):
        decay = min(0.15, number / (number + 9))
        expected = value if expected is None else decay * expected + (1 - decay) * value
    assert float(keras.ops.convert_to_numpy(average.value)[0]) == pytest.approx(expected)


def test_averages_before_the_first_update_are_the_weights():
    optimizer, found = trained(SGD, 1, steps=2, average=0.9)
    [average] = optimizer._model_variables_moving_average
    assert found == [1.0]
    assert float(keras.ops.convert_to_numpy(average.value)[0]) == 1.0


def test_optimizers_are_saved_with_all_they_know():
    for make in (AdamW, SGD):
        made = make(0.1, weight_decay=0.5, slower=("a", "b"), slower_factor=0.1, average=0.9)
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
        assert again.get_config() == made.get_config()
        assert (again.average, tuple(again.slower)) == (0.9, ("a", "b"))
