"""What a run was started with: recorded in its folder, and read again to resume it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping

from .. import __version__
from ..errors import InputError
from ..options import read_options
from ..utils.outputs import write_text
from ..utils.terminal import logged
from .config import TrainConfig
from .environment import environment
from .run_folder import RunFolder, locked

HOSTS = ("coordinator", "num_hosts", "host_id")


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What a run was started with.

    Attributes:
        data: `TrainingData.described()`, None for data sets in memory.
        fingerprints: of the data to train and to evaluate on.
        given: the names of the options that the user gave.
    """

    data: dict | None
    fingerprints: list[str | None]
    config: TrainConfig
    given: list[str]


def write_arguments(folder: RunFolder, arguments: Arguments) -> None:
    held = {**dataclasses.asdict(arguments), "version": __version__}
    for name in ("weights", "config", "snapshot"):  # files
        path = held["config"][name]
        held["config"][name] = path and os.path.abspath(path)
    for name in HOSTS:  # of this start only
        held["config"][name] = None
    write_text(folder.arguments, json.dumps(held, indent=2) + "\n")


def read_arguments(folder: RunFolder) -> Arguments:
    """Return what a run was started with.

    Raises:
        InputError: the folder does not belong to a run.
    """
    try:
        with open(folder.arguments, encoding="utf-8") as file:
            held = json.load(file)
        config = TrainConfig(**read_options(TrainConfig, held["config"]))
        return Arguments(held["data"], held["fingerprints"], config, held["given"])
    except FileNotFoundError:
        raise InputError(
            f"{folder.path} is not the folder of a run: it has no arguments.json."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder.arguments} cannot be read: {error}.") from None


def changed(
    held: Arguments, options: Mapping[str, object], may_change: Collection[str], path: str
) -> Arguments:
    """Return the arguments of a run with some options changed.

    Raises:
        InputError: an option that is not in `may_change` differs from the run's.
    """
    asked = read_options(TrainConfig, dict(options))
    for name, value in asked.items():
        before = getattr(held.config, name)
        if value != before and name not in may_change:
            raise InputError(
                f"{name} is {before} in {path}, got {value}. A resumed run may only change "
                f"{', '.join(may_change)}."
            )
    config = dataclasses.replace(held.config, **asked)
    return dataclasses.replace(held, config=config)


def resumed(config: TrainConfig, folder: RunFolder) -> TrainConfig:
    """Return the options that go on from the last snapshot, or start again if there is none."""
    if not os.path.exists(folder.last):
        return config
    return dataclasses.replace(
        config,
        snapshot=folder.last,
        weights=None,
        no_weights=False,
        imagenet_weights=False,
        config=None,
        preflight=False,  # it was done when the run began, and so were the anchors
        fit_anchors=False,
    )


def check_unchanged(before: list[str | None], after: list[str | None], folder: RunFolder) -> None:
    """Raise an InputError if the data of a resumed run are not those it began with."""
    for name, one, other in zip(("training", "validation"), before, after, strict=True):
        if one != other:
            raise InputError(
                f"The {name} data have changed since {folder.path} began. Restore them, or start "
                f"another run from its weights with snapshot {folder.last}."
            )


@contextlib.contextmanager
def recording(folder: RunFolder | None, arguments: Arguments) -> Iterator[None]:
    """Lock a run's folder, write its arguments and environment, and copy what is printed to its
    log. Does nothing without a folder.

    A new folder is removed again if an InputError ends the run before anything else is in it.
    """
    if folder is None:
        yield
        return
    with locked(folder):
        before = os.listdir(folder.path)
        write_arguments(folder, arguments)
        write_text(folder.environment, json.dumps(environment(), indent=2) + "\n")
        try:
            with logged(folder.log):
                yield
        except InputError:
            written = {".lock", "arguments.json", "environment.json", "log.txt"}
            if before == [".lock"] and written >= set(os.listdir(folder.path)):
                shutil.rmtree(folder.path)
            raise
