"""Writes a data set in another format: `retinanet-convert-dataset DATASET ... FORMAT FOLDER`."""

import argparse
import os
import sys

from ..utils.outputs import check_outputs, recorded_inputs
from .cli import user_errors
from .data_options import parse_with_data, read_sets
from .image_options import add_strict_argument

FORMATS = ("csv", "coco", "pascal", "kitti", "oid", "yolo")
KNOWN = ("train", "val", "test")  # how a set is called that every format can name


def parse_args(args):
    parser = argparse.ArgumentParser(
        prog="retinanet-convert-dataset",
        usage="%(prog)s [options] DATASET ... FORMAT FOLDER",
        description="Write all sets of a data set, or those of --set, into FOLDER in the FORMAT "
        f"{', '.join(FORMATS)}.",
        add_help=False,
    )
    parser.add_argument(
        "--pictures",
        default="copy",
        choices=["copy", "link", "none"],
        help="copy them, link them (no further room on the disk), or write annotations alone that "
        "name them where they are: csv and coco (%(default)s)",
    )
    add_strict_argument(parser)
    last = {
        "format": {"metavar": "FORMAT", "choices": FORMATS, "help": ", ".join(FORMATS)},
        "folder": {"metavar": "FOLDER", "help": "to write into"},
    }
    return parse_with_data(parser, args, "look", last)


def run(args):
    from ..preprocessing.dataset import checked
    from ..preprocessing.writers import WRITERS

    with recorded_inputs() as files:
        sets = read_sets(args, tolerant=False)
    if args.format == "yolo":  # the one file that may exist: it gets the names of further splits
        check_outputs({"FOLDER": [os.path.join(args.folder, "data.yaml")]}, files)
    if len(sets) == 1 and not next(iter(sets)).startswith(KNOWN):
        sets = dict(zip(["train"], sets.values(), strict=True))
    # all of them before the first is written, so that nothing is left half done
    sets = {
        name: checked(dataset, args.strict, need_boxes=False) for name, (dataset, _) in sets.items()
    }
    for name, dataset in sets.items():
        WRITERS[args.format](dataset, args.folder, name, pictures=args.pictures)
        boxes = sum(len(record.boxes) for record in dataset.records)
        print(f"{name}: read {len(dataset.records)} images with {boxes} boxes")
    print(f"wrote {args.folder}")


def main(args=None):
    with user_errors("retinanet-convert-dataset"):
        run(parse_args(sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
