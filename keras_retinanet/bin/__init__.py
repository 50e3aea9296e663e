"""The commands. Ctrl-C prints one line, also while Python imports or ends one of them."""

import os
import signal
import sys


def _command() -> str | None:
    """Return the name of the command that this process runs, None if it runs another program."""
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    if name == "-m":  # while Python looks for the module
        modules = [arg for arg in sys.orig_argv if arg.startswith(f"{__name__}.")]
        name = modules[0].replace(f"{__name__}.", "retinanet-").replace("_", "-") if modules else ""
    return name if name.startswith("retinanet-") else None


def _stop(signum: int, _: object) -> None:
    """Leave at once: nothing has been opened yet, or everything is closed again."""
    os.write(2, f"\n{COMMAND}: stopped\n".encode())
    os._exit(128 + signum)


COMMAND = _command()
if COMMAND and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _stop)
