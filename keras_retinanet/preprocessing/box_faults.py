"""The faults of a box: the one definition for reading, training and the doctor."""

import numpy as np
from numpy.typing import ArrayLike

TOLERANCE = 1  # px that a box may stick out of its image by rounding

# the state of a box; the first that applies, from NOT_FINITE on
GOOD, NOT_FINITE, INVERTED, EMPTY, OUTSIDE, CUT = range(6)


def box_states(boxes: np.ndarray, sizes: ArrayLike, tolerance: float = TOLERANCE) -> np.ndarray:
    """Return the state of each box: (n,) int, `GOOD` to `CUT`.

    NOT_FINITE: a coordinate is NaN or infinite; INVERTED: x2 < x1 or y2 < y1; EMPTY: no width or no
    height; OUTSIDE: no part lies in the image; CUT: a part of over `tolerance` px sticks out.

    Args:
        boxes: (n, 4) xyxy px.
        sizes: (n, 2) or (2,), width and height of the boxes' images in px.
        tolerance: px.
    """
    x1, y1, x2, y2 = boxes.T
    width, height = np.asarray(sizes).T
    beyond = np.max([-x1, -y1, x2 - width, y2 - height], axis=0)  # (n,) px
    return np.select(
        [
            ~np.isfinite(boxes).all(axis=1),
            (x2 < x1) | (y2 < y1),
            (x2 == x1) | (y2 == y1),
            (x1 >= width) | (y1 >= height) | (x2 <= 0) | (y2 <= 0),
            beyond > tolerance,
        ],
        [NOT_FINITE, INVERTED, EMPTY, OUTSIDE, CUT],
        GOOD,
    )


def usable(states: np.ndarray) -> np.ndarray:
    """Return a mask (n,) of the boxes that can be trained on once clipped to their image."""
    return np.isin(states, (GOOD, CUT))
