"""Fixtures that every test may ask for."""

from pathlib import Path

import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def shared():
    """The folder of reference data beside the checkout; tests that want it skip without it."""
    if not SHARED.is_dir():
        pytest.skip(f"reference data are not at {SHARED}")
    return SHARED


@pytest.fixture(params=["numpy", "ops"])
def calculate(request):
    """Calls f(*arrays, xp=...) with NumPy or with Keras's operations, and gives back NumPy."""
    from keras import ops

    def call(f, *arrays, **kwargs):
        if request.param == "numpy":
            return f(*arrays, **kwargs, xp=np)
        tensors = [ops.convert_to_tensor(array) for array in arrays]
        return ops.convert_to_numpy(f(*tensors, **kwargs, xp=ops))

    return call


@pytest.fixture(scope="session")
def gradient():
    """The value of a scalar function f and its gradient at x, cast to dtype, as NumPy."""
    import keras
    from keras import ops

    def differentiate(f, x):
        backend = keras.backend.backend()
        if backend == "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                tape.watch(x)
                value = f(x)
            return value, tape.gradient(value, x)
        if backend == "jax":
            import jax

            return jax.value_and_grad(f)(x)
        x = x.detach().requires_grad_(True)
        value = f(x)
        value.backward()
        return value.detach(), x.grad

    def call(f, x, dtype="float32"):
        x = ops.convert_to_tensor(np.asarray(x, "float32"))
        results = differentiate(lambda x: f(ops.cast(x, dtype)), x)
        return tuple(ops.convert_to_numpy(ops.cast(result, "float32")) for result in results)

    return call
