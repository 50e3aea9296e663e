"""Fixtures that every test may ask for."""

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from .vision import import_torchvision

SHARED = Path(__file__).resolve().parents[2] / "shared"
NO_KERAS = "ModuleNotFoundError: import of keras halted"  # as Python says under --unit
BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def pytest_addoption(parser):
    parser.addoption("--unit", action="store_true", help="skip what needs Keras")


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    """Leave out test files that import Keras, under --unit."""
    outcome = yield
    report = outcome.get_result()
    if collector.config.getoption("unit") and report.failed and NO_KERAS in str(report.longrepr):
        report.outcome, report.longrepr = "skipped", (str(collector.path), 0, NO_KERAS)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Skip a test that imports Keras when it runs, under --unit."""
    outcome = yield
    report = outcome.get_result()
    if item.config.getoption("unit") and report.failed and NO_KERAS in str(report.longrepr):
        report.outcome, report.longrepr = "skipped", (str(item.path), 0, NO_KERAS)


def pytest_configure(config):
    """On JAX, compiling is most of what the tests do: without optimisation it takes half as long,
    and what one process or an earlier run has compiled is taken from a cache.
    """
    if config.getoption("unit"):
        sys.modules.update(dict.fromkeys(("keras", "tensorflow", "jax", "torch")))
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(config.cache.mkdir("jax")))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


@pytest.fixture
def shared():
    """The folder of reference data beside the checkout; tests that want it skip without it."""
    if not SHARED.is_dir():
        pytest.skip(f"reference data are not at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def torchvision():
    """torchvision; tests that want it skip without it, and without PyTorch."""
    pytest.importorskip("torch")
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    return import_torchvision()


@pytest.fixture(scope="session")
def load_benchmark():
    """Gives the script of benchmarks/ of a name as a module."""

    def load(name):
        spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


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


ANCHORS = """\
[anchor_parameters]
sizes = 16 32 64
strides = 8 16 32
ratios = 1
scales = 1 1.5

[pyramid_levels]
levels = 3 4 5
"""


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """A folder of synthetic data: images of 64 px, 6 to train on and 4 held out, in train.csv,
    val.csv and classes.csv, and anchors.ini for them."""
    from keras_retinanet.synthetic import write_synthetic

    folder = write_synthetic(tmp_path_factory.mktemp("sample"), train=6, val=4, size=64)
    (folder / "anchors.ini").write_text(ANCHORS)
    return folder


@pytest.fixture(scope="session")
def tiny(sample):
    """The options of retinanet-train for a model that is built and trained in seconds,
    but for what it starts from."""
    options = "--backbone resnet10_0.25 --feature-size 16 --head-depth 1 --norm batch"
    sides = "--image-min-side 64 --image-max-side 64 --batch-size 3"
    return [*options.split(), *sides.split(), "--config", str(sample / "anchors.ini")]


@pytest.fixture(scope="session")
def trained(sample, tiny, tmp_path_factory):
    """The folder of snapshots of a training that learned the sample by heart."""
    from keras_retinanet.bin import train

    folder = tmp_path_factory.mktemp("snapshots")
    how = ["--augmentation=none", "--lr=0.01", "--box-loss=giou", "--batch-size=6"]
    how += ["--epochs=2", "--steps=90"]
    data = [sample / "train.csv", sample / "classes.csv", "--val-annotations", sample / "val.csv"]
    train.main(
        ["--no-weights", *tiny, *how, "--snapshot-path", str(folder), "csv", *map(str, data)]
    )
    return folder


@pytest.fixture(scope="session")
def snapshot(trained):
    """The training model of `trained`, a file."""
    return trained / "resnet10_0.25_csv_last.keras"


@pytest.fixture(scope="session")
def detector(snapshot, tmp_path_factory):
    """The inference model of `trained`, a file."""
    from keras_retinanet.bin import convert_model

    path = tmp_path_factory.mktemp("detector") / "detector.keras"
    convert_model.main([str(snapshot), str(path)])
    return path
