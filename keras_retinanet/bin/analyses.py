"""The options of `retinanet-evaluate` that look closer at its figures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from ..options import SEED
from .arguments import number

RESAMPLES = "from 1 to 100000"


def add_analyses(parser: argparse.ArgumentParser) -> None:
    """Add the options that `analyse` reads."""
    parser.add_argument(
        "--bootstrap",
        type=number(int, RESAMPLES),
        metavar="N",
        help="print 95%% intervals of AP, AP50 and each class over N resamples of the images, "
        "such as 1000",
    )
    add_seed(parser)
    parser.add_argument(
        "--errors",
        action="store_true",
        help="print how much AP50 each kind of error costs (TIDE's kinds)",
    )


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Add --seed, which draws the resamples."""
    parser.add_argument(
        "--seed",
        type=number(int, SEED),
        default=0,
        metavar="N",
        help="draws other resamples (%(default)s)",
    )


def analyse(
    args: argparse.Namespace, metrics: dict[str, Any], truth: dict[str, Any], rows: Sequence[dict]
) -> dict[str, Any]:
    """Print the analyses that the options ask for, and return them by name for the JSON file.

    Args:
        metrics: of `evaluate_rows` for `truth` and `rows`.
    """
    found = {}
    if args.bootstrap:
        from ..evaluation.bootstrap import intervals, report_intervals

        limits = args.bootstrap, args.seed, args.max_detections
        found["intervals"] = intervals(truth, rows, *limits)
        print(f"\n{report_intervals(metrics, found['intervals'])}")
    if args.errors or args.report:  # the report shows them
        from ..evaluation.error_breakdown import error_breakdown, report_errors

        found["errors"] = error_breakdown(truth, rows, args.max_detections)
        print(f"\n{report_errors(found['errors'])}")
    return found
