import os
import sys
import types

import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.utils.gpu import setup_gpu


@pytest.fixture
def environment(monkeypatch):
    """The environment, with no backend imported yet."""
    for name in ("CUDA_VISIBLE_DEVICES", "TF_FORCE_GPU_ALLOW_GROWTH"):
        monkeypatch.setenv(name, "unset")  # so that both are restored
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    return os.environ


class FakeTensorFlow(types.ModuleType):
    """TensorFlow's device list, of `count` GPUs, and what was asked of it."""

    def __init__(self, count, started=False):
        super().__init__("tensorflow")
        self.visible, self.growing = None, []

        def set_visible_devices(devices, kind):
            if started:
                raise RuntimeError("Visible devices cannot be modified after being initialized")
            assert kind == "GPU"
            self.visible = devices

        self.config = types.SimpleNamespace(
            list_physical_devices=lambda kind: [f"{kind}:{i}" for i in range(count)],
            set_visible_devices=set_visible_devices,
            experimental=types.SimpleNamespace(
                set_memory_growth=lambda gpu, on: self.growing.append((gpu, on))
            ),
        )


@pytest.fixture
def fake(monkeypatch):
    """Puts a `FakeTensorFlow` and a Keras that runs on it (or on another) in place."""

    def install(count, backend="tensorflow", **options):
        tensorflow = FakeTensorFlow(count, **options)
        keras = types.ModuleType("keras")
        keras.config = types.SimpleNamespace(backend=lambda: backend)
        monkeypatch.setitem(sys.modules, "tensorflow", tensorflow)
        monkeypatch.setitem(sys.modules, "keras", keras)
        return tensorflow

    return install


@pytest.mark.parametrize(
    ("asked", "visible"),
    [
        (0, "0"),
        ("1", "1"),
        ("0,2", "0,2"),
        ("0, 2", "0,2"),
        ("cpu", "-1"),
        ("CPU", "-1"),
        (-1, "-1"),
    ],
)
def test_before_the_backend_starts_the_environment_says_which(environment, asked, visible):
    setup_gpu(asked)
    assert environment["CUDA_VISIBLE_DEVICES"] == visible
    assert environment["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"


@pytest.mark.parametrize("asked", ["first", "0;1", "", "0,", "1,-1", None])
def test_what_is_no_id_is_named(environment, asked):
    with pytest.raises(InputError, match=f"got {asked!r}"):
        setup_gpu(asked)
    assert environment["CUDA_VISIBLE_DEVICES"] == "unset"


def test_tensorflow_is_told_directly(environment, fake):
    tensorflow = fake(3)
    setup_gpu("2,0")
    assert tensorflow.visible == ["GPU:2", "GPU:0"]
    assert tensorflow.growing == [("GPU:2", True), ("GPU:0", True)]
    setup_gpu("cpu")
    assert tensorflow.visible == []
    assert environment["CUDA_VISIBLE_DEVICES"] == "unset"  # it would renumber the devices


def test_tensorflow_beside_another_backend_is_left_alone(environment, fake):
    tensorflow = fake(1, backend="jax")
    setup_gpu(0)
    assert tensorflow.visible is None
    assert environment["CUDA_VISIBLE_DEVICES"] == "0"


def test_gpus_that_are_not_there_are_refused(environment, fake):
    fake(2)
    with pytest.raises(InputError, match="below 2"):
        setup_gpu("0,2")


def test_without_any_gpu_the_cpu_is_used(environment, fake):
    tensorflow = fake(0)
    setup_gpu("cpu")
    with pytest.warns(UserWarning, match="no GPU"):
        setup_gpu(0)
    assert tensorflow.growing == []


def test_too_late_is_said(environment, fake):
    fake(1, started=True)
    with pytest.raises(InputError, match="before TensorFlow uses one"):
        setup_gpu(0)
