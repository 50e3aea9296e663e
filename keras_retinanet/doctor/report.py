"""The report on the terminal."""

import textwrap
from collections.abc import Callable, Sequence

from ..utils.terminal import aligned, one_line, paint
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


def report(examination: Examination, suggestion: Suggestion | None = None, width: int = 80) -> str:
    """Return the text of an `Examination`, with fitted anchors if there is a `Suggestion`."""
    root, short = shortened(examination)
    findings = examination.findings
    severity, sentence = verdict(findings)
    return "\n".join(
        [
            *aligned(split_rows(examination.splits)),
            "",
            *([f"Files are below {one_line(root)}", ""] if root and findings else []),
            *[line for finding in findings for line in [*_finding(finding, short, width), ""]],
            *_histograms(examination.splits),
            "",
            *aligned(class_rows(examination, MOST_CLASSES)),
            "",
            *(_suggestion(suggestion, width) if suggestion and suggestion.is_better else []),
            paint(sentence, severity),
        ]
    )


def _finding(finding: Finding, short: Callable[[str], str], width: int) -> list[str]:
    """Return the lines of a finding: name and count, the first places, and advice."""
    count = f"{finding.count:,}"
    if finding.total is not None:
        count += f" of {finding.total:,} {finding.unit}"
    places = [one_line(short(place.text)) for place in finding.places[:MOST_PLACES]]
    more = finding.count - len(places)
    margin = " " * 9
    severity = paint(finding.severity.upper(), finding.severity)
    head, *rest = wrap(f"{finding.name}: {count}", width, margin)
    return [
        f"{severity}{head[len(finding.severity) :]}",
        *rest,
        *[line for place in places for line in wrap(f"- {place}", width, margin)],
        *([f"{margin}- and {more:,} more"] if more > 0 else []),
        *wrap(one_line(finding.advice), width, margin),
    ]


def wrap(text: str, width: int, margin: str = "") -> list[str]:
    """Return lines of words with a margin; a word that is too long, such as a path, stays whole."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=margin,
        subsequent_indent=margin + "  " * text.startswith("- "),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _histograms(splits: Sequence[Split]) -> list[str]:
    """Return the lines of the first split's histograms, side by side."""
    head = f"Of {one_line(splits[0].name)}{at_size(splits[0])}:"
    columns = [_column(histogram, splits[0].name) for histogram in histograms(splits[:1])]
    height = max(map(len, columns))
    padded = [column + [""] * (height - len(column)) for column in columns]
    widths = [max(map(len, column)) for column in columns]
    return [
        head,
        *["    ".join(map(str.ljust, line, widths)).rstrip() for line in zip(*padded, strict=True)],
    ]


def _column(histogram: Histogram, name: str) -> list[str]:
    shares = histogram.shares[name]
    most = max(shares.max(initial=0), 1e-9)
    widest = max(map(len, histogram.bins))
    return [histogram.title] + [
        f"{text:>{widest}} {'#' * round(BAR * share / most):{BAR}} {percent(share):>4}"
        for text, share in zip(histogram.bins, shares, strict=True)
    ]


def _suggestion(suggestion: Suggestion, width: int) -> list[str]:
    sentence, lines = suggested(suggestion)
    return [*wrap(sentence, width), *[f"  {line}" for line in lines], *wrap(WRITE, width), ""]
