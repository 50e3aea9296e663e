"""The report as one HTML file that holds its images and histograms."""

from collections.abc import Callable, Mapping, Sequence
from html import escape

from ..utils.threads import in_threads
from .anchors import Suggestion
from .checks import Examination
from .findings import Finding, Place
from .histograms import bars, colour, histograms
from .splits import Split
from .tables import at_size, class_rows, shortened, split_rows, suggested, verdict
from .thumbnails import thumbnail

MOST_IMAGES = 8  # of a finding
LOW = 95  # %, of shares that should be higher
FINDINGS = (
    '<h2>Findings</h2><p class="soft">In the images, red are the boxes in question, blue the '
    "others.</p>"
)
STYLE = """
:root { color-scheme: light; --line: #e2e6ec; --soft: #5b6675; --error: #c62828; --warning: #b26a00;
  --note: #2563eb; --good: #0f7b54 }
* { box-sizing: border-box }
body { margin: 0; background: #f5f7fa; color: #1b2430;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif }
main { max-width: 1100px; margin: 0 auto; padding: 32px 24px 64px }
h1 { font-size: 26px; margin: 0; overflow-wrap: anywhere }
h2 { font-size: 19px; margin: 40px 0 12px }
h3 { font-size: 16px; margin: 0; display: inline }
p { margin: 6px 0 } .soft { color: var(--soft) }
.verdict { margin: 18px 0; padding: 12px 18px; border-radius: 8px; color: #fff; font-weight: 600 }
.card { background: #fff; border: 1px solid var(--line); border-left: 5px solid var(--tone);
  border-radius: 8px; padding: 14px 18px; margin: 12px 0 }
.chip { background: var(--tone); color: #fff; border-radius: 4px; padding: 2px 8px;
  font-size: 12px; font-weight: 600; margin-right: 8px; position: relative; top: -1px }
.count { float: right; font-weight: 600; white-space: nowrap; margin-left: 16px }
.error { --tone: var(--error) } .warning { --tone: var(--warning) } .note { --tone: var(--note) }
.good { --tone: var(--good) } .verdict { background: var(--tone) }
.images { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 14px;
  margin: 12px 0 4px }
figure { margin: 0 } figure img { width: 100%; border-radius: 4px; display: block;
  aspect-ratio: 4/3; object-fit: contain; background: #e1e4e8 }
figcaption { margin-top: 4px }
figcaption, .places { font-size: 12.5px; color: var(--soft); overflow-wrap: anywhere }
details { margin-top: 8px } summary { cursor: pointer; color: var(--soft); font-size: 13.5px }
.places { margin: 6px 0; padding-left: 20px }
.wide { overflow-x: auto }
table { border-collapse: collapse; background: #fff; font-variant-numeric: tabular-nums }
th, td { padding: 5px 14px; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap }
th { font-weight: 600; color: var(--soft); font-size: 13px }
th:first-child, td:first-child { text-align: left }
tr:last-child td { border-bottom: 0 } .low { color: var(--error); font-weight: 600 }
.charts { display: flex; flex-wrap: wrap; gap: 18px }
.chart { background: #fff; border: 1px solid var(--line); border-radius: 8px; padding: 14px 16px }
.chart b { display: block; margin-bottom: 10px; font-size: 14px }
svg text { font: 11px system-ui, sans-serif; fill: #4a5563 }
svg text.bin { text-anchor: end; fill: #1b2430 }
.key { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin: 0 6px 0 14px }
pre { background: #fff; border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px;
  overflow-x: auto; font-size: 13.5px }
"""


def page(examination: Examination, title: str, suggestion: Suggestion | None = None) -> str:
    """Return the page of an `Examination`, with fitted anchors if there is a `Suggestion`."""
    root, short = shortened(examination)
    places = [place for finding in examination.findings for place in _shown(finding)]
    images = dict(zip(places, in_threads(thumbnail, places), strict=True))
    severity, sentence = verdict(examination.findings)
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}: retinanet-doctor</title>",
            f"<style>{STYLE}</style></head><body><main>",
            f'<h1>{escape(title)}</h1><p class="soft">{escape(root)}</p>',
            f'<div class="verdict {severity}">{escape(sentence)}</div>',
            _table(split_rows(examination.splits)),
            FINDINGS if examination.findings else "",
            *[_card(finding, images, short) for finding in examination.findings],
            "<h2>Boxes</h2>",
            _charts(examination.splits),
            "<h2>Classes and anchors</h2>",
            f'<p class="soft">Objects of each class and, of those in '
            f"{escape(examination.splits[0].name)}, the share that an anchor reaches at IoU 0.5, "
            "by size at which the model sees them: small up to 32², medium up to 96² px.</p>",
            _table(class_rows(examination)),
            _suggestion(suggestion) if suggestion and suggestion.is_better else "",
            "</main></body></html>\n",
        ]
    )


def _shown(finding: Finding) -> list[Place]:
    return [place for place in finding.places if place.path][:MOST_IMAGES]


def _card(finding: Finding, images: Mapping[Place, str | None], short: Callable[[str], str]) -> str:
    count = f"{finding.count:,}"
    if finding.total is not None:
        count += f" of {finding.total:,}"
    figures = [
        f'<figure><img src="{images[place]}" alt=""><figcaption>{escape(short(place.text))}'
        "</figcaption></figure>"
        for place in _shown(finding)
        if images[place]
    ]
    shown = len(finding.places)
    some = f"{shown} place{'s' * (shown > 1)}"
    some = some if shown == finding.count else f"the first {shown} places"
    items = "".join(f"<li>{escape(short(place.text))}</li>" for place in finding.places)
    is_open = "" if figures else " open"
    return (
        f'<section class="card {finding.severity}">'
        f'<span class="count">{count} {escape(finding.unit)}</span>'
        f'<span class="chip">{finding.severity}</span><h3>{escape(finding.name)}</h3>'
        f"<p>{escape(finding.advice)}</p>"
        + (f'<div class="images">{"".join(figures)}</div>' if figures else "")
        + f'<details{is_open}><summary>{some}</summary><ul class="places">{items}</ul>'
        "</details></section>"
    )


def _charts(splits: Sequence[Split]) -> str:
    keys = "".join(
        f'<span class="key" style="background:{colour(i)}"></span>{escape(split.name)}'
        for i, split in enumerate(splits)
    )
    charts = "".join(
        f'<div class="chart"><b>{escape(histogram.title)}</b>{bars(histogram)}</div>'
        for histogram in histograms(splits)
    )
    head = f'<p class="soft">Shares of each split{at_size(splits[0])}:{keys}</p>'
    return f'{head}<div class="charts">{charts}</div>'


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table of rows of text, the first its head; low shares are red."""

    def cell(text: str, tag: str) -> str:
        low = text.endswith("%") and float(text.strip("<%")) < LOW
        return f"<{tag}{' class=low' if low else ''}>{escape(text)}</{tag}>"

    lines = [
        "<tr>" + "".join(cell(text, "td" if i else "th") for text in row) + "</tr>"
        for i, row in enumerate(rows)
    ]
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def _suggestion(suggestion: Suggestion) -> str:
    sentence, lines = suggested(suggestion)
    text = escape("\n".join(lines))
    return f"<h2>Fitted anchors</h2><p>{escape(sentence)}</p><pre>{text}</pre>"
