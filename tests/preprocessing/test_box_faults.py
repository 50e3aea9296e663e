"""The states of boxes by hand, and what they mean for clipping."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_retinanet.boxes import area, clip
from keras_retinanet.preprocessing.box_faults import (
    CUT,
    EMPTY,
    GOOD,
    INVERTED,
    NOT_FINITE,
    OUTSIDE,
    box_states,
    usable,
)

SIZE = (40, 30)


@pytest.mark.parametrize(
    ("box", "state"),
    [
        ((0, 0, 40, 30), GOOD),
        ((-1, -1, 41, 31), GOOD),  # by 1 px, which is rounding
        ((-1.5, 0, 40, 30), CUT),
        ((0, 0, 40, 31.5), CUT),
        ((40, 0, 50, 30), OUTSIDE),
        ((-9, 0, 0, 30), OUTSIDE),
        ((0, 30, 9, 40), OUTSIDE),
        ((5, 5, 5, 9), EMPTY),
        ((5, 9, 9, 9), EMPTY),
        ((9, 5, 5, 9), INVERTED),
        ((5, 9, 9, 5), INVERTED),
        ((9, 5, 5, 5), INVERTED),  # before empty
        ((90, 5, 90, 9), EMPTY),  # before outside
        ((5, 5, np.nan, 9), NOT_FINITE),
        ((5, 5, np.inf, 9), NOT_FINITE),
        ((-np.inf, 5, np.inf, 9), NOT_FINITE),
    ],
)
def test_state_of_a_box(box, state):
    boxes = np.array([box], "float32")
    assert box_states(boxes, SIZE).tolist() == [state]
    assert box_states(boxes, np.array([SIZE])).tolist() == [state]
    assert usable(box_states(boxes, SIZE)).tolist() == [state in (GOOD, CUT)]


def test_tolerance():
    boxes = np.array([(-1, 0, 40, 30), (0, 0, 40, 30)], "float32")
    assert box_states(boxes, SIZE, tolerance=0).tolist() == [CUT, GOOD]
    assert box_states(boxes - [[9, 0, 9, 0]], SIZE, tolerance=9).tolist() == [CUT, GOOD]


def test_no_boxes():
    assert box_states(np.zeros((0, 4), "float32"), SIZE).shape == (0,)


NUMBER = st.one_of(st.integers(-60, 60), st.sampled_from([np.nan, np.inf, -np.inf]))


@given(st.lists(st.tuples(NUMBER, NUMBER, NUMBER, NUMBER), max_size=9))
def test_usable_boxes_are_the_finite_ones_that_have_an_area_once_clipped(rows):
    boxes = np.array(rows, "float32").reshape(-1, 4)
    finite = np.isfinite(boxes).all(axis=1)
    clipped = clip(np.where(finite[:, None], boxes, 0), *SIZE)
    assert (usable(box_states(boxes, SIZE)) == (finite & (area(clipped) > 0))).all()
