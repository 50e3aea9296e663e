"""Train a RetinaNet: `retinanet-train [options] DATASET ...`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import InputError
from ..options import options_of
from ..training.config import TrainConfig
from .arguments import add_config, named_by_flags, with_flags
from .cli import start_backend, user_errors
from .data_options import evaluation_words, parse_with_data, source_of

if TYPE_CHECKING:
    import keras

    from ..models import RetinaNet
    from ..preprocessing.dataset import Dataset
    from ..preprocessing.loader import Loader
    from ..training.run import Trained


def parse_args(args: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of the data set, every field of `TrainConfig`, and the names `given`."""
    parser = argparse.ArgumentParser(
        prog="retinanet-train",
        usage="%(prog)s [options] DATASET ...",
        description="Train a RetinaNet. The NAME of a loss, sampler, coder or assigner may have "
        "arguments: NAME:argument=value,argument=value, such as focal:gamma=1,alpha=0.5.",
        add_help=False,
        allow_abbrev=False,
    )
    add_config(parser, TrainConfig)
    parsed = vars(parse_with_data(parser, args, "train"))
    given = {name: parsed.pop(name) for name in options_of(TrainConfig) if name in parsed}
    try:
        config = TrainConfig.of(**given)
    except InputError as error:
        parser.error(with_flags(str(error)))
    return argparse.Namespace(**parsed, **vars(config), given=frozenset(given))


def config_of(args: argparse.Namespace) -> TrainConfig:
    """Return the options of a training among the arguments."""
    return TrainConfig(**{name: getattr(args, name) for name in options_of(TrainConfig)})


def create_models(args: argparse.Namespace, class_names: list[str]) -> tuple[RetinaNet, RetinaNet]:
    """Return the training model and its inference model."""
    from ..models import convert_model
    from ..training.building import build_model, usual_anchors
    from ..training.start import load_start, settle

    start = load_start(config_of(args))
    config, _ = settle(config_of(args), args.given, start)
    model = build_model(config, start, class_names, usual_anchors(config, start))
    return model, convert_model(model)


def create_generators(
    args: argparse.Namespace, train: Dataset, val: Dataset | None, model: RetinaNet
) -> tuple[Loader, Loader | None]:
    """Return the loaders of the batches that `model` trains on and is validated on."""
    from ..training.building import create_loaders

    return create_loaders(config_of(args), train, val, model)


def create_callbacks(
    args: argparse.Namespace, model: RetinaNet, val: Dataset | None
) -> list[keras.callbacks.Callback]:
    """Return the callbacks of a training."""
    from ..training.callbacks import create_callbacks
    from ..training.run import snapshot_prefix

    config = config_of(args)
    prefix = snapshot_prefix(config, args.dataset_type)
    return create_callbacks(config, model, val, prefix)


def run(args: argparse.Namespace) -> None:
    start_backend()
    from ..preprocessing.source import read_training
    from ..training.run import run as train
    from ..training.stopping import Stopped

    config = config_of(args)

    def read() -> tuple[Dataset, Dataset | None]:
        splits = args.train_split, args.val_split
        return read_training(source_of(args), *splits, args.val_annotations, config.wants_val)

    try:
        with named_by_flags():
            trained = train(config, args.given, read, args.dataset_type)
    except Stopped as stopped:
        print(f"\n{stopped} To resume, run the same command with --snapshot and this path.")
        return
    if trained.snapshots:
        print("\n".join(["next:", *next_commands(args, trained)]))


def next_commands(args: argparse.Namespace, trained: Trained) -> list[str]:
    """Return the commands that detect with and evaluate the best snapshot, else the last one."""
    snapshot = trained.snapshots[0]
    images = os.path.dirname((trained.val or trained.train).records[0].path) or "."
    held_out = evaluation_words(args) if trained.val else ["DATASET"]
    commands = [
        ["retinanet-detect", snapshot, images, "--output", "detections"],
        ["retinanet-evaluate", *held_out, snapshot],
    ]
    return [f"  {shlex.join(command)}" for command in commands]


def main(args: Sequence[str] | None = None) -> None:
    with user_errors("retinanet-train"):
        run(parse_args(sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
