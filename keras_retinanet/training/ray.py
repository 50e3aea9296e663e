"""Training on the machines of a Ray cluster, which Ray Train starts as its hosts."""

from __future__ import annotations

import importlib.util
import os
import socket
from typing import Any

from ..errors import InputError
from ..options import options_of
from .config import TrainConfig

PATHS = ("val", "images", "snapshot_path", "weights", "config", "snapshot")  # among the options


def train(workers: int, data: str, *, use_gpu: bool = False, **options: Any) -> None:
    """Train on several workers of a Ray cluster with JAX, each a host of the training.

    The run's folder in `snapshot_path` gets the snapshots; paths lie on storage that all machines
    share. Connects to the cluster of `ray.init`, or of RAY_ADDRESS, or starts one on this machine.

    Args:
        workers: the number of hosts.
        data: the path of a data set.
        use_gpu: give each worker a GPU.
        **options: as for `keras_retinanet.train`.

    Raises:
        InputError: for options that cannot be used, or if Ray is not installed.
        ray.train.TrainingFailedError: a worker failed.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError("Training with Ray needs Ray: pip install 'keras-retinanet[ray]'.")
    from ray.train.v2.api.config import ScalingConfig
    from ray.train.v2.jax import JaxTrainer

    known = options_of(TrainConfig)
    TrainConfig.of(**{name: value for name, value in options.items() if name in known})  # a check
    arguments = {"data": data, "snapshot_path": TrainConfig.snapshot_path, **options}
    for name in {"data", *PATHS} & arguments.keys():  # the workers run in another folder
        arguments[name] = os.path.abspath(arguments[name])
    scaling = ScalingConfig(num_workers=workers, use_gpu=use_gpu)
    JaxTrainer(train_as_host, train_loop_config=arguments, scaling_config=scaling).fit()


def train_as_host(arguments: dict[str, Any]) -> None:
    """Train as one of the hosts: what each worker does."""
    os.environ["KERAS_BACKEND"] = "jax"
    from ray.train import get_context
    from ray.train.collective import broadcast_from_rank_zero

    from .run import train as train_here

    context = get_context()
    train_here(
        **arguments,
        coordinator=broadcast_from_rank_zero(free_address()),
        num_hosts=context.get_world_size(),
        host_id=context.get_world_rank(),
    )


def free_address() -> str:
    """Return HOST:PORT of this machine, with a port that is free."""
    import ray

    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    return f"{ray.util.get_node_ip_address()}:{port}"
