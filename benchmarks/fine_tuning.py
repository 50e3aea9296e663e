"""Fine-tuning: how soon playing cards are learnt, from nothing, from ImageNet, from a detector.

    python benchmarks/fine_tuning.py BCCD IMAGES mobilenet_2_5_224_tf_no_top.h5 --output /tmp/tuned

BCCD is as for bccd.py, IMAGES as for playing_cards.py. A detector that starts from ImageNet learns
blood cells and sees no card; then the same model learns the cards three times, alike but for its
start and the learning rate that goes with it, evaluated on the test images after every epoch.

On 2 cores, seed 0: AP50 0.5 after 375 steps from the detector, after 825 from ImageNet's backbone;
from nothing AP50 is 0.258 at best in 1800 steps. The whole table is in docs/fine_tuning.md.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from commands import run

SIZES = "--image-min-side 256 --image-max-side 320 --batch-size 4 --box-loss giou"
MODEL = "--backbone mobilenet224_0.25 --feature-size 64 --head-depth 2"
LEVELS = {"AP50": (0.2, 0.3, 0.5), "AP": (0.3, 0.4)}  # to be reached
EPOCH = re.compile(r"AP ([\d.]+)  AP50 ([\d.]+)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bccd", type=Path)
    parser.add_argument("cards", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--output", type=Path, default=Path("fine_tuning"))
    parser.add_argument("--source-epochs", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    detector = args.output / "mobilenet224_0.25_pascal_last.keras"
    if not detector.exists():
        run(
            "train", *MODEL.split(), *SIZES.split(), "--weights", args.weights,
            "--augment", "vertical_flip", "--epochs", args.source_epochs, "--seed", args.seed,
            "--no-evaluation", "--snapshot-path", args.output, "pascal", args.bccd,
        )  # fmt: skip
    starts = {
        "nothing (`--no-weights`)": [*MODEL.split(), "--no-weights"],
        "ImageNet's backbone": [*MODEL.split(), "--weights", args.weights],
        "a detector of blood cells": ["--weights", detector],
    }
    columns = [f"steps to {name} {value}" for name, values in LEVELS.items() for value in values]
    rows = [["start from", *columns, "best AP", "best AP50"]]
    for number, (start, options) in enumerate(starts.items()):
        log = args.output / f"start_{number}_seed_{args.seed}.log"
        rows.append([start, *told(*learnt(args, options, log))])
    rows.insert(1, ["---"] * len(rows[0]))
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))


def learnt(args, options, log):
    """(steps to an epoch, {figure: its value after each epoch}) of a training, from its log."""
    if not log.exists():
        command = [
            sys.executable, "-m", "keras_retinanet.bin.train", *options, *SIZES.split(),
            "--epochs", args.epochs, "--seed", args.seed, "--no-snapshots",
            "csv", args.cards / "train_labels.csv",
            "--val-annotations", args.cards / "test_labels.csv",
        ]  # fmt: skip
        print("$", *command[1:], flush=True)
        unfinished = log.with_suffix(".unfinished")
        with unfinished.open("w") as file:
            subprocess.run([str(word) for word in command], stdout=file, check=True)
        unfinished.rename(log)
    text = log.read_text()
    figures = zip(*EPOCH.findall(text), strict=True)
    steps = int(re.search(r"Epoch 1/.*?\b1/(\d+)", text, re.DOTALL)[1])
    return steps, {
        name: [float(value) for value in values]
        for name, values in zip(("AP", "AP50"), figures, strict=True)
    }


def told(steps, figures):
    """The cells of a row: the steps after which each level was reached first, and the best."""
    cells = []
    for name, values in LEVELS.items():
        for value in values:
            epochs = [epoch for epoch, got in enumerate(figures[name], start=1) if got >= value]
            cells.append(str(epochs[0] * steps) if epochs else "-")
    return [*cells, *(f"{max(figures[name]):.3f}" for name in ("AP", "AP50"))]


if __name__ == "__main__":
    main()
