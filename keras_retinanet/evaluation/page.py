"""The report of an evaluation as one HTML file that holds its plots and images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from html import escape
from typing import Any

from keras_retinanet.evaluation.advice import Step
from keras_retinanet.evaluation.explanation import Explanation
from keras_retinanet.evaluation.galleries import KEYS, CaptionedImage
from keras_retinanet.evaluation.groups import Group
from keras_retinanet.evaluation.in_words import share, summary
from keras_retinanet.evaluation.report import figure_lines
from keras_retinanet.evaluation.thresholds import together
from keras_retinanet.utils.html import document, table
from keras_retinanet.utils.text import printable

MOST_CONFUSED = 15  # classes in the confusion matrix, those with most objects
MOST_OF_NAME = 30  # characters of a class name
STYLE = """
nav { margin: 14px 0; display: flex; flex-wrap: wrap; gap: 4px 16px }
a { color: var(--note) } @media (prefers-color-scheme: dark) { a { color: #8ab4ff } }
.summary { font-size: 17px } .summary p { margin: 8px 0 }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(440px, 100%), 1fr));
  gap: 18px } .plot { width: 100%; height: auto; display: block } .plot text { fill: currentColor }
.groups { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(440px, 100%), 1fr));
  gap: 18px }
button.open { border: 0; padding: 0; background: none; width: 100%; cursor: zoom-in; display: block;
  border-radius: 4px } :focus-visible { outline: 3px solid var(--note); outline-offset: 2px }
dialog { border: 0; padding: 12px; border-radius: 8px; background: var(--card); color: var(--ink);
  max-width: 96vw; max-height: 96vh } dialog::backdrop { background: #000a }
dialog img { display: block; width: min(92vw, 1200px); max-height: 82vh; object-fit: contain }
dialog button { margin-top: 8px; font: inherit; padding: 4px 14px }
td.cell { background: color-mix(in srgb, var(--note) calc(var(--share) * 60%), transparent) }
h3 { display: block; margin-top: 22px } dt { font-weight: 600; margin-top: 8px }
dd { margin: 0; overflow-wrap: anywhere; color: var(--soft) }
.steps li { margin: 10px 0 }
.steps pre { margin: 6px 0; white-space: pre-wrap; overflow-wrap: anywhere }
@media (max-width: 600px) { main { padding: 20px 14px 40px } th, td { padding: 4px 8px }
  .images { grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)) } }
"""
SCRIPT = """<script>
const dialog = document.querySelector("dialog"), large = dialog.querySelector("img");
for (const button of document.querySelectorAll("button.open")) button.onclick = () => {
  const image = button.querySelector("img");
  large.src = image.src; large.alt = image.alt;
  dialog.querySelector("p").textContent = image.alt;
  dialog.showModal();
};
dialog.onclick = event => { if (event.target === dialog) dialog.close(); };
</script>"""
DIALOG = (
    '<dialog aria-label="image at full size"><img alt=""><p></p>'
    '<form method="dialog"><button>Close</button></form></dialog>'
)


@dataclasses.dataclass(frozen=True)
class Contents:
    """What the page shows besides the figures.

    Attributes:
        title: its head.
        steps: what to do next.
        plots: SVG elements with their descriptions.
        galleries: (heading, explanation, images).
        circumstances: rows (name, value): how it was measured.
    """

    title: str
    steps: Sequence[Step]
    plots: Sequence[tuple[str, str]]
    galleries: Sequence[tuple[str, str, Sequence[CaptionedImage]]]
    circumstances: Sequence[tuple[str, str]]


SECTIONS = {
    "next": "What to do next",
    "classes": "Classes and thresholds",
    "curves": "Curves",
    "groups": "Groups of objects",
    "confusion": "Confusion and errors",
    "galleries": "Images",
    "measured": "How it was measured",
}


def page(explanation: Explanation, contents: Contents) -> str:
    """Return the page of an explanation."""
    links = "".join(f'<a href="#{key}">{escape(text)}</a>' for key, text in SECTIONS.items())
    return document(
        f"{contents.title}: retinanet-evaluate",
        [
            f"<h1>{escape(contents.title)}</h1>",
            '<section class="card note summary">',
            *[f"<p>{escape(sentence)}</p>" for sentence in summary(explanation)],
            "</section>",
            f'<nav aria-label="sections">{links}</nav>',
            _head("next"),
            _steps(contents.steps),
            _head("classes"),
            f'<p class="soft">At the threshold of each class, chosen by {explanation.rule}. A '
            "detection is right if it finds an object of its class at IoU 0.5. The calibration "
            "error is the mean gap between a score and the share of right detections."
            f"{_about_intervals(explanation)}</p>",
            table(class_rows(explanation)),
            "<details><summary>COCO's figures</summary>",
            f"<pre>{escape(chr(10).join(figure_lines(explanation.metrics)))}</pre></details>",
            _head("curves"),
            _plots(contents.plots),
            _head("groups"),
            _groups(explanation),
            _head("confusion"),
            _confusion(explanation),
            *_breakdown(explanation.metrics),
            _head("galleries"),
            *_galleries(contents.galleries),
            _head("measured"),
            _circumstances(contents.circumstances),
            DIALOG,
            SCRIPT,
        ],
        STYLE,
    )


def class_rows(explanation: Explanation) -> list[list[str]]:
    """Return a row for each class and one for all, after a head."""
    head = ["class", "objects", "AP", "AP50", "threshold", "precision", "recall", "F1"]
    rows = [[*head, "calibration error"]]
    figures = [
        explanation.metrics["per_class"].get(name) or {"AP": None, "AP50": None}
        for name in explanation.matching.class_names
    ]
    limits = explanation.metrics.get("intervals", {"per_class": {}})
    of_classes = [limits["per_class"].get(name) for name in explanation.matching.class_names]
    everything = [
        *zip(explanation.chosen, figures, of_classes, explanation.class_calibration, strict=True),
        (together(explanation.chosen), explanation.metrics, limits, explanation.calibration),
    ]
    for each, figure, interval, calibration in everything:
        rows.append(
            [
                printable(each.name, MOST_OF_NAME),
                f"{each.objects:,}",
                share(figure["AP"]) + _interval(interval, "AP"),
                share(figure["AP50"]) + _interval(interval, "AP50"),
                "" if each.threshold is None else f"{each.threshold:g}",
                *map(share, (each.precision, each.recall, each.f1, calibration.error)),
            ]
        )
    return rows


def _about_intervals(explanation: Explanation) -> str:
    return " 95% intervals are in parentheses." if "intervals" in explanation.metrics else ""


def _interval(limits: dict[str, Any] | None, name: str) -> str:
    """Return the 95% interval of a figure after it, if there is one."""
    low, high = (limits or {}).get(name) or (None, None)
    return "" if low is None else f" ({low:.2f} to {high:.2f})"


def _head(key: str) -> str:
    return f'<h2 id="{key}">{escape(SECTIONS[key])}</h2>'


def _steps(steps: Sequence[Step]) -> str:
    items = [
        f"<li>{escape(step.sentence)}"
        + (f'<pre tabindex="0">{escape(step.command)}</pre>' if step.command else "")
        + "</li>"
        for step in steps
    ]
    if not items:
        return "<p>Nothing stands out in the figures.</p>"
    return f'<ol class="steps">{"".join(items)}</ol>'


def _plots(plots: Sequence[tuple[str, str]]) -> str:
    figures = [
        f'<figure class="chart">{plot}<figcaption>{escape(description)}.</figcaption></figure>'
        for plot, description in plots
    ]
    return f'<div class="plots">{"".join(figures)}</div>'


def _groups(explanation: Explanation) -> str:
    tables = [
        table([[title, "objects", "recall", "precision", "IoU"], *map(_group_row, groups)])
        for title, groups in explanation.groups.items()
    ]
    note = '<p class="soft">At the thresholds; IoU is the mean of found objects.</p>'
    return f'{note}<div class="groups">{"".join(tables)}</div>'


def _group_row(group: Group) -> list[str]:
    shares = map(share, (group.recall, group.precision, group.iou))
    return [group.name, f"{group.objects:,}", *shares]


def _confusion(explanation: Explanation) -> str:
    """Return the confusion matrix as a table whose cells are darker for larger shares."""
    matching, matrix = explanation.matching, explanation.confusion
    labels = sorted(sorted(range(len(matrix) - 1), key=lambda i: -matrix[i].sum())[:MOST_CONFUSED])
    some = "" if len(labels) == len(matrix) - 1 else f" The {len(labels)} most frequent classes."
    names = [printable(matching.class_names[label], MOST_OF_NAME) for label in labels]
    shown = [*labels, len(matrix) - 1]
    head = "".join(f"<th>{escape(name)}</th>" for name in ["", *names, "nothing"])
    lines = [f"<tr>{head}</tr>"]
    for label, name in zip(shown, [*names, "nothing there"], strict=True):
        total = max(int(matrix[label].sum()), 1)
        cells = [
            f'<td class="cell" style="--share:{matrix[label, other] / total:.3f}">'
            f"{matrix[label, other]:,}</td>"
            for other in shown
        ]
        lines.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    note = f'<p class="soft">Rows are labels, columns detections.{some}</p>'
    return f'{note}<div class="wide" tabindex="0"><table>{"".join(lines)}</table></div>'


def _breakdown(metrics: dict[str, Any]) -> list[str]:
    """Return the error breakdown as a table, if it is among the figures."""
    kinds = metrics.get("errors", {}).get("kinds")
    if not kinds:
        return []
    rows = [[kind, f"{each['count']:,}", share(each["AP50"], 3)] for kind, each in kinds.items()]
    note = '<p class="soft">Kinds of errors as TIDE defines them, and the AP50 that each costs.</p>'
    return ["<h3>Errors</h3>", note, table([["error", "number", "AP50 lost"], *rows])]


def _galleries(galleries: Sequence[tuple[str, str, Sequence[CaptionedImage]]]) -> list[str]:
    keys = "".join(
        f'<span class="key" style="background:rgb{colour}"></span>{escape(meaning)}'
        for colour, meaning in KEYS.items()
    )
    parts = [f'<p class="soft">Select an image to enlarge it.{keys}</p>']
    for heading, words, images in galleries:
        figures = "".join(map(_figure, images)) or "<p>None.</p>"
        parts.append(f'<h3>{escape(heading)}</h3><p class="soft">{escape(words)}</p>')
        parts.append(f'<div class="images">{figures}</div>')
    return parts


def _circumstances(rows: Sequence[tuple[str, str]]) -> str:
    lines = [f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows]
    return f"<dl>{''.join(lines)}</dl>"


def _figure(image: CaptionedImage) -> str:
    caption = escape(image.caption)
    return (
        f'<figure><button class="open" type="button"><img src="{image.data}" alt="{caption}" '
        f'loading="lazy"></button><figcaption>{caption}</figcaption></figure>'
    )
