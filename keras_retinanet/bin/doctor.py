"""Report the problems of a data set: `retinanet-doctor [options] DATASET ...`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..options import check_sides
from ..utils.outputs import all_or_none, recorded_inputs, write_text
from ..utils.terminal import one_line
from .arguments import SIZES, add_options
from .cli import check_folder, check_output_options, user_errors
from .convert_dataset import FORMATS
from .data_options import parse_with_data, source_of

if TYPE_CHECKING:
    from ..doctor.checks import Examination

OUTPUTS = ("html", "write_config")
CHANGES = "changes.csv"  # of --fix


def parse_args(args: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="retinanet-doctor",
        usage="%(prog)s [options] DATASET ...",
        description="Report the problems of a data set, all splits together. The exit status is 1 "
        "if a problem would spoil training.",
        add_help=False,
    )
    parser.add_argument(
        "--html", default="doctor.html", metavar="FILE", help="report with images (%(default)s)"
    )
    parser.add_argument(
        "--no-html", dest="html", action="store_const", const=None, help="write no HTML report"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="do not decode the images; misses damaged files and copies under other names",
    )
    add_options(parser, SIZES)
    parser.add_argument(
        "--config", metavar="FILE", help="INI file with the anchors and pyramid levels to check"
    )
    parser.add_argument(
        "--write-config",
        metavar="FILE",
        help="write anchors fitted to the data there, for --config",
    )
    parser.add_argument(
        "--fix",
        metavar="DIR",
        help=f"write a cleaned copy there, and {CHANGES}, a list of the changes",
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="format of the copy of --fix (the data set's, or coco)"
    )
    parsed = parse_with_data(parser, args, "look")
    if not parsed.format:
        parsed.format = parsed.dataset_type if parsed.dataset_type in FORMATS else "coco"
    return parsed


def check_fix(args: argparse.Namespace) -> None:
    """Check that --fix names a new or empty folder in which no other output is written."""
    if args.fix is None:
        return
    if os.path.isdir(args.fix) and os.listdir(args.fix):
        raise InputError(f"{args.fix} is not empty; name a new or empty folder.")
    for name in OUTPUTS:
        path = getattr(args, name)
        if path and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(args.fix)):
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option} {path} is in the folder of --fix; choose another path.")


def fix(args: argparse.Namespace, examination: Examination) -> None:
    """Write the cleaned splits and the list of changes."""
    from ..doctor.repair import repair, write_changes
    from ..preprocessing.writers import WRITERS

    cleaned, changes = repair(examination.splits)
    path = os.path.join(args.fix, CHANGES)
    with all_or_none():
        for name, dataset in cleaned.items():
            if dataset.records and dataset.class_names:
                WRITERS[args.format](dataset, args.fix, name)
            else:
                print(f"{one_line(name)}: nothing is left to write")
        write_changes(path, changes)
    print(f"wrote {args.fix} ({args.format}); the {len(changes)} changes are in {path}")


def next_step(args: argparse.Namespace, examination: Examination) -> str:
    """Return a sentence on what to do first."""
    from ..doctor.tables import first_step

    if args.fix:
        return f"Next: read {os.path.join(args.fix, CHANGES)}, then retinanet-doctor {args.fix}."
    return first_step(examination.findings)


def run(args: argparse.Namespace) -> bool:
    """Examine the data set; return True if something would spoil training."""
    from ..doctor.anchors import suggest
    from ..doctor.checks import examine
    from ..doctor.findings import spoils
    from ..doctor.page import page
    from ..doctor.report import report, wrap
    from ..preprocessing.source import read_splits
    from ..utils.config import read_anchors, write_config

    check_sides(args.image_min_side, args.image_max_side)
    check_fix(args)
    check_output_options(args, *OUTPUTS)
    with recorded_inputs() as files:
        splits = read_splits(source_of(args), args.split, args.val_annotations)
    images = [record.path for dataset, _ in splits.values() for record in dataset.records]
    check_output_options(args, *OUTPUTS, inputs=[*files, *images])
    if args.fix:
        check_folder(args.fix)
    anchors, levels = read_anchors(args.config)
    examination = examine(
        splits,
        not args.quick,
        None if args.no_resize else (args.image_min_side, args.image_max_side),
        anchors,
        levels,
        progress=sys.stderr.isatty(),
    )
    suggestion = suggest(examination.splits[0], examination.coverage)
    width = min(shutil.get_terminal_size().columns, 100)
    print(report(examination, suggestion, width))
    if args.write_config:
        write_config(args.write_config, suggestion.params, suggestion.levels)
        print(f"wrote {args.write_config}")
    if args.html:
        write_text(args.html, page(examination, args.path, suggestion))
        print(f"wrote {args.html}")
    if args.fix:
        fix(args, examination)
    print(*wrap(one_line(next_step(args, examination)), width), sep="\n")
    return spoils(examination.findings)


def main(args: Sequence[str] | None = None) -> None:
    with user_errors("retinanet-doctor"):
        spoilt = run(parse_args(sys.argv[1:] if args is None else args))
    if spoilt:
        sys.exit(1)


if __name__ == "__main__":
    main()
