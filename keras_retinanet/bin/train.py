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
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="go on with the training in this folder, with its arguments and data set; "
        "docs/training.md lists the few options that may be given beside it",
    )
    resuming = any(word == "--resume" or word.startswith("--resume=") for word in args)
    parsed = vars(parse_alone(parser, args) if resuming else parse_with_data(parser, args, "train"))
    given = {name: parsed.pop(name) for name in options_of(TrainConfig) if name in parsed}
    if resuming:
        return argparse.Namespace(**parsed, given=given)
    try:
        config = TrainConfig.of(**given)
    except InputError as error:
        parser.error(with_flags(str(error)))
    return argparse.Namespace(**parsed, **vars(config), given=frozenset(given))


def parse_alone(parser: argparse.ArgumentParser, args: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of a training that is resumed, which names no data set."""
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    parsed = parser.parse_args(args)
    if words := parsed.__dict__.pop("words"):
        parser.error(f"--resume trains on the data set of the run; remove {words[0]}.")
    return parsed


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
    from ..training.machine import suited

    return create_loaders(suited(config_of(args), train), train, val, model)


def create_callbacks(
    args: argparse.Namespace, model: RetinaNet, val: Dataset | None
) -> list[keras.callbacks.Callback]:
    """Return the callbacks of a training."""
    from ..training.callbacks import create_callbacks
    from ..training.config import BACKBONE
    from ..training.run_folder import folder_of

    config = config_of(args)
    words = [config.backbone or BACKBONE, args.dataset_type]
    folder = folder_of(config.snapshot_path, config.run, config.snapshot, words)
    return create_callbacks(config, model, val, folder if config.snapshots else None)


def run(args: argparse.Namespace) -> None:
    start_backend()
    from ..preprocessing.source import TrainingData
    from ..training.hosts import is_first
    from ..training.run import resume_run
    from ..training.run import run as train
    from ..training.stopping import Stopped

    try:
        with named_by_flags():
            if args.resume:
                trained = resume_run(args.resume, args.given)
            else:
                splits = args.train_split, args.val_split, args.val_annotations
                data = TrainingData(source_of(args), *splits)
                trained = train(config_of(args), args.given, data)
    except Stopped as stopped:
        print(f"\n{stopped}")
        return
    if trained.snapshots and trained.train and is_first():
        print("\n".join(["next:", *next_commands(trained)]))


def next_commands(trained: Trained) -> list[str]:
    """Return the commands that detect with and evaluate the best snapshot, else the last one."""
    from ..preprocessing.source import TrainingData

    snapshot = trained.snapshots[0]
    images = os.path.dirname((trained.val or trained.train).records[0].path) or "."
    held_out = ["DATASET"]
    if trained.val and isinstance(trained.data, TrainingData):
        held_out = evaluation_words(trained.data)
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
