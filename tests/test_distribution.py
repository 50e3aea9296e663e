import contextlib

import pytest

from keras_retinanet.distribution import scope
from keras_retinanet.errors import InputError


@pytest.mark.parametrize("count", [0, 1])
def test_one_device_needs_no_strategy(count):
    assert isinstance(scope(count), contextlib.nullcontext)


def test_more_gpus_than_there_are_is_an_error():
    pytest.importorskip("tensorflow")
    with pytest.raises(InputError, match="expected 64 GPUs"):
        scope(64)
