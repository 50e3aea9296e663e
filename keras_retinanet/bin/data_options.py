"""The data set on a command line: a path, or its kind and a path, and the options of the kind."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..preprocessing.splits import TEST_SPLITS, TRAIN_SPLITS, VAL_SPLITS
from ..utils.text import listed

if TYPE_CHECKING:
    from ..preprocessing.source import DataSource

Options = dict[tuple[str, ...], dict]  # {names: keywords of `add_argument`}

KINDS = {  # kind: its PATH
    "csv": "a CSV file of rows path,x1,y1,x2,y2,class, or with a header that names its columns",
    "coco": "a COCO folder, annotations/instances_SET.json and images/SET, or a JSON file",
    "pascal": "a Pascal VOC folder, Annotations, ImageSets/Main, JPEGImages, or one of XML files",
    "kitti": "a KITTI folder, training/label_2 and training/image_2",
    "oid": "an Open Images folder, SET-annotations-bbox.csv and images/SET",
    "yolo": "a YOLO data.yaml, or its folder",
    "labelme": "a folder of labelme's JSON files",
    "cvat": "an XML file of CVAT",
}
CLASSES_HELP = (
    "class file, rows name,id; by default the names in the training annotations, or in the model"
)
CLASSES: Options = {("--classes",): {"metavar": "FILE", "help": CLASSES_HELP}}

OF_ALL: Options = {
    ("--images", "--base-dir"): {
        "metavar": "DIR",
        "help": "folder of the images, if it is not the usual one",
    },
}
OF_KIND: dict[str, Options] = {
    "pascal": {
        **CLASSES,
        ("--image-extension",): {"default": ".jpg", "help": "tried first (%(default)s)"},
        ("--zero-based",): {
            "action": "store_true",
            "help": "coordinates count from 0: do not subtract 1, as for VOC",
        },
        ("--skip-difficult",): {
            "action": "store_true",
            "help": "leave out objects marked as difficult",
        },
        ("--skip-truncated",): {
            "action": "store_true",
            "help": "leave out objects marked as truncated",
        },
    },
    "kitti": CLASSES,
    "labelme": CLASSES,
    "cvat": CLASSES,
    "oid": {
        ("--version",): {"help": "such as v4; the file names are found without it"},
        ("--labels-filter",): {"metavar": "A,B", "help": "only these classes"},
        ("--parent-label",): {"metavar": "NAME", "help": "only this class and those below it"},
        ("--annotation-cache-dir",): {"help": argparse.SUPPRESS},
    },
}
OF_USE: dict[str, Options] = {
    "train": {
        ("--train-set",): {
            "metavar": "SET",
            "help": f"split to train on ({', '.join(TRAIN_SPLITS)})",
        },
        ("--val-set",): {
            "metavar": "SET",
            "help": f"split to evaluate on ({', '.join(VAL_SPLITS)})",
        },
        ("--val-annotations",): {
            "metavar": "PATH",
            "help": "evaluate on this data set of the same kind",
        },
    },
    "evaluate": {
        ("--set",): {"metavar": "SET", "help": f"split to evaluate on ({', '.join(TEST_SPLITS)})"},
    },
    "look": {
        ("--set",): {
            "metavar": "SET",
            "action": "append",
            "help": "split to read, may be repeated (all)",
        },
        ("--val-annotations",): {
            "metavar": "PATH",
            "help": "a further data set of the same kind",
        },
    },
}


def parse_with_data(
    parser: argparse.ArgumentParser,
    argv: Sequence[str],
    use: str,
    last: Mapping[str, dict] | None = None,
) -> argparse.Namespace:
    """Return the arguments of a command and of its data set.

    Options may be anywhere. The other arguments are [KIND] PATH, CLASSES after a csv PATH, and
    those of `last`.

    Args:
        parser: holds the options of the command, made with `add_help=False`.
        use: a key of `OF_USE`: "train" (a split to train on and one to evaluate on), "evaluate"
            (one split) or "look" (any splits, by default all).
        last: {name: keywords of `add_argument`} of the arguments that follow the data set.
    """
    known: Options = {}
    for kind in KINDS:
        known.update(options_of(kind, use))
    _add_words(parser)
    for names, keywords in known.items():
        keywords = {**keywords, "default": argparse.SUPPRESS, "help": argparse.SUPPRESS}
        parser.add_argument(*names, **keywords)
    args = parser.parse_intermixed_args(argv)
    words, wants_help = args.__dict__.pop("words"), args.__dict__.pop("wants_help")
    if wants_help:
        is_kind = words and words[0] in KINDS
        (_kind_parser(parser, words[0], use, last) if is_kind else parser).print_help()
        parser.exit()
    if not words:
        parser.error("the following arguments are required: DATASET")
    kind = words.pop(0) if words[0] in KINDS else _kind_of(parser, words[0])
    for names in known.keys() - options_of(kind, use).keys():
        if _dest(names) in args:
            parser.error(f"{names[0]} is not an option of {kind} data sets")
    args.dataset_type = kind
    args = _kind_parser(parser, kind, use, last).parse_args(words, args)
    if args.images is not None and not os.path.isdir(args.images):
        parser.error(f"--images: no such folder: {args.images!r}")
    return args


def options_of(kind: str, use: str) -> Options:
    """Return the options of a kind of data set for a use."""
    return {**OF_ALL, **OF_KIND.get(kind, {}), **OF_USE[use]}


def _dest(names: tuple[str, ...]) -> str:
    return names[0].removeprefix("--").replace("-", "_")


def _add_words(parser: argparse.ArgumentParser) -> None:
    """Add --help and the arguments that are no options to the parser of a command."""
    parser.add_argument("-h", "--help", dest="wants_help", action="store_true", help="show this")
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    kinds = [f"  {kind:8} {text}" for kind, text in KINDS.items()]
    parser.epilog = "\n".join(
        [
            "DATASET is a path, whose kind is recognised, or a kind and its arguments:",
            *kinds,
            f"{parser.prog} KIND --help lists the arguments of a kind.",
        ]
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def _kind_of(parser: argparse.ArgumentParser, path: str) -> str:
    from ..preprocessing.readers.recognise import kind_of

    if not os.path.exists(path):
        parser.error(
            f"DATASET: no such file or folder: {path!r}, nor a kind of data set ({listed(KINDS)})"
        )
    return kind_of(path)


def _kind_parser(
    parser: argparse.ArgumentParser, kind: str, use: str, last: Mapping[str, dict] | None
) -> argparse.ArgumentParser:
    """Return the parser of what follows the kind of a data set."""
    data = argparse.ArgumentParser(prog=f"{parser.prog} {kind}", description=f"PATH: {KINDS[kind]}")
    data.add_argument("path", metavar="PATH", help=KINDS[kind])
    if kind == "csv":
        data.add_argument("classes", metavar="CLASSES", nargs="?", help=CLASSES_HELP)
    for name, keywords in (last or {}).items():
        data.add_argument(name, **keywords)
    for names, keywords in options_of(kind, use).items():
        data.add_argument(*names, **keywords)
    data.set_defaults(classes=None)
    return data


def source_of(args: argparse.Namespace) -> DataSource:
    """Return the `DataSource` of the arguments."""
    from ..preprocessing.source import DataSource

    options: dict[str, Any] = {}
    if args.dataset_type == "pascal":
        options = {
            "image_extension": args.image_extension,
            "skip_truncated": args.skip_truncated,
            "skip_difficult": args.skip_difficult,
            "one_based": not args.zero_based,
        }
    if args.dataset_type == "oid":
        wanted = [name.strip() for name in (args.labels_filter or "").split(",") if name.strip()]
        options = {
            "version": args.version,
            "labels_filter": wanted or None,
            "parent_label": args.parent_label,
        }
    return DataSource(args.dataset_type, args.path, args.classes, args.images, options)
