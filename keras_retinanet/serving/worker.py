"""A model in a separate process, so that a crash loses no request."""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from ..engines import Engine, Outputs, open_engine
from ..errors import InputError
from ..utils.terminal import silenced

RETRIES = 2  # new processes for one batch


class WorkerEngine(Engine):
    """An engine that runs in another process, and restarts the process if it dies.

    Args:
        path: the path of the model file.
        **settings: arguments of `engines.open_engine`.

    Raises:
        InputError: if the file cannot be loaded.
    """

    def __init__(self, path: str | os.PathLike, **settings: Any) -> None:
        self.arguments = (os.fspath(path), settings)
        self.restarts = 0
        self.lock = threading.Lock()
        self.start()

    def start(self) -> None:
        """Start the process, and wait until it has loaded the model."""
        context = multiprocessing.get_context("spawn")  # a fork would share the server's threads
        self.connection, other = context.Pipe()
        self.process = context.Process(target=work, args=(other, *self.arguments), daemon=True)
        self.process.start()
        other.close()
        try:
            loaded = self.connection.recv()
        except EOFError:
            raise InputError(f"{self.arguments[0]}: the process that loads it died.") from None
        if isinstance(loaded, InputError):
            raise loaded
        self.name, self.info = loaded

    def __call__(self, images: np.ndarray) -> Outputs:
        with self.lock:
            for _ in range(RETRIES):
                try:
                    return self.ask(images)
                except (EOFError, OSError):  # the process died
                    self.close()
                    self.restarts += 1
                    self.start()
            return self.ask(images)

    def ask(self, images: np.ndarray) -> Outputs:
        """Send a batch to the process, and return its results or raise its error."""
        self.connection.send(images)
        found = self.connection.recv()
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        """End the process."""
        self.connection.close()
        self.process.terminate()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process.close()


def work(connection: Connection, path: str, settings: dict[str, Any]) -> None:
    """Load a model, and run the batches that come through a connection until it closes."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which closes this
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with silenced():
            engine = open_engine(path, **settings)
    except InputError as error:
        connection.send(error)
        return
    connection.send((engine.name, engine.info))
    while True:
        try:
            images = connection.recv()
        except EOFError:
            return
        try:
            connection.send(engine(images))
        except Exception as error:
            connection.send(RuntimeError(f"{type(error).__name__}: {error}"[:1000]))
