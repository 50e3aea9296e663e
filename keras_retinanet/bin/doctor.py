"""Says what is wrong with a data set: `retinanet-doctor [options] DATASET ...`."""

import argparse
import os
import sys
from pathlib import Path

from ..errors import InputError
from ..utils.outputs import recorded_inputs
from .cli import (
    check_folder,
    check_numbers,
    check_output_options,
    check_sides,
    read_config,
    user_errors,
)
from .convert_dataset import FORMATS
from .data_options import parse_with_data, read_sets
from .image_options import add_size_arguments

OUTPUTS = ("html", "write_config")
CHANGES = "changes.csv"  # what --fix changed


def parse_args(args):
    parser = argparse.ArgumentParser(
        prog="retinanet-doctor",
        usage="%(prog)s [options] DATASET ...",
        description="Report what is wrong with a data set, all of its sets together. Exit status "
        "1 where something would spoil training.",
        add_help=False,
    )
    parser.add_argument(
        "--html", default="doctor.html", metavar="FILE", help="report with pictures (%(default)s)"
    )
    parser.add_argument("--no-html", dest="html", action="store_const", const=None)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="do not decode the pictures: damage in files, and copies under other names, are not "
        "found",
    )
    add_size_arguments(parser)
    parser.add_argument(
        "--config", metavar="FILE", help="INI file with the anchors and pyramid levels to look at"
    )
    parser.add_argument(
        "--write-config",
        metavar="FILE",
        help="write anchors fitted to the data there, for --config",
    )
    parser.add_argument(
        "--fix",
        metavar="DIR",
        help=f"write a cleaned copy there, and {CHANGES}, the list of what was changed",
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="of --fix (that of the data set, or coco)"
    )
    args = check_numbers(parser, parse_with_data(parser, args, "look"))
    check_sides(args.image_min_side, args.image_max_side)
    args.format = args.format or (args.dataset_type if args.dataset_type in FORMATS else "coco")
    return args


def check_fix(args):
    """Check that --fix names a new or empty folder in which no other output is written."""
    if args.fix is None:
        return
    if os.path.isdir(args.fix) and os.listdir(args.fix):
        raise InputError(f"{args.fix}: expected a new or empty folder")
    for name in OUTPUTS:
        path = getattr(args, name)
        if path and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(args.fix)):
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option} {path} lies in the folder of --fix; choose another path.")


def fix(args, examination):
    """Writes the cleaned sets and the list of changes."""
    from ..doctor.repair import repair, write_changes
    from ..preprocessing.writers import WRITERS

    cleaned, changes = repair(examination.splits)
    path = os.path.join(args.fix, CHANGES)
    write_changes(path, changes)
    for name, dataset in cleaned.items():
        if dataset.records and dataset.class_names:
            WRITERS[args.format](dataset, args.fix, name)
        else:
            print(f"{name}: nothing is left to write")
    print(f"wrote {args.fix} ({args.format}); what was changed, in {len(changes)} rows: {path}")


def run(args):
    """Whether training would be spoilt."""
    from ..doctor.anchors import suggest
    from ..doctor.checks import examine
    from ..doctor.findings import spoils
    from ..doctor.page import write_page
    from ..doctor.report import report
    from ..utils.config import write_config

    check_fix(args)
    check_output_options(args, *OUTPUTS)
    with recorded_inputs() as files:
        sets = read_sets(args)
    images = [record.path for dataset, _ in sets.values() for record in dataset.records]
    check_output_options(args, *OUTPUTS, inputs=[*files, *images])
    if args.fix:
        check_folder(args.fix)
    anchors, levels = read_config(args.config)
    examination = examine(
        sets,
        not args.quick,
        None if args.no_resize else args.image_min_side,
        args.image_max_side,
        anchors,
        levels,
        progress=sys.stderr.isatty(),
    )
    suggestion = suggest(examination.splits[0], examination.coverage)
    print(report(examination, suggestion))
    if args.write_config:
        write_config(args.write_config, suggestion.params, suggestion.levels)
        print(f"wrote {args.write_config}")
    if args.html:
        write_page(args.html, examination, args.path, suggestion)
        print(f"wrote {args.html}")
    if args.fix:
        fix(args, examination)
    return spoils(examination.findings)


def main(args=None):
    with user_errors("retinanet-doctor"):
        spoilt = run(parse_args(sys.argv[1:] if args is None else args))
    if spoilt:
        sys.exit(1)


if __name__ == "__main__":
    main()
