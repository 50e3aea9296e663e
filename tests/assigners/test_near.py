"""Matches from the anchors near the boxes are those that all anchors give, to the last tie."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keras_retinanet import assigners
from keras_retinanet.assigners.iou import BACKGROUND, IGNORE
from keras_retinanet.assigners.near import best_overlaps, near, places_within
from keras_retinanet.boxes import iou
from keras_retinanet.utils.anchor_targets import inside
from keras_retinanet.utils.anchors import AnchorParameters, Grid, grid

# 3 rows and 4 columns of one square of 8 px, centres at 4, 12, ...
SQUARES = Grid(np.array([[3, 4]]), np.array([[8, 8]]), np.array([[[-4, -4, 4, 4]]], "float32"))
ROW, COLUMN = (replace(SQUARES, shapes=np.array([shape])) for shape in ((1, 12), (12, 1)))
DIALECT = {"offset": 0.0, "rounded": True, "fitted_strides": True}
EXACT = [{"name": "iou"}, {"name": "iou", "best_anchor": True}, {"name": "atss"}]


@st.composite
def grids(draw):
    """One to three levels of any shape, also a single row or column, with up to nine anchors."""
    levels = sorted(draw(st.sets(st.integers(2, 7), min_size=1, max_size=3)))
    shapes = [draw(st.tuples(*[st.integers(1, 14)] * 2)) for _ in levels]
    strides = [2**level for level in levels]
    sides = [draw(st.sampled_from([0.4, 1, 2, 3.1, 4, 6])) for _ in levels]
    options = draw(st.sampled_from([{}, {"offset": 0.0}, DIALECT]))
    image_shape = (draw(st.integers(140, 300)), draw(st.integers(140, 300)))
    ratios = draw(st.sampled_from([[1], [0.5, 1, 2], [0.25, 3]]))
    scales = draw(st.sampled_from([[1], [1, 2 ** (1 / 3), 2 ** (2 / 3)], [0.5, 1, 2]]))
    sizes = [side * stride for side, stride in zip(sides, strides, strict=True)]
    params = AnchorParameters(sizes, strides, ratios, scales, **options)
    return grid(image_shape, levels, params, lambda *_: shapes)


@st.composite
def boxes(draw):
    """Tiny, huge, on the grid or off it, partly or wholly outside, without area, inverted."""
    position = st.integers(-4, 60).map(lambda n: 4 * n) | st.floats(-40, 260, width=32)
    side = st.sampled_from([0, 0.001, 0.5, 4, 8, 32, 64, 3000]) | st.floats(-2, 300, width=32)
    rows = draw(st.lists(st.tuples(position, position, side, side), min_size=1, max_size=6))
    x, y, width, height = np.array(rows, "float32").T
    found = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=1)
    return np.repeat(found, draw(st.integers(1, 2)), axis=0)


@st.composite
def configs(draw):
    """An assigner: its thresholds met, crossed, 0, 1 and below 0, any number of candidates."""
    if draw(st.booleans()):
        return {"name": "atss", "top_k": draw(st.sampled_from([1, 2, 5, 9, 40]))}
    overlap = st.sampled_from([-0.1, 0, 1e-4, 0.05, 0.3, 0.4, 0.5, 0.7, 1])
    return {
        "name": "iou",
        "positive_overlap": draw(overlap),
        "negative_overlap": draw(overlap),
        "best_anchor": draw(st.booleans()),
    }


@settings(max_examples=120, deadline=None)
@given(grids(), boxes(), st.sampled_from(EXACT) | configs(), st.none() | st.integers(0, 99))
@example(ROW, np.array([[0, 0, 96, 8]], "float32"), {"name": "atss"}, None)
@example(COLUMN, np.array([[0, 0, 8, 96]], "float32"), {"name": "atss"}, None)
# half-way between two places in float32, but not quite
@example(SQUARES, np.array([[9.3, 8, 22.7, 16]], "float32"), {"name": "atss", "top_k": 1}, None)
def test_matches_are_those_of_all_anchors(grid, boxes, config, seed):
    ignore = None if seed is None else np.random.default_rng(seed).random(len(boxes)) < 0.3
    assign = assigners.get(config)
    found = assigners.match(assign, grid, boxes, ignore)
    np.testing.assert_array_equal(found, assign(grid.anchors, boxes, ignore, grid.counts()))


@pytest.mark.parametrize("config", EXACT)
def test_few_anchors_of_a_large_image_are_looked_at(config):
    places = grid((800, 1344))
    random = np.random.default_rng(0)
    low = random.uniform(0, [1200, 700], (20, 2))
    boxes = np.concatenate([low, low + random.uniform(8, 100, (20, 2))], 1).astype("float32")
    assign = assigners.get(config)
    seen = assign.candidates(places, boxes)
    assert seen.mean() < 0.02  # 4,032 of 201,600 anchors
    found = assigners.match(assign, places, boxes)
    np.testing.assert_array_equal(found, assign(places.anchors, boxes, None, places.counts()))
    assert (found >= 0).any()


def test_an_assigner_and_its_candidates_travel_to_other_processes():
    assign = pickle.loads(pickle.dumps(assigners.get({"name": "atss", "top_k": 1})))
    box = np.array([[0, 0, 7, 7]], "float32")
    assert assigners.match(assign, SQUARES, box).tolist() == [0, *[BACKGROUND] * 11]


@pytest.mark.parametrize("config", EXACT)
def test_without_boxes_all_is_background(config):
    none = np.zeros((0, 4), "float32")
    found = assigners.match(assigners.get(config), SQUARES, none, np.zeros(0, bool))
    assert (found == BACKGROUND).all()
    assert found.dtype == "int32"


@pytest.mark.parametrize("size", [(32, 24), (21, 24), (20, 12), (20.5, 12.5), (0, 0), (3, 24)])
def test_anchors_centred_outside_the_image_are_ignored(size):
    box = np.array([[0, 0, 8, 8]], "float32")
    found = assigners.match(assigners.get("iou"), SQUARES, box, None, size)
    within = inside(SQUARES.anchors, *size)
    np.testing.assert_array_equal(found == IGNORE, ~within)
    assert (found[0] == 0) == within[0]


def test_places_within_by_hand():
    # strides 8 and 16: centres at 4, 12, 20, 28 and at 8, 24; one on the border is outside
    strides = np.array([[8, 8], [16, 16]])
    assert places_within((28, 24), strides).tolist() == [[3, 3], [2, 1]]
    assert places_within([[29, 0], [8, 4]], strides).tolist() == [
        [[4, 0], [2, 0]],
        [[1, 0], [0, 0]],
    ]


def test_places_within_of_other_centres():
    # centres at 0, 8, 16, 24 across and at 0, 6, 12 down
    strides = np.array([[8, 6]])
    assert places_within((24, 13), strides, 0).tolist() == [[3, 3]]
    assert places_within((24.5, 12), strides, 0).tolist() == [[4, 2]]
    assert places_within((0, 1), strides, 0).tolist() == [[0, 1]]


def test_near_by_hand():
    # from (12, 12) 8 px across reach the columns at 4, 12 and 20, 0 px down the row at 12 alone
    box = np.array([[10, 10, 14, 14]], "float32")
    found = near(SQUARES, box, np.array([[[[8, 0]]]]))
    assert found.reshape(3, 4).astype(int).tolist() == [[0] * 4, [1, 1, 1, 0], [0] * 4]
    assert not near(SQUARES, box, np.array([[[[-1e-9, 8]]]])).any()
    assert near(SQUARES, box, np.array([[[[np.inf, np.inf]]]])).all()


@pytest.mark.parametrize(
    "options", [{}, {"offset": 0}, {"rounded": True, "fitted_strides": True, "offset": 0.25}]
)
def test_the_nearest_place_is_the_best(options):
    random = np.random.default_rng(0)
    places = grid((165, 103), [3, 4], AnchorParameters([20, 60], [8, 16], **options))
    low = random.uniform(-20, 120, (50, 2))
    boxes = np.concatenate([low, low + random.uniform(0, 90, (50, 2))], 1).astype("float32")
    overlaps = iou(places.anchors[:, None], boxes[None])  # (N, M)
    levels = np.split(overlaps, np.cumsum(places.counts())[:-1])
    best = np.stack([level.reshape(-1, 9, 50).max(axis=0).T for level in levels], axis=1)
    np.testing.assert_allclose(best_overlaps(boxes, places), best, rtol=1e-4, atol=1e-6)
    assert not best_overlaps(boxes, places, np.zeros((50, 2, 2), int)).any()
