"""One colour for each class."""

from __future__ import annotations

import colorsys

GOLDEN = 0.618033988749895  # steps by this fraction of a circle give well-separated hues


def label_color(label: int) -> tuple[int, int, int]:
    """Return the colour of a label of 0 or more, three ints 0..255; always the same one.

    Raises:
        ValueError: for a negative label.
    """
    label = int(label)
    if label < 0:
        raise ValueError(f"A label must be 0 or more, got {label}.")
    hue = (0.02 + label * GOLDEN) % 1
    saturation = (0.85, 0.6, 1.0)[label % 3]
    value = (1.0, 0.8)[label % 2]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)
