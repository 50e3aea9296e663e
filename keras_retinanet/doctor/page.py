"""The report as one HTML file that holds its images and histograms."""

from collections.abc import Callable, Mapping, Sequence
from html import escape

from ..utils.html import document, table
from ..utils.threads import in_threads
from ..utils.thumbnails import BLUE, RED, Layer, thumbnail
from .anchors import Suggestion
from .checks import Examination
from .findings import Finding, Place
from .histograms import bars, colour, histograms
from .splits import Split
from .tables import at_size, class_rows, shortened, split_rows, suggested, verdict

MOST_IMAGES = 8  # of a finding
LOW = 95  # %, of shares that should be higher
FINDINGS = (
    '<h2>Findings</h2><p class="soft">In the images, the boxes in question are red and other boxes '
    "blue.</p>"
)


def page(examination: Examination, title: str, suggestion: Suggestion | None = None) -> str:
    """Return the page of an `Examination`, with fitted anchors if there is a `Suggestion`."""
    root, short = shortened(examination)
    places = [place for finding in examination.findings for place in _shown(finding)]
    images = dict(zip(places, in_threads(_thumbnail, places), strict=True))
    severity, sentence = verdict(examination.findings)
    return document(
        f"{title}: retinanet-doctor",
        [
            f'<h1>{escape(title)}</h1><p class="soft">{escape(root)}</p>',
            f'<div class="verdict {severity}">{escape(sentence)}</div>',
            _table(split_rows(examination.splits)),
            FINDINGS if examination.findings else "",
            *[_card(finding, images, short) for finding in examination.findings],
            "<h2>Boxes</h2>",
            _charts(examination.splits),
            "<h2>Classes and anchors</h2>",
            '<p class="soft">Objects of each class, and the share of the objects in '
            f"{escape(examination.splits[0].name)} that an anchor reaches at IoU 0.5, by their "
            "size in the model's input: small up to 32², medium up to 96² px.</p>",
            _table(class_rows(examination)),
            _suggestion(suggestion) if suggestion and suggestion.is_better else "",
        ],
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
    """Return a table of rows of text; the first row is the head, and low shares are red."""
    return table(rows, lambda text: text.endswith("%") and float(text.strip("<%")) < LOW)


def _thumbnail(place: Place) -> str | None:
    """Draw a place; the boxes in question are red, the others blue."""
    layers = [Layer(place.others, BLUE, 1), Layer(place.boxes, RED)]
    return thumbnail(place.path, layers, place.boxes)


def _suggestion(suggestion: Suggestion) -> str:
    sentence, lines = suggested(suggestion)
    text = escape("\n".join(lines))
    return f"<h2>Fitted anchors</h2><p>{escape(sentence)}</p><pre>{text}</pre>"
