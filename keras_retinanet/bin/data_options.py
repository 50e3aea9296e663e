"""The data set on a command line: a path, or its kind and a path, and the options of the kind."""

from __future__ import annotations

import argparse
import os
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..choices import TEST_SPLITS, TRAIN_SPLITS, VAL_SPLITS
from ..utils.text import listed

if TYPE_CHECKING:
    from ..preprocessing.source import DataSource, TrainingData

Options = dict[tuple[str, ...], dict]  # {(flag, *old names): keywords of `add_argument`}

KINDS = {  # kind: its PATH
    "csv": "a CSV file of rows path,x1,y1,x2,y2,class, or with a header that names its columns",
    "coco": "a COCO folder with annotations/instances_SPLIT.json and images/SPLIT, or a JSON file",
    "pascal": "a Pascal VOC folder with Annotations, ImageSets/Main and JPEGImages, or a folder of "
    "XML files",
    "kitti": "a KITTI folder with training/label_2 and training/image_2",
    "oid": "an Open Images folder with SPLIT-annotations-bbox.csv and images/SPLIT",
    "yolo": "a YOLO data.yaml, or its folder",
    "labelme": "a folder of labelme's JSON files",
    "cvat": "an XML file of CVAT",
}
CLASSES_HELP = (
    "class file with rows name,id (the class names in the training annotations or in the model)"
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
        ("--image-extension",): {
            "default": ".jpg",
            "help": "file name extension of the images to try first (%(default)s)",
        },
        ("--zero-based",): {
            "action": "store_true",
            "help": "coordinates count from 0, not from 1 as in Pascal VOC",
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
        ("--version",): {"help": "version of Open Images, such as v4; optional"},
        ("--labels-filter",): {"metavar": "A,B", "help": "read only these classes"},
        ("--parent-label",): {
            "metavar": "NAME",
            "help": "read only this class and the classes below it",
        },
        ("--annotation-cache-dir",): {"help": argparse.SUPPRESS},
    },
}
OF_USE: dict[str, Options] = {
    "train": {
        ("--train-split", "--train-set"): {
            "metavar": "SPLIT",
            "help": f"split to train on (the first that exists of {', '.join(TRAIN_SPLITS)})",
        },
        ("--val-split", "--val-set"): {
            "metavar": "SPLIT",
            "help": f"split to evaluate on (the first that exists of {', '.join(VAL_SPLITS)})",
        },
        ("--val-annotations",): {
            "metavar": "PATH",
            "help": "evaluate on this data set of the same kind",
        },
    },
    "evaluate": {
        ("--split", "--set"): {
            "metavar": "SPLIT",
            "help": f"split to evaluate on (the first that exists of {', '.join(TEST_SPLITS)})",
        },
    },
    "look": {
        ("--split", "--set"): {
            "metavar": "SPLIT",
            "action": "append",
            "help": "split to read; may be repeated (all)",
        },
        ("--val-annotations",): {
            "metavar": "PATH",
            "help": "another data set of the same kind to read",
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
    `last`.

    Args:
        parser: holds the options of the command, made with `add_help=False`.
        use: a key of `OF_USE`: "train" (a split to train on and one to evaluate on), "evaluate"
            (one split) or "look" (any splits, by default all).
        last: {name: keywords of `add_argument`} of the arguments that follow the data set.
    """
    known: Options = {}
    for kind in KINDS:
        known.update(options_of(kind, use))
    parser.add_argument(
        "-h",
        "--help",
        dest="wants_help",
        action="store_true",
        help="show this help message and exit",
    )
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    for names, keywords in known.items():
        keywords = {**keywords, "default": argparse.SUPPRESS, "help": argparse.SUPPRESS}
        parser.add_argument(*names, **keywords)
    args = parser.parse_intermixed_args(argv)
    words, wants_help = args.__dict__.pop("words"), args.__dict__.pop("wants_help")
    if wants_help and words and words[0] in KINDS:
        _kind_parser(parser, words[0], use, last).print_help()
        parser.exit()
    if wants_help:
        _print_help(parser, _examples(parser, use, last))
        parser.exit()
    if not words:
        parser.error(
            "required: DATASET, an annotation file or a folder. For example:\n"
            f"{_examples(parser, use, last)}\n{parser.prog} --help lists the options."
        )
    kind = words.pop(0) if words[0] in KINDS else _kind_of(parser, words[0])
    for names in known.keys() - options_of(kind, use).keys():
        if _dest(names[0]) in args:
            parser.error(f"{names[0]} is not an option of {kind} data sets.")
    args.dataset_type = kind
    args = _kind_parser(parser, kind, use, last).parse_args(words, args)
    if args.images is not None and not os.path.isdir(args.images):
        parser.error(f"--images: no such folder: {args.images!r}.")
    return args


def options_of(kind: str, use: str) -> Options:
    """Return the options of a kind of data set for a use."""
    return {**OF_ALL, **OF_KIND.get(kind, {}), **OF_USE[use]}


def _dest(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")


def _print_help(parser: argparse.ArgumentParser, examples: str) -> None:
    """Print the help of a command with examples and the kinds of data sets, as wide as the
    terminal."""
    width = shutil.get_terminal_size().columns - 2
    kinds = [
        textwrap.fill(text, width, initial_indent=f"  {kind:8} ", subsequent_indent=" " * 11)
        for kind, text in KINDS.items()
    ]
    parser.description = f"{textwrap.fill(parser.description, width)}\n\nFor example:\n{examples}"
    parser.epilog = "\n".join(
        [
            "DATASET is a path (its kind is recognized), or a kind and its arguments:",
            *kinds,
            f"{parser.prog} KIND --help lists the arguments of a kind.",
        ]
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.print_help()


def _examples(parser: argparse.ArgumentParser, use: str, last: Mapping[str, dict] | None) -> str:
    """Return two command lines that name a data set, indented."""
    held_out = " --val-annotations val.csv" if use == "train" else ""
    rest = "".join(f" {keywords['metavar']}" for keywords in (last or {}).values())
    file = f"train.csv{held_out}" if held_out else "boxes.csv"
    lines = [f"{parser.prog} {words}{rest}" for words in (file, "my_dataset/")]
    return "\n".join(f"  {line}" for line in lines)


def _kind_of(parser: argparse.ArgumentParser, path: str) -> str:
    from ..preprocessing.readers.recognise import kind_of

    if not os.path.exists(path):
        parser.error(
            f"DATASET: no such file, folder or kind: {path!r}; known kinds: {listed(KINDS)}."
        )
    return kind_of(path)


def _kind_parser(
    parser: argparse.ArgumentParser, kind: str, use: str, last: Mapping[str, dict] | None
) -> argparse.ArgumentParser:
    data = argparse.ArgumentParser(prog=f"{parser.prog} {kind}", description=f"PATH: {KINDS[kind]}")
    data.add_argument("path", metavar="PATH", help=KINDS[kind])
    if kind == "csv":
        data.add_argument("classes", metavar="CLASSES", nargs="?", help=CLASSES_HELP)
    for name, keywords in (last or {}).items():
        data.add_argument(name, **keywords)
    for names, keywords in options_of(kind, use).items():
        data.add_argument(names[0], **keywords)
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


def evaluation_words(data: TrainingData) -> list[str]:
    """Return the words of a command line that name the validation data of a training."""
    source, split = data.source, data.val_split
    if not (split or data.val_path):
        split = source.choose_split(usual=VAL_SPLITS)
    classes = [source.classes] if isinstance(source.classes, str) else []
    if source.kind != "csv":
        classes = [word for path in classes for word in ("--classes", path)]
    words = [source.kind, data.val_path or source.path, *classes]
    options = {**source.options, "images": source.images, "split": split}
    options["zero_based"] = not options.pop("one_based", True)
    for name, value in options.items():
        if value and value != ".jpg":
            words.append(f"--{name.replace('_', '-')}")
            if value is not True:
                words.append(value if isinstance(value, str) else ",".join(value))
    return words
