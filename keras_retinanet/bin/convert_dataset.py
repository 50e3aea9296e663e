"""Write a data set in another format: `retinanet-convert-dataset DATASET ... FORMAT FOLDER`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ..utils.outputs import all_or_none, check_outputs, recorded_inputs
from ..utils.terminal import one_line
from ..utils.text import counted
from .arguments import add_options
from .cli import user_errors
from .data_options import parse_with_data, source_of

FORMATS = ("csv", "coco", "pascal", "kitti", "oid", "yolo")
KNOWN = ("train", "val", "test")  # splits that every format can name


def parse_args(args: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="retinanet-convert-dataset",
        usage="%(prog)s [options] DATASET ... FORMAT FOLDER",
        description="Write all splits of a data set, or only the splits named by --split, into "
        f"FOLDER in another FORMAT: {', '.join(FORMATS)}.",
        add_help=False,
    )
    modes = ("copy", "link", "none")
    parser.add_argument(
        "--image-files",
        default="copy",
        choices=modes,
        help="copy the images, link them, or, for csv and coco, only name them in the annotations "
        "(%(default)s)",
    )
    parser.add_argument(  # the old name
        "--pictures",
        dest="image_files",
        default=argparse.SUPPRESS,
        choices=modes,
        help=argparse.SUPPRESS,
    )
    add_options(parser, ["strict"])
    last: dict[str, dict] = {
        "format": {"metavar": "FORMAT", "choices": FORMATS, "help": ", ".join(FORMATS)},
        "folder": {"metavar": "FOLDER", "help": "folder to write into"},
    }
    return parse_with_data(parser, args, "look", last)


def run(args: argparse.Namespace) -> None:
    from ..preprocessing.dataset import checked
    from ..preprocessing.source import read_splits
    from ..preprocessing.writers import WRITERS

    with recorded_inputs() as files:
        found = read_splits(source_of(args), args.split, args.val_annotations, tolerant=False)
    if args.format == "yolo":  # an existing data.yaml gets further splits
        check_outputs({"FOLDER": [os.path.join(args.folder, "data.yaml")]}, files)
    if len(found) == 1 and not next(iter(found)).startswith(KNOWN):
        found = {"train": next(iter(found.values()))}
    # check all splits before the first is written
    splits = {
        name: checked(dataset, args.strict, need_boxes=False)
        for name, (dataset, _) in found.items()
    }
    with all_or_none():
        for name, dataset in splits.items():
            WRITERS[args.format](dataset, args.folder, name, image_files=args.image_files)
            boxes = sum(len(record.boxes) for record in dataset.records)
            read = f"{counted(len(dataset.records), 'image')} with {counted(boxes, 'box')}"
            print(f"{one_line(name)}: read {read}")
    print(f"wrote {args.folder}")


def main(args: Sequence[str] | None = None) -> None:
    with user_errors("retinanet-convert-dataset"):
        run(parse_args(sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
