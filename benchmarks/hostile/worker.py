"""A process that has imported a command's libraries and forks for each run of the command.

It reads a job of JSON on each line of its input, and answers with a line of JSON. A child calls the
command's `main`, with its output in files, and ends as Python usually does.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import tempfile
import time
import traceback
from pathlib import Path

LIGHT = ("doctor", "convert_dataset", "debug")  # commands that import no Keras
MODULES = {
    True: ("doctor.page", "doctor.repair", "doctor.checks", "preprocessing.writers",
           "preprocessing.source", "preprocessing.loader", "utils.visualization"),
    False: ("training.run", "detector", "weights.torchvision", "weights.backbone",
            "evaluation.coco", "preprocessing.source"),
}  # fmt: skip
POLL = 0.01  # s
MOST_OUTPUT = 10_000_000  # bytes


def main() -> None:
    light = sys.argv[1] == "light"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    for name in LIGHT if light else ("train", "evaluate", "detect", "convert_model"):
        importlib.import_module(f"keras_retinanet.bin.{name}")
    for name in MODULES[light]:
        importlib.import_module(f"keras_retinanet.{name}")
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if pid == 0:
            sys.exit(run(job))
        print(json.dumps(watch(pid, job)), flush=True)


def run(job: dict) -> int:
    """Call the command in its folder; return its exit status, 70 for any other exception."""
    folder = Path(job["folder"])
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        path = folder / name if descriptor else os.devnull
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), descriptor)
    for name in ("stdout", "stderr"):
        how = "strict" if name == "stdout" else "backslashreplace"
        getattr(sys, name).reconfigure(encoding=job["encoding"], errors=how)
    os.chdir(folder / "place" / "box")
    os.environ["TMPDIR"], tempfile.tempdir = str(folder / "place" / "tmp"), None
    try:
        command(job["command"])(job["argv"])
    except SystemExit as end:
        return end.code or 0
    except BaseException:
        traceback.print_exc()
        return 70
    return 0


def command(name: str):
    """Return the `main` of a command; of a training, `fit` only draws the first batch."""
    if name == "train":
        import keras

        keras.Model.fit = lambda self, x, **_: (next(iter(x)), keras.callbacks.History())[1]
    if name == "seeds":
        return write_models
    return importlib.import_module(f"keras_retinanet.bin.{name}").main


def write_models(argv: list[str]) -> None:
    """Write a training model and its inference model, the smallest ones."""
    from keras_retinanet.models import backbone, convert_model
    from keras_retinanet.parts import Design, Heads, Inputs, Pyramid
    from keras_retinanet.training.snapshots import save_whole

    design = Design(
        pyramid=Pyramid(width=4),
        heads=Heads(depth=0),
        inputs=Inputs(image_min_side=64, image_max_side=64),
    )
    model = backbone("mobilenet224_0.25").detector(["cat", "dog"], design=design)
    save_whole(model, argv[0])
    save_whole(convert_model(model), argv[1])


def watch(pid: int, job: dict) -> dict:
    """Wait for a child, and kill it at a limit of time, memory or output."""
    start, base, stopped = time.monotonic(), memory(pid), ""
    peak, output = base, [Path(job["folder"], name) for name in ("stdout", "stderr")]
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            break
        peak = max(peak, memory(pid))
        if time.monotonic() - start > job["seconds"]:
            stopped = "time"
        elif peak - base > job["memory"]:
            stopped = "memory"
        elif any(path.exists() and path.stat().st_size > MOST_OUTPUT for path in output):
            stopped = "output"
        if stopped:
            os.kill(pid, 9)
        time.sleep(POLL)
    return {
        "status": os.waitstatus_to_exitcode(status),
        "stopped": stopped,
        "seconds": time.monotonic() - start,
        "cpu": usage.ru_utime + usage.ru_stime,
        "memory": peak - base,
    }


def memory(pid: int) -> int:
    """Return the resident memory of a process in bytes, 0 if it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main()
