"""Count the steps to learn playing cards from scratch, from ImageNet and from a detector.

    python benchmarks/fine_tuning.py BCCD IMAGES mobilenet_2_5_224_tf_no_top.h5 --output /tmp/tuned

BCCD is the folder for bccd.py, IMAGES the one for playing_cards.py. A detector learns blood cells,
from ImageNet weights and without cards. Then the same model learns the cards from each of the three
starts, with the learning rate of the start, and is evaluated on the test images after each epoch.

With seed 0: AP50 0.5 after 375 steps from the detector, after 825 from ImageNet's backbone; from
scratch AP50 is 0.258 at best in 1800 steps. docs/fine_tuning.md has the whole table.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from commands import run

SIZES = "--image-min-side 256 --image-max-side 320 --batch-size 4 --box-loss giou"
MODEL = "--backbone mobilenet224_0.25 --feature-size 64 --head-depth 2"
LEVELS = {"AP50": (0.2, 0.3, 0.5), "AP": (0.3, 0.4)}  # whose steps are counted
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
    detector = args.output / "source" / "last.keras"
    if not detector.exists():
        run(
            "train", *MODEL.split(), *SIZES.split(), "--weights", args.weights,
            "--augment", "vertical_flip", "--epochs", args.source_epochs, "--seed", args.seed,
            "--no-evaluation", "--snapshot-path", args.output, "--run", "source",
            "pascal", args.bccd,
        )  # fmt: skip
    starts = {
        "nothing (`--no-weights`)": [*MODEL.split(), "--no-weights"],
        "ImageNet's backbone": [*MODEL.split(), "--weights", args.weights],
        "a detector of blood cells": ["--weights", detector],
    }
    columns = [f"steps to {name} {value}" for name, values in LEVELS.items() for value in values]
    rows = [["start", *columns, "best AP", "best AP50"]]
    for number, (start, options) in enumerate(starts.items()):
        log = args.output / f"start_{number}_seed_{args.seed}.log"
        rows.append([start, *cells(*learn(args, options, log))])
    rows.insert(1, ["---"] * len(rows[0]))
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))


def learn(args, options, log):
    """Train unless the log exists; return the steps of an epoch and {figure: [one per epoch]}."""
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


def cells(steps, figures):
    """Return the cells of a row: the steps to each level, and the best figures."""
    row = []
    for name, values in LEVELS.items():
        for value in values:
            epochs = [epoch for epoch, got in enumerate(figures[name], start=1) if got >= value]
            row.append(str(epochs[0] * steps) if epochs else "-")
    return [*row, *(f"{max(figures[name]):.3f}" for name in ("AP", "AP50"))]


if __name__ == "__main__":
    main()
