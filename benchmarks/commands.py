"""Run the commands of the package as a user does, and time them."""

import subprocess
import sys
import time


def run(name, *arguments):
    """Run `python -m keras_retinanet.bin.<name>` with these arguments, and return its seconds."""
    command = [sys.executable, "-m", f"keras_retinanet.bin.{name}", *map(str, arguments)]
    print("$", " ".join(command[1:]), flush=True)
    start = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - start
