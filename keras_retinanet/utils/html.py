"""Parts of the HTML pages that commands write; each page is a single self-contained file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --page: #f5f7fa; --card: #fff; --ink: #1b2430; --line: #e2e6ec;
  --soft: #5b6675; --error: #c62828; --warning: #b26a00; --note: #2563eb; --good: #0f7b54;
  --ground: #e1e4e8; --low: #c62828 }
@media (prefers-color-scheme: dark) {
  :root { --page: #12161c; --card: #1b2129; --ink: #e4e8ee; --line: #333c48; --soft: #a3adba;
    --ground: #262e38; --low: #ff8a80 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif }
main { max-width: 1100px; margin: 0 auto; padding: 32px 24px 64px }
h1 { font-size: 26px; margin: 0; overflow-wrap: anywhere }
h2 { font-size: 19px; margin: 40px 0 12px }
h3 { font-size: 16px; margin: 0; display: inline }
p { margin: 6px 0 } .soft { color: var(--soft) }
.verdict { margin: 18px 0; padding: 12px 18px; border-radius: 8px; color: #fff; font-weight: 600 }
.card { background: var(--card); border: 1px solid var(--line); border-left: 5px solid var(--tone);
  border-radius: 8px; padding: 14px 18px; margin: 12px 0 }
.chip { background: var(--tone); color: #fff; border-radius: 4px; padding: 2px 8px;
  font-size: 12px; font-weight: 600; margin-right: 8px; position: relative; top: -1px }
.count { float: right; font-weight: 600; white-space: nowrap; margin-left: 16px }
.error { --tone: var(--error) } .warning { --tone: var(--warning) } .note { --tone: var(--note) }
.good { --tone: var(--good) } .verdict { background: var(--tone) }
.images { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 14px;
  margin: 12px 0 4px }
figure { margin: 0 } figure img { width: 100%; border-radius: 4px; display: block;
  aspect-ratio: 4/3; object-fit: contain; background: var(--ground) }
figcaption { margin-top: 4px }
figcaption, .places { font-size: 12.5px; color: var(--soft); overflow-wrap: anywhere }
details { margin-top: 8px } summary { cursor: pointer; color: var(--soft); font-size: 13.5px }
.places { margin: 6px 0; padding-left: 20px }
.wide { overflow-x: auto }
table { border-collapse: collapse; background: var(--card); font-variant-numeric: tabular-nums }
th, td { padding: 5px 14px; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap }
th { font-weight: 600; color: var(--soft); font-size: 13px }
th:first-child, td:first-child { text-align: left }
tr:last-child td { border-bottom: 0 } .low { color: var(--low); font-weight: 600 }
.charts { display: flex; flex-wrap: wrap; gap: 18px }
.chart { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 14px 16px }
.chart b { display: block; margin-bottom: 10px; font-size: 14px }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft) }
svg text.bin { text-anchor: end; fill: var(--ink) }
.key { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin: 0 6px 0 14px }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px 16px; overflow-x: auto; font-size: 13.5px }
"""


def document(title: str, body: Sequence[str], style: str = "") -> str:
    """Return a page of these parts, which are HTML.

    Args:
        title: of the browser's tab, as text.
        style: CSS after `STYLE`.
    """
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}{style}</style></head><body><main>",
            *body,
            "</main></body></html>\n",
        ]
    )


def table(rows: Sequence[Sequence[str]], is_low: Callable[[str], bool] = lambda text: False) -> str:
    """Return a table of rows of text, the first its head.

    Args:
        is_low: returns True for the text of a cell to be marked in red.
    """
    lines = [
        "<tr>" + "".join(_cell(text, "td" if i else "th", is_low(text)) for text in row) + "</tr>"
        for i, row in enumerate(rows)
    ]
    return f'<div class="wide" tabindex="0"><table>{"".join(lines)}</table></div>'


def _cell(text: str, tag: str, low: bool) -> str:
    return f"<{tag}{' class=low' if low else ''}>{escape(text)}</{tag}>"
