"""Compare two COCO result files: `retinanet-evaluate compare TRUTH A B`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .analyses import RESAMPLES, add_seed
from .arguments import number
from .cli import check_output_options
from .score_results import add_scoring, read_rows


def parse_args(args: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="retinanet-evaluate compare",
        description="Test if detector B is better than detector A: differences of AP and AP50 with "
        "95% intervals over resampled images, the same for both.",
    )
    parser.add_argument("truth", metavar="TRUTH", help="a COCO instances file (JSON)")
    parser.add_argument("a", metavar="A", help="a COCO result file of detector A (JSON)")
    parser.add_argument("b", metavar="B", help="a COCO result file of detector B (JSON)")
    add_scoring(parser)
    parser.add_argument(
        "--bootstrap",
        type=number(int, RESAMPLES),
        default=1000,
        metavar="N",
        help="number of resamples (%(default)s)",
    )
    add_seed(parser)
    parser.add_argument("--json", metavar="FILE", help="write the differences there")
    return parser.parse_args(args)


def run(args: argparse.Namespace) -> None:
    check_output_options(args, "json", inputs=[args.truth, args.a, args.b])
    from ..evaluation.comparison import compare, report_comparison
    from ..evaluation.report import write_json
    from ..evaluation.result_file import read_instances

    truth = read_instances(args.truth)
    rows_a, rows_b = (read_rows(path, truth, args.lenient) for path in (args.a, args.b))
    limits = args.bootstrap, args.seed, args.max_detections
    found = compare(truth, rows_a, rows_b, *limits)
    print(report_comparison(found))
    if args.json:
        write_json(args.json, found.to_dict())
        print(f"saved {args.json}")
