"""Kill a training at random moments, resume it each time, and compare it with one that was not.

    python benchmarks/resume.py [--kills 20] [--backbone efficientnetb0] [--options "--average 0.9"]

The data are synthetic, the model is small and has dropout if its backbone has, the rate falls on a
plateau, and the run saves every second. Prints one line for each kill, and the arrays that differ
in the end: weights and their averages, optimizer, and the lines of metrics.jsonl.
"""

import argparse
import random
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from keras_retinanet.synthetic import write_synthetic

EPOCHS = 6
MODEL = "--feature-size 16 --head-depth 1 --no-weights --reduce-lr-patience 1 --lr 0.002"
SIDES = "--image-min-side 64 --image-max-side 64 --batch-size 2 --accumulate 2 --augmentation light"
LONGEST = 8.0  # seconds that a run is left alone after its first epoch has begun


def command(args: argparse.Namespace, data: Path, folder: Path, resumed: bool) -> list[str]:
    """Return the training's command line."""
    words = [sys.executable, "-m", "keras_retinanet.bin.train"]
    if resumed:
        return [*words, "--resume", str(folder)]
    options = f"{MODEL} {SIDES} --epochs {EPOCHS} --backbone {args.backbone} --save-minutes 0.016"
    words += [*shlex.split(options), *shlex.split(args.options)]
    words += ["--snapshot-path", str(folder.parent), "--run", folder.name]
    return [*words, "csv", str(data / "train.csv"), "--val-annotations", str(data / "val.csv")]


def train(args: argparse.Namespace, data: Path, folder: Path, seconds: float | None) -> str | None:
    """Train, or resume, and return the output; None if the run was killed after `seconds`."""
    words = command(args, data, folder, (folder / "arguments.json").exists())
    log = folder.with_suffix(".log")
    with open(log, "ab") as file:
        begin = file.tell()
        process = subprocess.Popen(words, stdout=file, stderr=file)
    while process.poll() is None and seconds is not None:
        if re.search(rb"epoch +loss", log.read_bytes()[begin:]):
            time.sleep(seconds)
            process.send_signal(signal.Signals[f"SIG{args.signal}"])
            break
        time.sleep(0.05)
    status = process.wait()
    output = log.read_bytes()[begin:].decode(errors="replace")
    if status == 0 and "Stopped" not in output:
        return output
    if seconds is None:
        sys.exit(f"The training failed:\n{output}")
    return None


def arrays(folder: Path) -> dict[str, np.ndarray]:
    """Return the weights and the optimizer's variables of the last snapshot."""
    import keras

    import keras_retinanet.models  # noqa: F401  registers RetinaNet

    model = keras.saving.load_model(folder / "last.keras")
    weights = {f"weight {each.path}": np.asarray(each) for each in model.weights}
    held = {f"optimizer {each.path}": np.asarray(each) for each in model.optimizer.variables}
    return weights | held | {"best": np.asarray(model.progress["best"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--backbone", default="efficientnetb0")
    parser.add_argument("--options", default="", help="more options of retinanet-train")
    parser.add_argument("--signal", default="KILL", choices=("KILL", "TERM", "INT", "USR1"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as root:
        data = write_synthetic(Path(root, "data"), train=24, val=8, size=64)
        whole = Path(root, "whole")
        train(args, data, whole, None)
        expected, kills, differ = arrays(whole), 0, {}
        while kills < args.kills:
            torn = Path(root, f"torn{kills}")
            while kills < args.kills:
                seconds = chance.uniform(0, LONGEST)
                if train(args, data, torn, seconds) is not None:
                    break
                kills += 1
                print(f"kill {kills}: {seconds:.2f} s after the first epoch began", flush=True)
            else:
                train(args, data, torn, None)
            found = arrays(torn)
            differ |= {n: v for n, v in expected.items() if not np.array_equal(found[n], v)}
            one, other = ((each / "metrics.jsonl").read_text() for each in (whole, torn))
            differ |= {} if one == other else {"metrics.jsonl": other}
    print(f"{len(differ)} of {len(expected)} arrays differ after {kills} kills", *differ)
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()
