"""One colour for each class."""

import colorsys

GOLDEN = 0.618033988749895  # steps of this fraction of a circle never come close to each other soon


def label_color(label):
    """The colour of a class, three ints 0..255, for any int >= 0; the same for ever.

    Raises:
        ValueError: for a negative label.
    """
    label = int(label)
    if label < 0:
        raise ValueError(f"Expected a label >= 0. Received: {label}")
    hue = (0.02 + label * GOLDEN) % 1
    saturation = (0.85, 0.6, 1.0)[label % 3]
    value = (1.0, 0.8)[label % 2]
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))
