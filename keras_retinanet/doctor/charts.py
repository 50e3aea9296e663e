"""Histograms and shares as inline SVG."""

import html

COLOURS = ("#2563eb", "#e08a00", "#0f9d72", "#8b5cf6", "#d6336c", "#64748b")  # one for each set
LABEL, BAR, VALUE, THICK, GAP = 76, 150, 40, 8, 8  # px


def bars(histogram):
    """A `Histogram` as horizontal bars, one colour for each set."""
    sets = list(histogram.shares)
    row = THICK * len(sets) + GAP
    most = max(float(shares.max(initial=0)) for shares in histogram.shares.values()) or 1
    parts = []
    for i, name in enumerate(histogram.bins):
        top = i * row
        middle = top + THICK * len(sets) / 2 + 4
        shares = [float(histogram.shares[one][i]) for one in sets]
        parts.append(f'<text x="{LABEL - 6}" y="{middle}" class="bin">{html.escape(name)}</text>')
        for j, (one, share) in enumerate(zip(sets, shares, strict=True)):
            parts.append(
                f'<rect x="{LABEL}" y="{top + j * THICK}" width="{BAR * share / most:.1f}" '
                f'height="{THICK - 1}" fill="{colour(j)}"><title>{html.escape(one)}: {share:.1%}'
                "</title></rect>"
            )
        if max(shares):
            x = LABEL + BAR * max(shares) / most + 4
            parts.append(f'<text x="{x:.1f}" y="{middle}">{percent(shares[0])}</text>')
    size = f'width="{LABEL + BAR + VALUE}" height="{row * len(histogram.bins)}"'
    return f'<svg {size} role="img" aria-label="{html.escape(histogram.title)}">' + "".join(
        [*parts, "</svg>"]
    )


def colour(index):
    return COLOURS[index % len(COLOURS)]


def percent(share):
    """A share as text: "12%", and "<1%" where rounding would hide it."""
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"
