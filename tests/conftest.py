"""Fixtures that every test may ask for."""

import contextlib
import fcntl
import gc
import importlib.util
import os
import resource
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from .vision import import_torchvision

SHARED = Path(__file__).resolve().parents[2] / "shared"
NO_KERAS = "ModuleNotFoundError: import of keras halted"  # as Python says under --unit
BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def pytest_addoption(parser):
    parser.addoption("--unit", action="store_true", help="skip tests that need Keras")


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
    """Halve the time of the tests on JAX, most of which is compiling: compile without optimization,
    and cache the results of all processes and runs.
    """
    if config.getoption("unit"):
        sys.modules.update(dict.fromkeys(("keras", "tensorflow", "jax", "torch")))
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(config.cache.mkdir("jax")))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def pytest_collection_finish(session):
    """On TensorFlow, tests run step by step without graphs, which take longer to make than to run;
    tests with the `graphs` fixture do not. Python's garbage collector leaves out what is imported.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # models are many small objects
    if sys.modules.get("tensorflow"):
        sys.modules["tensorflow"].config.run_functions_eagerly(True)


@pytest.fixture(scope="session")
def within_graphs():
    """A context in which steps of TensorFlow are graphs, as they are for users."""

    @contextlib.contextmanager
    def run():
        tensorflow = sys.modules.get("tensorflow")
        before = tensorflow and tensorflow.config.functions_run_eagerly()
        if before:
            tensorflow.config.run_functions_eagerly(False)
        try:
            yield
        finally:
            if before:
                tensorflow.config.run_functions_eagerly(True)

    return run


@pytest.fixture
def graphs(within_graphs):
    """The whole test `within_graphs`."""
    with within_graphs():
        yield


@pytest.fixture
def shared():
    """Return the folder of reference data next to the checkout, or skip the test without it."""
    if not SHARED.is_dir():
        pytest.skip(f"reference data are not at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def torchvision():
    """Return torchvision, or skip the test without it or PyTorch."""
    pytest.importorskip("torch")
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    return import_torchvision()


@pytest.fixture(scope="session")
def load_benchmark():
    """Return a function that imports a script of benchmarks/ by its name."""

    def load(name):
        spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(params=["numpy", "ops"])
def calculate(request):
    """Return a function that calls f(*arrays, xp=...) on NumPy or Keras and returns NumPy."""
    from keras import ops

    def call(f, *arrays, **kwargs):
        if request.param == "numpy":
            return f(*arrays, **kwargs, xp=np)
        tensors = [ops.convert_to_tensor(array) for array in arrays]
        return ops.convert_to_numpy(f(*tensors, **kwargs, xp=ops))

    return call


@pytest.fixture(scope="session")
def gradient():
    """Return a function for the value and gradient, as NumPy, of a scalar f at x, cast to dtype."""
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
    """Return a folder of synthetic data of 64 px: 6 images to train on, 4 held out, in train.csv,
    val.csv and classes.csv, and anchors.ini for them."""
    from keras_retinanet.synthetic import write_synthetic

    folder = write_synthetic(tmp_path_factory.mktemp("sample"), train=6, val=4, size=64)
    (folder / "anchors.ini").write_text(ANCHORS)
    return folder


@pytest.fixture(scope="session")
def tiny(sample):
    """Return options of retinanet-train for a model that trains in seconds; they name no start."""
    options = "--backbone resnet10_0.25 --feature-size 16 --head-depth 1 --norm batch"
    sides = "--no-report --image-min-side 64 --image-max-side 64 --batch-size 3"
    return [*options.split(), *sides.split(), "--config", str(sample / "anchors.ini")]


@pytest.fixture(scope="session")
def child_seconds():
    """Return the CPU seconds of all ended child processes, which no load changes."""

    def seconds():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    return seconds


@pytest.fixture(scope="session")
def make_once(tmp_path_factory):
    """Return the folder of a name, which the first of all test processes to ask for it fills."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def make(name, fill):
        folder = root / name
        with open(root / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                part = root / f"{name}.part"
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir()
                fill(part)
                part.rename(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def trained(sample, tiny, within_graphs, make_once):
    """Return the folder of snapshots of a training that overfitted the synthetic data."""
    from keras_retinanet.bin import train

    how = ["--augmentation=none", "--lr=0.01", "--box-loss=giou", "--batch-size=6"]
    how += ["--epochs=2", "--steps=90"]
    data = [sample / "train.csv", sample / "classes.csv", "--val-annotations", sample / "val.csv"]

    def fill(folder):
        options = ["--no-weights", *tiny, *how, "--snapshot-path", str(folder.parent)]
        options += ["--run", folder.name]
        with within_graphs():  # 180 steps are worth one
            train.main([*options, "csv", *map(str, data)])

    return make_once("snapshots", fill)


@pytest.fixture(scope="session")
def snapshot(trained):
    """Return the path of the training model of `trained`."""
    return trained / "last.keras"


@pytest.fixture(scope="session")
def detector(snapshot, make_once):
    """Return the path of the inference model of `trained`."""
    from keras_retinanet.bin import convert_model

    def fill(folder):
        convert_model.main([str(snapshot), str(folder / "detector.keras")])

    return make_once("detector", fill) / "detector.keras"


@pytest.fixture
def refuse(capsys):
    """Runs a command that must end with exit status 2 and one sentence, and gives the sentence."""

    def run(main, *args):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(arg) for arg in args])
        captured = capsys.readouterr()
        errors = [line for line in captured.err.splitlines() if "error: " in line]
        assert stop.value.code == 2, captured.err
        assert len(errors) == 1, captured.err
        assert captured.err.rstrip().endswith(errors[0])
        assert "Traceback" not in captured.err + captured.out
        return errors[0]

    return run
