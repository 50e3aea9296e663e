import contextlib

import pytest

from keras_retinanet.distribution import scope, strategy
from keras_retinanet.errors import InputError


@pytest.mark.parametrize("count", [0, 1])
def test_one_device_needs_no_strategy(count):
    assert isinstance(scope(count), contextlib.nullcontext)


def test_more_gpus_than_there_are_is_an_error():
    pytest.importorskip("tensorflow")
    with pytest.raises(InputError, match="expected 64 GPUs"):
        scope(64)


def test_all_scopes_are_of_one_strategy(monkeypatch):
    tensorflow = pytest.importorskip("tensorflow")
    devices = tensorflow.config.list_logical_devices("CPU") * 2
    monkeypatch.setattr(tensorflow.config, "list_logical_devices", lambda kind: devices)
    monkeypatch.setattr(tensorflow.distribute, "MirroredStrategy", lambda names: [*names])
    assert strategy(2) == ["/device:CPU:0"] * 2
    assert strategy(2) is strategy(2)
    strategy.cache_clear()
