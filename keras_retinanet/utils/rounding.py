"""Whole pixels of `side * target / reference`, by integer arithmetic that fits int32.

Other projects compute sizes in float64, where a product that should be a whole number can come out
just below it: int(49 * (1 / 49)) is 0, and torchvision brings 1 in 20 short sides to 799 px instead
of 800. Exported graphs have no float64, so `drift` derives the direction of that error from the
integers. Everything is exact for sides, targets and references of 1 to 32,767 px.

`xp` is `PLAIN` for Python numbers, `numpy` for arrays, and `export.resizing.GRAPH` in a graph.
"""

from __future__ import annotations

import operator
from types import SimpleNamespace
from typing import Any

# The functions of an array module that the formulas use, for Python numbers. NumPy gives the same,
# but takes ten times as long for a single number.
PLAIN = SimpleNamespace(
    minimum=min,
    maximum=max,
    where=lambda condition, yes, no: yes if condition else no,
    divide=operator.truediv,
    int32=int,
)


def floor(side: Any, target: Any, reference: Any, xp: Any = PLAIN, parts: int = 1) -> Any:
    """Return int(parts * side * (target / reference)) in whole px, as float64 computes it.

    `parts` is 1, or 2 to count half px.
    """
    product = parts * side * target
    below = (product % reference == 0) & (drift(side, target, reference, xp) < 0)
    return product // reference - xp.where(below, 1, 0)


def half_up(side: Any, target: Any, reference: Any, xp: Any = PLAIN) -> Any:
    """Return int(side * (target / reference) + 0.5) in whole px, as float64 computes it."""
    return (floor(side, target, reference, xp, parts=2) + 1) // 2


def half_even(side: Any, target: Any, reference: Any, xp: Any = PLAIN, drift: Any = 0) -> Any:
    """Return `side * target / reference` in whole px, halves to the even neighbour.

    Halves go up or down instead where `drift` is 1 or -1.
    """
    product = 2 * side * target
    halves = product // reference
    upper = (halves + 1) // 2
    tie = (product % reference == 0) & (halves % 2 == 1)
    down = (drift < 0) | ((drift == 0) & (upper % 2 == 1))
    return upper - xp.where(tie & down, 1, 0)


def drift(side: Any, target: Any, reference: Any, xp: Any = PLAIN) -> Any:
    """Return the sign of float64's error in `side * (target / reference)`: -1, 0 or 1.

    Meaningful where the exact product is a whole number or half of one. Two roundings to 53 bits
    cause it: the quotient's, whose remainder after 52 bits is found by long division, and the
    product's, which hides the first error unless it exceeds half a unit in the last place.
    """
    side, target, reference = (fifteen_bits(value, xp) for value in (side, target, reference))
    target = xp.where(target < reference, 2 * target, target)  # the quotient is in [1, 2)
    remainder = target % reference
    for _ in range(4):  # 4 digits of 13 bits
        remainder = remainder * 2**13 % reference
    down = 2 * remainder < reference
    error = xp.where(down, remainder, reference - remainder)  # in units / reference
    # the product is in [1, 4), and its units are twice as large from 2 on, but not just below 2
    two = 2**15 * reference
    unit = xp.where(side * target > xp.where(down, two, two - 1), 2, 1)
    shows = 2 * side * error > 2**14 * reference * unit
    return xp.where(shows, xp.where(down, -1, 1), 0)


def fifteen_bits(value: Any, xp: Any = PLAIN) -> Any:
    """Return a value of 1..32,767 times the power of two that brings it to 2¹⁴..2¹⁵ - 1."""
    for shift in (8, 4, 2, 1):
        value = xp.where(value < 2 ** (15 - shift), value * 2**shift, value)
    return value
