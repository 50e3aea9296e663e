"""Several devices train as one does."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.training.devices import check_batch, distribution, scope

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "devices.py"


@pytest.mark.core
@pytest.mark.parametrize("count", [0, 1])
def test_one_device_needs_no_distribution(count):
    assert isinstance(scope(count), contextlib.nullcontext)


@pytest.mark.core
def test_more_devices_than_available_are_refused():
    with pytest.raises(InputError, match="64 devices"):
        scope(64)


def test_all_scopes_share_one_strategy(monkeypatch):
    tensorflow = pytest.importorskip("tensorflow")
    if keras.config.backend() != "tensorflow":
        pytest.skip("a strategy is TensorFlow's")
    devices = tensorflow.config.list_logical_devices("CPU") * 2
    monkeypatch.setattr(tensorflow.config, "list_logical_devices", lambda kind: devices)
    monkeypatch.setattr(tensorflow.distribute, "MirroredStrategy", lambda names: [*names])
    assert distribution(2) == ["/device:CPU:0"] * 2
    assert distribution(2) is distribution(2)
    distribution.cache_clear()


def test_a_batch_that_cannot_be_divided_is_refused():
    check_batch(6, 3)
    check_batch(5, 1)
    with pytest.raises(InputError, match=r"batch_size \(6\) must be a multiple of the 4 devices"):
        check_batch(6, 4)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_several_devices_have_the_losses_and_the_ap_of_one(backend):
    """The images of a batch have different numbers of objects, so a normaliser of each device
    would show in the losses.
    """
    pytest.importorskip(backend)
    command = [sys.executable, BENCHMARK, "--steps", "4", "--devices", "1", "2"]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "2 devices: loss" in done.stdout
