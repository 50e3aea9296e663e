"""Signals that end a training after a save instead of at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from . import hosts

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
)


class Stopped(KeyboardInterrupt):
    """A training that a signal ended after it was saved."""


class Stop:
    """Whether a signal has asked a training to end.

    Attributes:
        heard: True once the signal has come to this host.
        asked: True once all hosts know of it.
        saved: what to say if the training ends now, while its snapshot is up to date; else None.
    """

    def __init__(self) -> None:
        self.heard = False
        self.asked = False
        self.saved: str | None = None

    def ask(self) -> None:
        """End the training now if it is saved, else once it is."""
        self.note()
        if self.asked and self.saved is not None:
            raise Stopped(self.saved)

    def note(self) -> None:
        """End the training once it is saved, and with several hosts once they `agree`."""
        self.heard = True
        self.asked = self.asked or hosts.count() == 1

    def agree(self) -> None:
        """Let a signal to any host end the training on all; all hosts call this at one step."""
        self.asked = self.asked or any(hosts.gathered(self.heard))


@contextlib.contextmanager
def stopping() -> Iterator[Stop]:
    """Yield a `Stop` that the first signal asks; a second signal acts as it did before the block.

    Outside the main thread, which alone hears signals, nothing changes.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    earlier: dict[int, Any] = {}

    def restore() -> None:
        while earlier:
            signal.signal(*earlier.popitem())

    def ask(number: int, frame: FrameType | None) -> None:
        restore()
        stop.ask()

    for number in SIGNALS:
        held = signal.getsignal(number)
        if held not in (signal.SIG_IGN, None):  # None: set by other code than Python's
            earlier[number] = held
            signal.signal(number, ask)
    try:
        yield stop
    finally:
        restore()
