"""Count the steps to learn playing cards from scratch, from ImageNet and from a detector.

    python benchmarks/fine_tuning.py BCCD IMAGES mobilenet_2_5_224_tf_no_top.h5 --output /tmp/tuned

BCCD is the folder for bccd.py, IMAGES the one for playing_cards.py. A detector learns blood cells,
from ImageNet weights and without cards. Then the same model learns the cards from each of the three
starts, with the learning rate of the start, and is evaluated on the test images after each epoch.

With seed 0: AP50 0.5 after 375 steps from the detector, after 825 from ImageNet's backbone; from
scratch AP50 is 0.258 at best in 1800 steps. docs/fine_tuning.md has the whole table.
"""

import argparse
import json
from pathlib import Path

from commands import run

SIZES = "--image-min-side 256 --image-max-side 320 --batch-size 4 --box-loss giou"
MODEL = "--backbone mobilenet224_0.25 --feature-size 64 --head-depth 2"
STEPS = 75  # in an epoch: the batches of 296 images
LEVELS = {"AP50": (0.2, 0.3, 0.5), "AP": (0.3, 0.4)}  # whose steps are counted


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
    rows = [["start", *columns, *(f"best {name}" for name in LEVELS)]]
    for number, (start, options) in enumerate(starts.items()):
        rows.append([start, *cells(learn(args, options, f"start_{number}_seed_{args.seed}"))])
    rows.insert(1, ["---"] * len(rows[0]))
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))


def learn(args, options, name):
    """Train unless it is done, and return {figure: [one per epoch]}."""
    figures = args.output / name / "metrics.jsonl"
    if not figures.exists():
        run(
            "train", *options, *SIZES.split(), "--epochs", args.epochs, "--steps", STEPS,
            "--seed", args.seed, "--snapshot-path", args.output, "--run", name,
            "csv", args.cards / "train_labels.csv",
            "--val-annotations", args.cards / "test_labels.csv",
        )  # fmt: skip
    rows = [json.loads(line) for line in figures.read_text().splitlines()]
    return {figure: [row[figure] for row in rows] for figure in LEVELS}


def cells(figures):
    """Return the cells of a row: the steps to each level, and the best figures."""
    row = []
    for name, values in LEVELS.items():
        for value in values:
            epochs = [epoch for epoch, got in enumerate(figures[name], start=1) if got >= value]
            row.append(str(epochs[0] * STEPS) if epochs else "-")
    return [*row, *(f"{max(figures[name]):.3f}" for name in LEVELS)]


if __name__ == "__main__":
    main()
