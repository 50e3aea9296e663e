import contextlib
import subprocess
import sys
import textwrap

import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.utils.gpu import scope, strategy


@pytest.mark.parametrize("count", [0, 1])
def test_one_device_needs_no_strategy(count):
    assert isinstance(scope(count), contextlib.nullcontext)


def test_more_gpus_than_available_are_refused():
    pytest.importorskip("tensorflow")
    with pytest.raises(InputError, match="64 GPUs"):
        scope(64)


def test_all_scopes_share_one_strategy(monkeypatch):
    tensorflow = pytest.importorskip("tensorflow")
    devices = tensorflow.config.list_logical_devices("CPU") * 2
    monkeypatch.setattr(tensorflow.config, "list_logical_devices", lambda kind: devices)
    monkeypatch.setattr(tensorflow.distribute, "MirroredStrategy", lambda names: [*names])
    assert strategy(2) == ["/device:CPU:0"] * 2
    assert strategy(2) is strategy(2)
    strategy.cache_clear()


THREE_DEVICES = """
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
    devices = tf.config.list_logical_devices
    tf.config.list_logical_devices = lambda kind: devices("CPU")  # used as GPUs

    import keras
    import numpy as np

    from keras_retinanet.utils.gpu import scope
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


def test_synchronized_batch_norm_on_three_devices_equals_one_device():
    pytest.importorskip("tensorflow")
    script = textwrap.dedent(THREE_DEVICES)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.rpartition("far: ")[2]) > 0.01  # separate statistics
