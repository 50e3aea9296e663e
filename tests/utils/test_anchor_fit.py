"""Anchors fitted to boxes: what is reached, on boxes that were not fitted to either."""

import numpy as np
import pytest

from keras_retinanet.boxes import iou
from keras_retinanet.utils.anchor_fit import fit_anchors, reach
from keras_retinanet.utils.anchor_targets import inside
from keras_retinanet.utils.anchors import AnchorParameters, anchors_for_shape

SIZE = (640, 512)  # px


def drawn(count, side, ratio, spread=0.15, seed=0):
    """Boxes (count, 4) about `side` px large and `ratio` times as high as wide, and their images'
    sizes (count, 2).
    """
    random = np.random.default_rng(seed)
    side = side * np.exp(random.normal(0, spread, count))
    root = np.sqrt(ratio * np.exp(random.normal(0, spread, count)))
    half = np.stack([side / root, side * root], axis=1) / 2
    middle = random.uniform(half, np.array(SIZE) - half)
    boxes = np.concatenate([middle - half, middle + half], axis=1).astype("float32")
    return boxes, np.tile(SIZE, (count, 1))


def share(boxes, sizes, anchors=None, levels=None):
    return (reach(boxes, sizes, anchors, levels) >= 0.5).mean()


def test_reach_is_the_best_of_all_anchors_in_the_image():
    random = np.random.default_rng(0)
    params = AnchorParameters([24, 50], [8, 16], [0.5, 1, 2], [1, 1.5])
    sizes = random.integers(3, 120, (60, 2))
    low = random.uniform(-5, 100, (60, 2))
    boxes = np.concatenate([low, low + random.uniform(0, 80, (60, 2))], 1).astype("float32")
    anchors = anchors_for_shape((128, 128), [3, 4], params)
    expected = [
        iou(anchors[inside(anchors, *size)], box).max(initial=0)
        for box, size in zip(boxes, sizes, strict=True)
    ]
    found = reach(boxes, sizes, params, [3, 4])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert (found == 0).any()  # images without the centre of an anchor are among them


def test_reach_in_several_blocks(monkeypatch):
    boxes, sizes = drawn(25, 40, 1)
    together = reach(boxes, sizes)
    monkeypatch.setattr("keras_retinanet.utils.anchor_fit.BLOCK", 10)
    np.testing.assert_array_equal(reach(boxes, sizes), together)
    assert reach(boxes[:0], sizes[:0]).shape == (0,)


@pytest.mark.parametrize(("side", "ratio"), [(18, 1), (60, 0.2), (90, 6)])
def test_the_fit_reaches_boxes_that_the_default_misses(side, ratio):
    anchors, levels = fit_anchors(*drawn(300, side, ratio))
    held_out = drawn(300, side, ratio, seed=1)
    assert share(*held_out) < 0.5
    assert share(*held_out, anchors, levels) > 0.95


def test_the_values_are_short_and_the_same_every_time():
    boxes, sizes = drawn(300, 30, 0.5)
    anchors, levels = fit_anchors(boxes, sizes)
    again, _ = fit_anchors(boxes, sizes)
    assert anchors.get_config() == again.get_config()
    assert anchors.num_anchors() == 9
    assert anchors.strides == [2**level for level in levels]
    factors = {size / stride for size, stride in zip(anchors.sizes, anchors.strides, strict=True)}
    assert len(factors) == 1
    assert anchors.sizes[0] == int(anchors.sizes[0])
    for value in [*anchors.ratios, *anchors.scales]:
        assert np.float32(f"{value:.3g}") == value
    assert anchors.scales[0] == 1
    assert sorted(anchors.scales) == anchors.scales.tolist()
    assert sorted(anchors.ratios) == anchors.ratios.tolist()


def test_levels_that_no_box_needs_are_left_out():
    _, levels = fit_anchors(*drawn(200, 24, 1))
    assert levels == [3, 4, 5]
    small, sizes = drawn(200, 24, 1)
    large = np.array([[0, 0, 1000, 1000]], "float32") + np.zeros((200, 1), "float32")
    boxes, sizes = np.concatenate([small, large]), np.concatenate([sizes, sizes + 700])
    anchors, levels = fit_anchors(boxes, sizes)
    assert levels == [3, 4, 5, 6, 7]
    assert share(boxes, sizes, anchors, levels) > 0.95


def test_levels_may_be_given():
    boxes, sizes = drawn(200, 24, 1)
    assert fit_anchors(boxes, sizes, levels=[4, 6])[1] == [4, 6]
    assert fit_anchors(boxes, sizes, levels=[4, 6])[0].strides == [16, 64]


def test_a_level_for_the_tiny_is_there_for_the_asking():
    boxes, sizes = drawn(100, 9, 1)
    coarse = fit_anchors(boxes, sizes)
    fine = fit_anchors(boxes, sizes, finest=2)
    assert (coarse[1][0], fine[1][0]) == (3, 2)
    assert share(boxes, sizes, *fine) > share(boxes, sizes, *coarse)
    assert fit_anchors(*drawn(50, 60, 1), finest=2)[1][0] == 3


def test_classes_count_alike():
    # squares of many kinds, and a few boxes of another shape, for which some squares are to be left
    many, sizes = drawn(1000, 64, 1, spread=0.35)
    few, others = drawn(40, 64, 3.5)
    boxes, sizes = np.concatenate([many, few]), np.concatenate([sizes, others])
    labels = np.repeat([0, 1], [1000, 40])
    one = {"num_ratios": 1, "num_scales": 1}
    blind = reach(boxes, sizes, *fit_anchors(boxes, sizes, **one))
    fair = reach(boxes, sizes, *fit_anchors(boxes, sizes, labels, **one))

    def worst(best):
        return min((best[labels == label] >= 0.5).mean() for label in (0, 1))

    assert worst(fair) > worst(blind) + 0.3


def test_boxes_that_the_default_fits_keep_it():
    anchors = anchors_for_shape(SIZE[::-1])
    boxes = anchors[inside(anchors, *SIZE)][::50]
    params, levels = fit_anchors(boxes, np.tile(SIZE, (len(boxes), 1)))
    assert params is AnchorParameters.default
    assert levels == [3, 4, 5, 6, 7]


@pytest.mark.parametrize("boxes", [np.zeros((0, 4), "float32"), np.ones((2, 4), "float32")])
def test_without_boxes_it_is_the_default(boxes):
    params, levels = fit_anchors(boxes, np.full((len(boxes), 2), 64))
    assert params is AnchorParameters.default
    assert levels == [3, 4, 5, 6, 7]


def test_where_no_anchor_stands_in_the_images_there_is_nothing_to_fit():
    # the first centre of level 7 lies at 64
    boxes = np.array([[0, 0, 60, 60]], "float32")
    for side, sizes in ((64, [512]), (65, [128])):
        params, levels = fit_anchors(boxes, np.array([[side, side]]), levels=[7])
        assert (params.sizes, levels) == (sizes, [7])


def test_one_anchor_a_place():
    boxes, sizes = drawn(200, 30, 3)
    params, levels = fit_anchors(boxes, sizes, num_ratios=1, num_scales=1)
    assert params.num_anchors() == 1
    assert params.ratios[0] == pytest.approx(3, rel=0.2)
    assert share(boxes, sizes, params, levels) > 0.9
    params, _ = fit_anchors(boxes[:0], sizes[:0], num_ratios=1, num_scales=2)
    assert params.get_config()["ratios"] == [1]


def test_many_boxes_are_sampled(monkeypatch):
    monkeypatch.setattr("keras_retinanet.utils.anchor_fit.MOST", 200)
    boxes, sizes = drawn(2000, 18, 1)
    assert share(boxes, sizes, *fit_anchors(boxes, sizes)) > 0.95
