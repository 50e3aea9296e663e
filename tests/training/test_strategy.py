import subprocess
import sys
import textwrap

import pytest

THREE_DEVICES = """
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)

    import keras
    import numpy as np

    from keras_retinanet.training.devices import scope
    from keras_retinanet.models.norms import with_norm

    random = np.random.default_rng(0)
    images = random.normal(size=(6, 8, 8, 3)) * np.arange(1, 7)[:, None, None, None]
    batches = tf.data.Dataset.from_tensors((images, random.normal(size=(6, 8, 8, 4)))).repeat()

    def trained(devices, norm):
        with scope(devices):
            keras.utils.set_random_seed(0)
            inputs = keras.Input((8, 8, 3))
            x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
            x = keras.layers.BatchNormalization(momentum=0.5)(x)
            x = keras.layers.Conv2D(4, 3, padding="same")(x)
            model = with_norm(keras.Model(inputs, keras.layers.BatchNormalization()(x)), norm)
            model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(batches, steps_per_epoch=4, verbose=0)
        return model.get_weights()

    alone = trained(1, "sync_batch")
    for ours, theirs in zip(trained(3, "sync_batch"), alone, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    print("far:", max(np.abs(a - b).max() for a, b in zip(trained(3, "batch"), alone)))
"""


UNEVEN = """
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

    import keras
    import numpy as np

    from keras_retinanet import losses
    from keras_retinanet.models import backbone
    from keras_retinanet.parts import Design, Heads, Pyramid
    from keras_retinanet.training.devices import scope

    random = np.random.default_rng(0)
    images = random.uniform(0, 255, (4, 64, 64, 3)).astype("float32")
    design = Design(Pyramid(levels=(3, 4), width=8), Heads(depth=1))
    count = 9 * (64 + 16)
    state = np.zeros((4, count, 1), "float32")
    state[0, :20] = 1  # the first replica has 20 objects, the second one
    state[2, 5] = 1
    state[3, 100:200] = -1
    classes = np.concatenate([state > 0, state], axis=-1).astype("float32")
    boxes = np.concatenate([random.normal(size=(4, count, 4)), state], axis=-1).astype("float32")
    batches = tf.data.Dataset.from_tensors((images, (boxes, classes))).repeat()

    def trained(devices, box_loss):
        with scope(devices):
            keras.utils.set_random_seed(0)
            model = backbone("resnet10_0.25").detector(["a"], None, design, norm="group")
            model.compile(keras.optimizers.SGD(0.05), [losses.get(box_loss), losses.focal()])
        history = model.fit(batches, steps_per_epoch=5, verbose=0)
        return history.history["loss"], model.get_weights()

    for box_loss in ("smooth_l1", "giou"):
        one, two = trained(1, box_loss), trained(2, box_loss)
        np.testing.assert_allclose(two[0], one[0], rtol=1e-4)
        for ours, theirs in zip(two[1], one[1], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
"""


def run(script):
    """Run a script, and return what it prints."""
    pytest.importorskip("tensorflow")
    words = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_losses_on_two_devices_count_the_objects_of_both():
    run(UNEVEN)


@pytest.mark.slow
def test_synchronized_batch_norm_on_three_devices_equals_one_device():
    printed = run(THREE_DEVICES)
    assert float(printed.rpartition("far: ")[2]) > 0.01  # separate statistics
