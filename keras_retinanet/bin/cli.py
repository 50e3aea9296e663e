"""Helpers of the commands: errors as one sentence, checks of outputs, starting the backend."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from ..errors import InputError
from ..utils.outputs import check_outputs
from ..utils.terminal import one_line, paint, silenced

ANNOTATIONS = (".csv", ".txt", ".xml", ".yaml", ".yml")  # and .json


@contextlib.contextmanager
def user_errors(program: str) -> Iterator[None]:
    """Turn an InputError or OSError into one sentence and exit status 2, a warning into one line,
    and Ctrl-C or SIGTERM into one line and the exit status of the signal.
    """

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        if issubclass(category, UserWarning):
            say("warning", message)

    def say(tone: str, message: object) -> None:
        label = paint(f"{tone}:", tone, sys.stderr)
        print(f"{program}: {label} {one_line(message)}", file=sys.stderr, flush=True)

    for stream in (sys.stdout, sys.stderr):  # a character from a file never stops a command
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings(), interruptible():
        warnings.showwarning = show
        try:
            yield
        except InputError as error:
            say("error", error)
            sys.exit(2)
        except BrokenPipeError:  # the reader of the output, such as `head`, has closed it
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except OSError as error:
            if error.errno is None:
                raise
            where = "" if error.filename is None else f"{error.filename}: "
            say("error", f"{where}{error.strerror}")
            sys.exit(2)
        except KeyboardInterrupt as stop:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            print(f"\n{program}: stopped", file=sys.stderr)
            leave(*stop.args or (128 + signal.SIGINT,))


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt inside the block at SIGTERM too, with the exit status as argument."""

    def terminate(signum: int, _: object) -> None:
        raise KeyboardInterrupt(128 + signum)

    if threading.current_thread() is not threading.main_thread():  # only that one gets signals
        yield
        return
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: terminate}
    # a background job of a script ignores Ctrl-C, and must go on ignoring it
    earlier = {each: signal.getsignal(each) for each in handlers}
    earlier = {each: old for each, old in earlier.items() if old not in (signal.SIG_IGN, None)}
    try:
        for each in earlier:
            signal.signal(each, handlers[each])
        yield
    finally:
        for each, old in earlier.items():
            signal.signal(each, old)


def leave(status: int) -> NoReturn:
    """End the process without Python's shutdown, during which TensorFlow's threads print errors."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def check_folder(path: str | os.PathLike) -> None:
    """Make a folder to write into; raise an InputError if that is impossible."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {path} cannot be created: {error.strerror}.") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise InputError(f"{path} cannot be written to; choose another folder.")


def check_output_options(
    args: argparse.Namespace,
    *names: str,
    inputs: Iterable[str | os.PathLike] = (),
    more: Mapping[str, Iterable[str]] | None = None,
) -> None:
    """Check that the options of these names can be written without losing an input.

    Args:
        names: arguments that name files to write. Files that other arguments name are inputs, and
            so are the annotation files of splits that are not read.
        inputs: further files that are read.
        more: {option: further files that it writes}.

    Raises:
        InputError: see `check_outputs`.
    """
    outputs = {f"--{name.replace('_', '-')}": getattr(args, name) for name in names}
    outputs = {option: [path] for option, path in outputs.items() if path is not None}
    others = [value for name, value in vars(args).items() if name not in names]
    named = [path for value in others for path in (value if isinstance(value, list) else [value])]
    files = [path for path in named if isinstance(path, str) and os.path.isfile(path)]
    data = getattr(args, "path", None)
    files += [path for (path,) in outputs.values() if _may_be_data(path, data)]
    check_outputs({**outputs, **(more or {})}, [*files, *inputs])


def _may_be_data(path: str, data: str | None) -> bool:
    """Return True if a file may hold annotations, and is not the output of an earlier command.

    Args:
        data: the data set's folder or file. A JSON file outside its folder counts as earlier
            output.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix != ".json":
        return suffix in ANNOTATIONS
    if data is None or not os.path.isdir(data):
        return False
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(data))


def choose_gpu(gpu: str | None) -> None:
    """Make only the device of `--gpu` visible, if one is named."""
    if gpu is not None:
        from ..utils.gpu import setup_gpu

        setup_gpu(gpu)


def start_backend() -> None:
    """Import Keras without the messages of the backend's libraries."""
    with silenced():
        import keras  # noqa: F401
