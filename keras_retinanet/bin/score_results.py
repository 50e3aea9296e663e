"""Score a COCO result file of any detector: `retinanet-evaluate detections TRUTH RESULTS`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from ..options import DETECTIONS
from ..utils.text import counted
from .analyses import add_analyses, analyse
from .arguments import number
from .cli import check_output_options

SHOWN = 5  # faults


def parse_args(args: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="retinanet-evaluate detections",
        description="Compute the COCO metrics of any detector's COCO result file.",
    )
    parser.add_argument("truth", metavar="TRUTH", help="a COCO instances file (JSON)")
    parser.add_argument("results", metavar="RESULTS", help="a COCO result file (JSON)")
    add_scoring(parser)
    parser.add_argument(
        "--area-ranges",
        type=areas_of,
        metavar="A,B",
        default=(32**2, 96**2),
        help="areas in px² up to which objects are small and from which large (1024,9216)",
    )
    parser.add_argument(
        "--report",
        metavar="DIR",
        help="write a page there that explains the figures, and lists of labels to check",
    )
    parser.add_argument(
        "--images", metavar="DIR", default="", help="folder of the images that the report shows"
    )
    add_analyses(parser)
    parser.add_argument("--json", metavar="FILE", help="write the metrics there")
    return parser.parse_args(args)


def add_scoring(parser: argparse.ArgumentParser) -> None:
    """Add the options that decide which detections count."""
    parser.add_argument(
        "--max-detections",
        type=number(int, DETECTIONS),
        default=100,
        help="maximum detections that count for an image and class (%(default)s)",
    )
    parser.add_argument(
        "--lenient",
        action="store_true",
        help="leave out invalid detections instead of stopping at the first",
    )


def areas_of(text: str) -> tuple[float, float]:
    """Return the areas of A,B; the argument type of --area-ranges."""
    parts = text.split(",")
    if len(parts) != 2:
        raise argparse.ArgumentTypeError(f"must be two areas A,B, got {text[:50]}.")
    small, large = (number(float, "between 0 and 10000000000")(part) for part in parts)
    if small >= large:
        raise argparse.ArgumentTypeError(f"A must be less than B, got {text[:50]}.")
    return small, large


def run(args: argparse.Namespace) -> None:
    check_output_options(args, "json", inputs=[args.truth, args.results])
    from ..evaluation.coco import evaluate_rows
    from ..evaluation.report import report, write_json
    from ..evaluation.result_detections import dataset_of, detections_of
    from ..evaluation.result_file import read_instances

    truth = read_instances(args.truth)
    rows = read_rows(args.results, truth, args.lenient)
    dataset = dataset_of(truth, args.images)
    if args.report:
        from ..evaluation.model_report import check_report

        check_report("--report", args.report, [record.path for record in dataset.records])
    metrics = evaluate_rows(truth, rows, args.max_detections, args.area_ranges)
    print(report(metrics))
    metrics |= analyse(args, metrics, truth, rows)
    if args.json:
        write_json(args.json, metrics)
        print(f"saved {args.json}")
    if args.report:
        from ..evaluation.explanation import explain
        from ..evaluation.model_report import report_on_results
        from ..evaluation.thresholds import Rule

        explanation = explain(dataset, detections_of(dataset, rows), metrics, Rule())
        page = report_on_results(args.report, explanation, args.results, args.truth)
        print(f"saved {page}")


def read_rows(path: str, truth: dict[str, Any], lenient: bool) -> list[dict]:
    """Return the rows of a result file, and print what was left out."""
    from ..evaluation.result_file import read_results

    rows, faults = read_results(path, truth, lenient)
    if faults:
        print(f"{path}: left out {counted(len(faults), 'detection')}:", file=sys.stderr)
        print("\n".join(f"  {line}" for line in faults[:SHOWN]), file=sys.stderr)
        if len(faults) > SHOWN:
            print("  ...", file=sys.stderr)
    return rows
