"""Several hosts train as one does."""

import json
import os
import socket
import subprocess
import sys

import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.synthetic import write_synthetic
from keras_retinanet.training import hosts
from keras_retinanet.training.config import TrainConfig
from keras_retinanet.training.stopping import Stop, Stopped

OPTIONS = (
    *("--feature-size=16", "--head-depth=1", "--no-weights", "--backbone=resnet10_0.25"),
    *("--image-min-side=64", "--image-max-side=64", "--batch-size=4", "--augmentation=light"),
    *("--steps=1", "--epochs=4", "--evaluate-every=4", "--lr=0.05", "--optimizer=sgd"),
)


@pytest.mark.core
def test_a_single_host_is_the_first_and_has_all_values():
    assert (hosts.count(), hosts.index(), hosts.is_first()) == (1, 0, True)
    assert hosts.gathered({"a": 1}) == [{"a": 1}]
    assert hosts.from_first(lambda: 5) == 5


def test_options_of_hosts_are_given_together():
    with pytest.raises(InputError, match="given together"):
        TrainConfig(coordinator="a:1")
    with pytest.raises(InputError, match=r"less than num_hosts \(2\), got 2"):
        TrainConfig(coordinator="a:1", num_hosts=2, host_id=2)
    with pytest.raises(InputError, match="HOST:PORT, got 'a'"):
        TrainConfig(coordinator="a", num_hosts=2, host_id=0)


@pytest.mark.parametrize(
    ("backend", "tasks", "missing", "expected"),
    [
        ("jax", "2", None, True),
        ("jax", "1", None, False),  # a batch script without srun
        ("jax", "2", "SLURM_PROCID", False),  # an interactive shell of a job
        ("tensorflow", "2", None, False),
    ],
)
def test_tasks_of_slurm_are_hosts(monkeypatch, backend, tasks, missing, expected):
    monkeypatch.setattr("keras.config.backend", lambda: backend)
    for name in hosts.SLURM:
        monkeypatch.setenv(name, tasks)
    if missing:
        monkeypatch.delenv(missing)
    assert hosts.on_slurm() == expected


def test_a_signal_to_one_of_several_hosts_counts_once_they_agree(monkeypatch):
    monkeypatch.setattr(hosts, "count", lambda: 2)
    monkeypatch.setattr(hosts, "gathered", lambda value: [value, False])
    stop = Stop()
    stop.saved = "saved"
    stop.ask()  # the other host knows nothing yet
    assert not stop.asked
    stop.agree()
    with pytest.raises(Stopped, match="saved"):
        stop.ask()


def test_a_lost_host_is_one_sentence(monkeypatch):
    """JAX reports a broken connection as a ValueError, seen when a host was killed."""
    pytest.importorskip("jax")
    monkeypatch.setattr(hosts, "count", lambda: 2)
    monkeypatch.setattr(hosts, "is_first", lambda: True)
    monkeypatch.setattr(hosts, "leave_at_exit", lambda: None)
    lost = ValueError("UNKNOWN: Gloo AllGather failed: Connection closed by peer.\nmore")
    words = r"lost.*closed by peer\. Start all hosts again with resume\.$"
    with pytest.raises(InputError, match=words), hosts.joined(TrainConfig()):
        raise lost
    with pytest.raises(ValueError, match="other"), hosts.joined(TrainConfig()):
        raise ValueError("other")


def start(folder, run, data, *more):
    """Start a training of its own process, with JAX."""
    command = [sys.executable, "-m", "keras_retinanet.bin.train", *OPTIONS, *more]
    command += ["--snapshot-path", str(folder), "--run", run]
    command += ["csv", str(data / "train.csv"), "--val-annotations", str(data / "val.csv")]
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, **pipe, env={**os.environ, "KERAS_BACKEND": "jax"})


def finish(*processes):
    for process in processes:
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 0, output[-2000:]


def rows_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_synthetic(tmp_path_factory.mktemp("data"), train=8, val=4, size=64)


@pytest.fixture(scope="module")
def expected(data, tmp_path_factory):
    """The rows of a training on one host."""
    pytest.importorskip("jax")
    folder = tmp_path_factory.mktemp("expected")
    finish(start(folder, "one", data))
    return rows_of(folder / "one")


def check(rows, expected):
    assert len(rows) == len(expected) == 4
    losses = [row["loss"] for row in expected]
    assert [row["loss"] for row in rows] == pytest.approx(losses, rel=1e-4)
    assert rows[-1]["AP"] == pytest.approx(expected[-1]["AP"], abs=1e-4)


@pytest.mark.slow
def test_two_hosts_have_the_losses_and_the_ap_of_one(data, expected, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    named = ["--coordinator", address, "--num-hosts", "2", "--host-id"]
    finish(*[start(tmp_path, "two", data, *named, str(host)) for host in (0, 1)])
    check(rows_of(tmp_path / "two"), expected)


# In a process of its own: Ray forks, which can hang where other tests have left threads.
WITH_RAY = """
import json, sys
import ray
from keras_retinanet.training.ray import train

ray.init(num_cpus=2, include_dashboard=False)
train(2, **json.loads(sys.argv[1]))
"""


@pytest.mark.slow
def test_two_workers_of_ray_have_the_losses_and_the_ap_of_one_host(data, expected, tmp_path):
    pytest.importorskip("ray.train")
    options = dict(option.removeprefix("--").split("=") for option in OPTIONS if "=" in option)
    options = {name.replace("-", "_"): value for name, value in options.items()}
    options |= {"data": str(data / "train.csv"), "val": str(data / "val.csv"), "kind": "csv"}
    options |= {"no_weights": True, "snapshot_path": str(tmp_path), "run": "ray"}
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    command = [sys.executable, "-c", WITH_RAY, json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    check(rows_of(tmp_path / "ray"), expected)


def test_options_are_checked_before_ray_starts():
    pytest.importorskip("ray.train")
    from keras_retinanet.training.ray import train

    with pytest.raises(InputError, match="epochs must be"):
        train(2, "boxes.csv", epochs=0)
