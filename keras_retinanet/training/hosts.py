"""Several hosts that train one model through JAX's distributed runtime.

All hosts run the same program. Each loads its rows of a batch and detects in its share of the
images to evaluate on; the first host alone writes and prints.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from ..detections import Detections
from ..errors import InputError
from ..models import RetinaNet
from ..preprocessing.dataset import Dataset
from .config import TrainConfig
from .devices import hosts_count

HEARTBEAT = 30  # seconds without a sign of life after which a host is lost
REPORTING = 3600  # seconds that the others wait for the first one's report at the end
STEPS = 10  # between two steps at which the hosts agree if a signal has come
SLURM = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID")


def count() -> int:
    """Return the number of hosts, 1 unless they have been joined."""
    return hosts_count()


def index() -> int:
    """Return the number of this host, 0 for the first."""
    if count() == 1:
        return 0
    import jax

    return jax.process_index()


def is_first() -> bool:
    """Return True on the host that writes and prints."""
    return index() == 0


def on_slurm() -> bool:
    """Return True in one of several tasks that `srun` started, with Keras on JAX."""
    if keras.config.backend() != "jax" or not all(name in os.environ for name in SLURM):
        return False
    return int(os.environ["SLURM_NTASKS"]) > 1


def join(config: TrainConfig) -> None:
    """Join the hosts of `config`, or of this step of Slurm, unless they are already.

    Raises:
        InputError: for another backend, or hosts that do not answer.
    """
    if count() > 1 or not (config.coordinator or on_slurm()):
        return
    if keras.config.backend() != "jax":
        raise InputError(
            f"coordinator needs KERAS_BACKEND=jax, not {keras.config.backend()}: Keras trains on "
            "several hosts with JAX only."
        )
    import jax

    named: dict[str, Any] = {}
    if config.coordinator:
        named = {
            "coordinator_address": config.coordinator,
            "num_processes": config.num_hosts,
            "process_id": config.host_id,
            "cluster_detection_method": "deactivate",
        }
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            **named, heartbeat_timeout_seconds=HEARTBEAT, shutdown_timeout_seconds=REPORTING
        )
    except (RuntimeError, ValueError) as error:
        raise InputError(f"The hosts cannot be joined: {first_line(error)}.") from None


@contextlib.contextmanager
def joined(config: TrainConfig) -> Iterator[None]:
    """Join the hosts for the block, and keep all but the first from printing.

    An error on one host ends its process at once, and so the others'.

    Raises:
        InputError: a host was lost.
    """
    join(config)
    if count() == 1:
        yield
        return
    import jax

    try:
        with contextlib.ExitStack() as stack:
            if not is_first():
                nowhere = stack.enter_context(open(os.devnull, "w"))
                stack.enter_context(contextlib.redirect_stdout(nowhere))
            yield
    except Exception as error:
        leave_at_exit()
        lost = isinstance(error, jax.errors.JaxRuntimeError) or "Gloo" in str(error)
        if not lost or isinstance(error, InputError):
            raise
        raise InputError(
            f"Another host was lost, or the connection to it: {first_line(error)}. Start all hosts "
            "again with resume."
        ) from None


def leave_at_exit() -> None:
    """End this process without waiting for the other hosts, which JAX would do at its exit."""

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(2)

    atexit.register(leave)


def first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200].rstrip(".")


def gathered(value: Any) -> list:
    """Return the values of all hosts, in their order. All hosts must call this."""
    if count() == 1:
        return [value]
    from jax.experimental.multihost_utils import process_allgather

    data = np.frombuffer(pickle.dumps(value), "uint8")
    sizes = process_allgather(np.array([len(data)], "int32"))[:, 0]  # (hosts,)
    rows = process_allgather(np.pad(data, (0, int(sizes.max()) - len(data))))  # (hosts, most)
    return [pickle.loads(row[:size].tobytes()) for row, size in zip(rows, sizes, strict=True)]


def from_first(make: Callable[[], Any]) -> Any:
    """Return on all hosts what the first one makes. Raises its InputError on all."""
    value = error = None
    if is_first():
        try:
            value = make()
        except InputError as raised:
            error = raised
    value, error = gathered((value, error))[0]
    if error is not None:
        raise error
    return value


def shared(
    detect: Callable[[Dataset], tuple[Dataset, list[Detections]]], dataset: Dataset
) -> tuple[Dataset, list[Detections]]:
    """Return what `detect` returns for a data set, of which each host detects in every N-th image.

    `Detections.index` is the row of the image in `dataset`.
    """
    if count() == 1:
        return detect(dataset)
    _, mine = detect(replace(dataset, records=dataset.records[index() :: count()]))
    rows = [replace(found, index=found.index * count() + index()) for found in mine]
    found = sorted((each for part in gathered(rows) for each in part), key=lambda each: each.index)
    return replace(dataset, records=[dataset.records[each.index] for each in found]), found


@contextlib.contextmanager
def own_devices() -> Iterator[None]:
    """Place variables on the first device of this host in the block, instead of on all hosts."""
    if count() == 1:
        yield
        return
    import jax

    before = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        with jax.default_device(jax.local_devices()[0]):
            yield
    finally:
        keras.distribution.set_distribution(before)


def own_copy(model: RetinaNet) -> RetinaNet:
    """Return a copy, among `own_devices`, that this host runs without the others.

    That is `model` itself on a single host.
    """
    if count() == 1:
        return model
    return type(model).from_config(model.get_config())


def copy_weights(copy: RetinaNet, model: RetinaNet) -> None:
    """Give an `own_copy` the weights of the model, among `own_devices`."""
    if copy is not model:
        copy.set_weights([np.asarray(weight.value) for weight in model.weights])
