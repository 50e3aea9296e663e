"""Box coders: values by hand, round trips, and extreme predictions."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_retinanet import coders
from keras_retinanet.errors import InputError

pytestmark = pytest.mark.core

ALL = [
    {"name": "center_size"},
    {"name": "center_size", "variances": (0.1, 0.1, 0.2, 0.2)},
    {"name": "center_size", "variances": (1, 1, 1, 1), "clamp": "both"},
    {"name": "center_size", "clamp": "none"},
    {"name": "corners"},
    {"name": "corners", "mean": (0.1, -0.2, 0.3, 0), "std": (0.1, 0.2, 0.3, 0.4)},
    {"name": "distances"},
    {"name": "distances", "unit": 0.5},
]


@pytest.fixture(params=ALL, ids=lambda config: f"{config['name']}-{len(config)}")
def coder(request):
    return coders.get(request.param)


def some_boxes(count, seed):
    random = np.random.default_rng(seed)
    low = random.uniform(0, 1200, (count, 2))
    return np.concatenate([low, low + random.uniform(12, 600, (count, 2))], 1).astype("float32")


def test_center_size_equals_a_calculation_by_hand(calculate):
    # The anchor is 20 x 10 about (10, 5); the box is 40 x 5 about (30, 10):
    # dx = 20 / 20, dy = 5 / 10, dw = log 2, dh = log 0.5; variances 0.1 and 0.2 divide them.
    anchor = np.array([[0, 0, 20, 10]], "float32")
    box = np.array([[10, 7.5, 50, 12.5]], "float32")
    plain = [1, 0.5, math.log(2), -math.log(2)]
    coder = coders.center_size()
    np.testing.assert_allclose(calculate(coder.encode, anchor, box), [plain], rtol=1e-6)
    ssd = coders.center_size((0.1, 0.1, 0.2, 0.2))
    values = calculate(ssd.encode, anchor, box)
    np.testing.assert_allclose(values, [[10, 5, plain[2] / 0.2, plain[3] / 0.2]], rtol=1e-6)
    np.testing.assert_allclose(calculate(ssd.decode, anchor, values), box, rtol=1e-5)


def test_corners_equals_a_calculation_by_hand(calculate):
    # The anchor is 20 x 10. x1 moves by 4 / 20 = 0.2 and y1 by -1 / 10, x2 by 0, y2 by 5 / 10;
    # all are divided by 0.2.
    anchor = np.array([[0, 0, 20, 10]], "float32")
    box = np.array([[4, -1, 20, 15]], "float32")
    coder = coders.corners()
    values = calculate(coder.encode, anchor, box)
    np.testing.assert_allclose(values, [[1, -0.5, 0, 2.5]], rtol=1e-6)
    np.testing.assert_allclose(calculate(coder.decode, anchor, values), box, rtol=1e-6)


def test_corners_subtracts_mean_and_divides_by_std(calculate):
    # x1 moves by 0.2 of the width: (0.2 - 0.1) / 0.5
    coder = coders.corners(mean=(0.1, 0, 0, 0), std=(0.5, 1, 1, 1))
    anchor = np.array([[0, 0, 20, 10]], "float32")
    values = calculate(coder.encode, anchor, np.array([[4, 0, 20, 10]], "float32"))
    np.testing.assert_allclose(values, [[0.2, 0, 0, 0]], rtol=1e-6)


def test_zero_decodes_to_the_anchor(calculate):
    anchors = some_boxes(7, 1)
    for coder in (coders.center_size(), coders.corners()):
        decoded = calculate(coder.decode, anchors, np.zeros((7, 4), "float32"))
        np.testing.assert_allclose(decoded, anchors, rtol=1e-5)


def test_decode_inverts_encode(calculate, coder):
    anchors, boxes = some_boxes(50, 2), some_boxes(50, 3)
    values = calculate(coder.encode, anchors, boxes)
    decoded = calculate(coder.decode, anchors, values)
    assert values.shape == (50, coder.size)
    assert values.dtype == decoded.dtype == "float32"
    np.testing.assert_allclose(decoded, boxes, rtol=1e-3, atol=2e-3)


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(*[st.floats(-500, 500)] * 2, *[st.floats(1, 800)] * 2),
    st.tuples(*[st.floats(-500, 500)] * 2, *[st.floats(16, 512)] * 2),
)
def test_decode_inverts_encode_of_any_box(box, anchor):
    box, anchor = (np.array([[x, y, x + w, y + h]], "float64") for x, y, w, h in (box, anchor))
    for config in ALL:
        if config.get("clamp") == "both":
            continue  # it bounds small boxes
        coder = coders.get(config)
        decoded = coder.decode(anchor, coder.encode(anchor, box))
        np.testing.assert_allclose(decoded, box, rtol=1e-4, atol=1e-3)


def test_a_batch_shares_its_anchors(calculate, coder):
    anchors = some_boxes(6, 4)
    boxes = np.stack([some_boxes(6, 5), some_boxes(6, 6)])  # (2, 6, 4)
    together = calculate(coder.encode, anchors[None], boxes)
    each = [coder.encode(anchors, image) for image in boxes]
    np.testing.assert_allclose(together, each, rtol=1e-4, atol=1e-5)


def test_growth_is_clamped(calculate):
    # the side is at most 1000 / 16 of the anchor's: 16 px become 1000 px, about the centre (8, 8)
    anchor = np.array([[0, 0, 16, 16]], "float32")
    for wild in (10.0, 1e4, 3e38, np.inf):
        values = np.array([[0, 0, wild, wild]], "float32")
        decoded = calculate(coders.center_size().decode, anchor, values)
        np.testing.assert_allclose(decoded, [[-492, -492, 508, 508]], rtol=1e-4)


def test_shrinking_is_clamped_too_if_asked(calculate):
    # 1000 px become 16 px about the centre (500, 500), where exp(-9) would leave 0.12 px
    coder = coders.get({"name": "center_size", "clamp": "both"})
    anchor = np.array([[0, 0, 1000, 1000]], "float32")
    for value, side in ((-9, 16), (-np.inf, 16), (-1, 1000 * math.exp(-1)), (9, 62500)):
        decoded = calculate(coder.decode, anchor, np.array([[0, 0, value, value]], "float32"))
        half = side / 2
        expected = [[500 - half, 500 - half, 500 + half, 500 + half]]
        np.testing.assert_allclose(decoded, expected, rtol=1e-4)
    shrunk = calculate(coders.center_size().decode, anchor, np.array([[0, 0, -9, -9]], "float32"))
    np.testing.assert_allclose(shrunk[0, 2] - shrunk[0, 0], 1000 * math.exp(-9), rtol=1e-2)


def test_growth_is_free_if_asked(calculate):
    # exp(5) = 148.413 of 16 px about the centre (8, 8); the default bounds it at 1000 px
    coder = coders.get({"name": "center_size", "clamp": "none"})
    anchor = np.array([[0, 0, 16, 16]], "float32")
    decoded = calculate(coder.decode, anchor, np.array([[0, 0, 5, -5]], "float32"))
    half = 8 * np.exp([5, -5])
    np.testing.assert_allclose(decoded, [[*(8 - half), *(8 + half)]], rtol=1e-4)


def test_without_a_clamp_boxes_equal_keras():
    random = np.random.default_rng(0)
    values = random.uniform(-6, 6, (50, 4)).astype("float32")  # exp(6) = 403 > 62.5
    anchors = some_boxes(50, 1)
    theirs = keras.utils.bounding_boxes.decode_deltas_to_boxes(
        *map(ops.convert_to_tensor, (anchors, values)), "xyxy", "xyxy", "center_xywh"
    )
    ours = coders.center_size(clamp="none").decode(anchors, values)
    np.testing.assert_allclose(ours, ops.convert_to_numpy(theirs), rtol=1e-4, atol=1e-2)
    assert (np.abs(ours - coders.center_size().decode(anchors, values)) > 100).any()


def test_unknown_clamp_lists_known_ones():
    with pytest.raises(InputError, match="'below'; known: above, both, none"):
        coders.center_size(clamp="below")


def test_clamp_limits_growth_and_not_the_value(calculate):
    # 10 · 0.2 = 2 < log(1000 / 16): not clamped
    coder = coders.center_size((0.1, 0.1, 0.2, 0.2))
    anchor = np.array([[-1, -1, 1, 1]], "float32")
    decoded = calculate(coder.decode, anchor, np.array([[0, 0, 10, -10]], "float32"))
    side = [math.exp(2), math.exp(-2)]
    np.testing.assert_allclose(decoded, [[-side[0], -side[1], *side]], rtol=1e-5)


def test_boxes_without_area_are_encoded_finitely(calculate, coder):
    anchors = np.array([[0, 0, 16, 16]] * 3, "float32")
    boxes = np.array([[4, 4, 4, 9], [8, 8, 3, 3], [-1, -1, -1, -1]], "float32")
    assert np.isfinite(calculate(coder.encode, anchors, boxes)).all()


def test_gradient_of_decoding_is_finite(gradient, coder):
    anchors = some_boxes(3, 7)
    values = np.array([[0.1, 0.2, 0.3, 0.4], [1, 1, 99, 99], [-9, -9, -99, -99]], "float32")

    def total(values):
        return ops.sum(coder.decode(ops.convert_to_tensor(anchors), values, ops))

    assert np.isfinite(gradient(total, values)[1]).all()


def test_no_boxes_keep_their_shape(calculate, coder):
    none = np.zeros((0, 4), "float32")
    assert calculate(coder.encode, none, none).shape == (0, 4)
    assert calculate(coder.decode, none, none).shape == (0, 4)


def test_keras_equals_numpy(coder):
    anchors, boxes = some_boxes(200, 8), some_boxes(200, 9)
    tensors = [ops.convert_to_tensor(array) for array in (anchors, boxes)]
    theirs = ops.convert_to_numpy(coder.encode(*tensors, ops))
    ours = coder.encode(anchors, boxes)
    np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-5)
    values = ops.convert_to_tensor(ours)
    np.testing.assert_allclose(
        ops.convert_to_numpy(coder.decode(tensors[0], values, ops)),
        coder.decode(anchors, ours),
        rtol=1e-4,
        atol=1e-3,
    )


def test_get_rebuilds_a_coder_from_its_config(coder):
    again = coders.get(coder.config)
    assert again.config == coder.config
    assert coders.get(coder) is coder
    anchors, boxes = some_boxes(4, 10), some_boxes(4, 11)
    np.testing.assert_array_equal(again.encode(anchors, boxes), coder.encode(anchors, boxes))


def test_get_does_not_change_the_config():
    config = {"name": "corners", "std": [0.1] * 4}
    assert coders.get(config).config == coders.get(config).config
    assert coders.get("center_size").config["variances"] == (1, 1, 1, 1)


# The anchor is 16 x 32 about (8, 16), its unit 1/8 of a side: 2 px across and 4 px down. The sides
# of the box are 4 and 8 px to the left and right of the centre, 12 and 20 px above and below it.
ANCHOR = np.array([[0, 0, 16, 32]], "float32")
BOX = np.array([[4, 4, 16, 36]], "float32")
DISTANCES = np.array([[4 / 2, 12 / 4, 8 / 2, 20 / 4]], "float32")  # left, top, right, bottom


def test_distances_equals_a_calculation_by_hand(calculate):
    for coder in (coders.distances(), coders.distances(bins=16)):
        np.testing.assert_allclose(calculate(coder.encode, ANCHOR, BOX), DISTANCES, rtol=1e-6)
        np.testing.assert_allclose(calculate(coder.decode, ANCHOR, DISTANCES), BOX, rtol=1e-6)
    halves = calculate(coders.distances(unit=0.5).encode, ANCHOR, BOX)  # units of 8 and 16 px
    np.testing.assert_allclose(halves, DISTANCES / 4, rtol=1e-6)


def test_distances_to_a_side_beyond_the_centre_are_negative(calculate):
    # the box begins 2 px to the right of the centre, one unit
    coder = coders.distances()
    box = np.array([[10, 4, 16, 36]], "float32")
    values = calculate(coder.encode, ANCHOR, box)
    np.testing.assert_allclose(values, [[-1, 3, 4, 5]], rtol=1e-6)
    np.testing.assert_allclose(calculate(coder.decode, ANCHOR, values), box, rtol=1e-6)


def test_distances_start_at_the_anchor(calculate):
    # half a side to each side: 4 eighths, or 2 quarters
    anchors = some_boxes(7, 12)
    for unit, start in ((0.125, 4), (0.25, 2)):
        coder = coders.distances(unit=unit)
        assert coder.start == start
        decoded = calculate(coder.decode, anchors, np.full((7, 4), coder.start, "float32"))
        np.testing.assert_allclose(decoded, anchors, rtol=1e-5, atol=1e-3)
    assert coders.center_size().start == coders.corners().start == 0


def test_size_of_distances_follows_from_bins():
    assert coders.distances().size == 4
    assert coders.distances(bins=16).size == 4 * 17
    assert coders.distances(bins=7).size == 4 * 8


def test_sharp_distributions_decode_to_their_bins(calculate):
    # 8 bins of 0..7; a logit of 50 above the others leaves e⁻⁵⁰ to them
    logits = np.zeros((1, 4, 8), "float32")
    logits[0, range(4), [2, 3, 4, 5]] = 50
    decoded = calculate(coders.distances(bins=7).decode, ANCHOR, logits.reshape(1, 32))
    np.testing.assert_allclose(decoded, BOX, rtol=1e-6)


def test_probability_on_two_bins_decodes_between_them(calculate):
    # weights 1/4 and 3/4 of the bins 2 and 3: 2.75 units of 2 px to the left of 8, 4 px above 16
    logits = np.full((1, 4, 8), -100, "float32")
    logits[..., 2], logits[..., 3] = math.log(1), math.log(3)
    decoded = calculate(coders.distances(bins=7).decode, ANCHOR, logits.reshape(1, 32))
    np.testing.assert_allclose(decoded, [[2.5, 5, 13.5, 27]], rtol=1e-6)


def test_uniform_distributions_decode_to_the_middle(calculate):
    # which is what training starts from: 8 of 16 units, a whole side to each side
    coder = coders.distances(bins=16)
    decoded = calculate(coder.decode, ANCHOR, np.full((1, 68), coder.start, "float32"))
    np.testing.assert_allclose(decoded, [[-8, -16, 24, 48]], rtol=1e-6)


def test_decode_inverts_two_hot_weights(calculate):
    anchors = some_boxes(20, 13)
    center, size = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
    reach = np.random.default_rng(14).uniform(0.1, 1.9, (20, 4)).astype("float32")  # of 2 sides
    boxes = np.concatenate([center - reach[:, :2] * size, center + reach[:, 2:] * size], 1)
    coder = coders.distances(bins=16)
    distances = calculate(coder.encode, anchors, boxes)
    weights = np.maximum(1 - np.abs(distances[..., None] - np.arange(17)), 1e-30)  # (20, 4, 17)
    logits = np.log(weights).astype("float32").reshape(20, 68)
    decoded = calculate(coder.decode, anchors, logits)
    assert decoded.dtype == "float32"
    np.testing.assert_allclose(decoded, boxes, rtol=1e-4, atol=1e-2)


def test_distributions_decode_batches_and_no_boxes(calculate):
    coder, anchors = coders.distances(bins=7), some_boxes(6, 15)
    logits = np.random.default_rng(16).normal(0, 3, (2, 6, 32)).astype("float32")
    together = calculate(coder.decode, anchors[None], logits)
    each = [coder.decode(anchors, image) for image in logits]
    assert together.shape == (2, 6, 4)
    np.testing.assert_allclose(together, each, rtol=1e-4, atol=1e-3)
    assert calculate(coder.decode, anchors[:0], logits[0, :0]).shape == (0, 4)


def test_wild_distributions_decode_within_the_bins(gradient):
    # a mean of 0..7 units of 1/8: no side is further than 7/8 of the anchor's from the centre
    coder = coders.distances(bins=7)
    random = np.random.default_rng(17)
    logits = np.stack([np.tile([1e4, -1e4], 16), random.normal(0, 1e3, 32), np.full(32, 3e38)])

    def total(values):
        return ops.sum(coder.decode(ops.convert_to_tensor(np.tile(ANCHOR, (3, 1))), values, ops))

    _, slope = gradient(total, logits)
    assert np.isfinite(slope).all()
    decoded = coder.decode(ANCHOR, logits.astype("float32"))
    sides = np.concatenate([[8, 16] - decoded[:, :2], decoded[:, 2:] - [8, 16]], 1)
    assert (sides >= 0).all()
    assert (sides <= np.array([14, 28, 14, 28])).all()


def test_get_rebuilds_distances_from_their_config():
    for arguments in ({}, {"bins": 16}, {"bins": 7, "unit": 0.25}):
        coder = coders.distances(**arguments)
        assert coder.config == {"name": "distances", "bins": None, "unit": 0.125, **arguments}
        again = coders.get(coder.config)
        assert again.config == coder.config
        assert (again.size, again.start) == (coder.size, coder.start)
        random = np.random.default_rng(18)
        values = random.normal(0, 1, (1, coder.size)).astype("float32")
        decoded = coder.decode(ANCHOR, values)
        np.testing.assert_array_equal(again.decode(ANCHOR, values), decoded)


def test_unknown_coder_lists_known_ones():
    with pytest.raises(ValueError, match="'polar'; known: center_size, corners, distances"):
        coders.get("polar")
