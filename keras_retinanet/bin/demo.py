"""Train and detect on synthetic data: `python -m keras_retinanet.bin.demo`."""

from __future__ import annotations

import argparse
import glob
import os
import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from ..options import COUNT
from . import convert_model, detect, evaluate, train
from .arguments import number
from .cli import user_errors

ANCHORS = """\
[anchor_parameters]
sizes = 16 32 64 128
strides = 8 16 32 64
ratios = 1
scales = 1 1.26 1.587

[pyramid_levels]
levels = 3 4 5 6
"""
SIZE = 256  # px, of the images and of the model's input


def parse_args(args: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m keras_retinanet.bin.demo",
        description="Draw a data set, train a small RetinaNet on it from scratch, evaluate, "
        "convert and detect.",
    )
    for flag, default, text in (
        ("--images", 800, "images to train on"),
        ("--held-out", 150, "images to evaluate on"),
        ("--epochs", 8, "epochs"),
    ):
        help = f"{text} (%(default)s)"
        parser.add_argument(flag, type=number(int, COUNT), default=default, metavar="N", help=help)
    parser.add_argument(
        "--output", default="demo", metavar="DIR", help="folder to write into (%(default)s)"
    )
    return parser.parse_args(args)


def run(args: argparse.Namespace) -> None:
    from ..evaluation.report import write_json
    from ..synthetic import write_synthetic

    folder, seconds = args.output, {}

    def path(*parts: str) -> str:
        return os.path.join(folder, *parts)

    def step(name: str, function: Callable, *arguments: object) -> Any:
        print(f"\n{name}", flush=True)
        start = time.perf_counter()
        result = function(*arguments)
        seconds[name] = round(time.perf_counter() - start, 1)
        return result

    def command(module: ModuleType, *arguments: object) -> Any:
        return module.run(module.parse_args([str(argument) for argument in arguments]))

    data = [path("data", "train.csv"), path("data", "classes.csv")]
    held_out = [path("data", "val.csv"), path("data", "classes.csv")]
    snapshot, model = path("snapshots", "balls", "last.keras"), path("detector.keras")
    step("draw", write_synthetic, path("data"), args.images, args.held_out, SIZE)
    with open(path("anchors.ini"), "w", encoding="utf-8") as file:
        file.write(ANCHORS)
    step(
        "train", command, train,
        "--no-weights", "--backbone", "resnet10_0.25", "--config", path("anchors.ini"),
        "--feature-size", 64, "--head-depth", 1, "--box-loss", "giou",
        "--batch-size", 4, "--epochs", args.epochs, "--augmentation", "light",
        "--image-min-side", SIZE, "--image-max-side", SIZE,
        "--snapshot-path", path("snapshots"), "--run", "balls", "--no-evaluation", "csv", *data,
    )  # fmt: skip
    step("convert", command, convert_model, snapshot, model)
    metrics = step(
        "evaluate", command, evaluate, "--batch-size", 8,
        "--detections", path("detections.json"), "--ground-truth", path("ground_truth.json"),
        "csv", *held_out, model,
    )  # fmt: skip
    images = sorted(glob.glob(path("data", "images", "val", "*")))[:12]
    step("detect", command, detect, model, *images, "--output", path("found"))
    figures = {"AP": metrics["AP"], "AP50": metrics["AP50"], "seconds": seconds}
    write_json(path("metrics.json"), figures)
    print(
        f"\nAP50 {metrics['AP50']:.3f}, AP {metrics['AP']:.3f} on {args.held_out} held-out images "
        f"after {sum(seconds.values()):.0f} s; look at {path('found')}"
    )


def main(args: Sequence[str] | None = None) -> None:
    with user_errors("demo"):
        run(parse_args(sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
