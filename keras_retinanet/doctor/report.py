"""The report on the terminal."""

import textwrap
from collections.abc import Callable, Sequence

from .anchors import Suggestion
from .checks import Examination
from .findings import Finding
from .histograms import Histogram, histograms, percent
from .splits import Split
from .tables import at_size, class_rows, shortened, split_rows, suggested, verdict

MOST_PLACES = 3  # of a finding
MOST_CLASSES = 20
BAR = 10  # characters
WRITE = "--write-config FILE writes them for --config; retinanet-train --fit-anchors does the same."


def report(examination: Examination, suggestion: Suggestion | None = None, width: int = 100) -> str:
    """Return the text of an `Examination`, with fitted anchors if there is a `Suggestion`."""
    root, short = shortened(examination)
    findings = examination.findings
    return "\n".join(
        [
            *_table(split_rows(examination.splits)),
            "",
            *([f"Files are below {root}", ""] if root and findings else []),
            *[line for finding in findings for line in [*_finding(finding, short, width), ""]],
            *_histograms(examination.splits),
            "",
            *_table(class_rows(examination, MOST_CLASSES)),
            "",
            *(_suggestion(suggestion) if suggestion and suggestion.is_better else []),
            verdict(findings)[1],
        ]
    )


def _finding(finding: Finding, short: Callable[[str], str], width: int) -> list[str]:
    """Return the lines of a finding: what and how many, the first places, and advice."""
    count = f"{finding.count:,}"
    if finding.total is not None:
        count += f" of {finding.total:,} {finding.unit}"
    places = [short(place.text) for place in finding.places[:MOST_PLACES]]
    more = finding.count - len(places)
    margin = " " * 9
    return [
        f"{finding.severity.upper():9}{finding.name}: {count}",
        *[f"{margin}  {place}" for place in places],
        *([f"{margin}  and {more:,} more"] if more > 0 else []),
        *textwrap.wrap(finding.advice, width, initial_indent=margin, subsequent_indent=margin),
    ]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of text as lines, the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    ]


def _histograms(splits: Sequence[Split]) -> list[str]:
    """Return the lines of the first split's histograms, side by side."""
    head = f"Of {splits[0].name}{at_size(splits[0])}:"
    columns = [_column(histogram, splits[0].name) for histogram in histograms(splits[:1])]
    height = max(map(len, columns))
    padded = [column + [""] * (height - len(column)) for column in columns]
    widths = [max(map(len, column)) for column in columns]
    return [
        head,
        *["    ".join(map(str.ljust, line, widths)).rstrip() for line in zip(*padded, strict=True)],
    ]


def _column(histogram: Histogram, name: str) -> list[str]:
    """Return the lines of one histogram."""
    shares = histogram.shares[name]
    most = max(shares.max(initial=0), 1e-9)
    widest = max(map(len, histogram.bins))
    return [histogram.title] + [
        f"{text:>{widest}} {'#' * round(BAR * share / most):{BAR}} {percent(share):>4}"
        for text, share in zip(histogram.bins, shares, strict=True)
    ]


def _suggestion(suggestion: Suggestion) -> list[str]:
    sentence, lines = suggested(suggestion)
    return [sentence, *[f"  {line}" for line in lines], WRITE, ""]
