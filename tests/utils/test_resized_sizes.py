"""Sizes of every resize rule, against the float64 arithmetic of the projects that made them."""

import keras
import numpy as np
import pytest

from keras_retinanet.utils import rounding
from keras_retinanet.utils.resizing import RESIZES, borders_kerashub
from keras_retinanet.utils.rounding import PLAIN

SIDES = [(800, 1333), (600, 1000), (640, 640), (512, 853), (33, 47), (1024, 4096), (4096, 4096)]


def every_size():
    """Each side of 1..3000 px beside a spread of others, double itself and random ones to 16384."""
    sides = np.arange(1, 3001)
    rng = np.random.default_rng(0)
    spread = [1, 3, 49, 375, 480, 640, 1333, 2000, 2666]
    others = [*(np.full(3000, other) for other in spread), sides, 2 * sides, 3 * sides]
    others += list(rng.integers(1, 3001, (4, 3000)))
    pairs = [(sides, other) for other in others] + [(other, sides) for other in others]
    return np.hstack([*(np.stack(pair) for pair in pairs), rng.integers(1, 16385, (2, 20000))])


SIZES = every_size()  # (2, 116000): width, height


def fraction_of(sizes, min_side, max_side):
    """The smaller of the two factors in float64."""
    return np.minimum(min_side / sizes.min(axis=0), max_side / sizes.max(axis=0))


def keras_retinanet(sizes, min_side, max_side):
    short, long = sizes.min(axis=0), sizes.max(axis=0)
    scale = min_side / short
    scale = np.where(long * scale > max_side, max_side / long, scale)
    return np.rint(sizes * scale)  # cv2's cvRound


def torchvision(sizes, min_side, max_side):
    return np.floor(sizes * fraction_of(sizes, min_side, max_side))


def mmdetection(sizes, min_side, max_side):
    return np.floor(sizes * fraction_of(sizes, min_side, max_side) + 0.5)


def detectron2(sizes, min_side, max_side):
    """ResizeShortestEdge, step by step."""
    width, height = sizes
    scale = min_side * 1.0 / sizes.min(axis=0)
    wide = np.where(height < width, scale * width, min_side)
    high = np.where(height < width, min_side, scale * height)
    longest = np.maximum(wide, high)
    scale = np.where(longest > max_side, max_side * 1.0 / longest, 1.0)
    return np.floor(np.stack([wide * scale, high * scale]) + 0.5)


def opencv(sizes, min_side, max_side):
    """Exact: halves to the even neighbour, as Python rounds a fraction."""
    short, long = sizes.min(axis=0), sizes.max(axis=0)
    by_short = min_side * long <= max_side * short
    target, side = np.where(by_short, min_side, max_side), np.where(by_short, short, long)
    whole, rest = sizes * target // side, sizes * target % side
    return whole + (2 * rest + whole % 2 > side)


ORACLES = {
    "opencv": opencv,
    "keras-retinanet": keras_retinanet,
    "torchvision": torchvision,
    "detectron2": detectron2,
    "mmdetection": mmdetection,
}


def kerashub_borders(sizes, min_side, max_side):
    """Pixels that Keras's resize pads an image with, in float32 as there: (2, n), x and y."""
    width, height = sizes.astype("int32")
    wide = ((height * max_side).astype("float32") / np.float32(min_side)).astype("int32")
    high = ((width * min_side).astype("float32") / np.float32(max_side)).astype("int32")
    padding = np.stack([np.maximum(wide - width, 0), np.maximum(high - height, 0)])
    return (padding.astype("float32") / 2).astype("int32")


def fit_all(rule, sides, xp=np, sizes=SIZES):
    return RESIZES[rule].formula(tuple(sizes.astype("int32")), *sides, xp)


@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("rule", ORACLES)
def test_sizes_are_those_of_the_project(rule, sides):
    expected = np.maximum(ORACLES[rule](SIZES, *sides), 1)
    different = (np.stack(fit_all(rule, sides).size) != expected).any(axis=0)
    if rule != "detectron2":
        assert not different.any()
        return
    # Detectron2 rounds four times before a half: only sizes that max_side limits to n + 1/2 px
    short, long = SIZES[:, different].min(axis=0), SIZES[:, different].max(axis=0)
    assert (2 * sides[1] * short % long == 0).all()
    assert (sides[0] * long > sides[1] * short).all()


def test_how_many_sizes_differ_from_detectron2():
    short, long = np.triu_indices(3000, 1)
    sizes = np.stack([long, short]) + 1
    sizes = sizes[:, 800 * sizes[0] > 1333 * sizes[1]]
    ours = np.stack(fit_all("detectron2", (800, 1333), sizes=sizes).size)
    theirs = np.maximum(detectron2(sizes, 800, 1333), 1)
    assert ours.shape[1] == 2_700_099
    assert (ours != theirs).any(axis=0).sum() == 524
    assert (ours - theirs).max() == 1
    assert (ours >= theirs).all()


@pytest.mark.parametrize("sides", SIDES)
def test_kerashub_pads_as_in_float32(sides):
    sizes = SIZES[:, SIZES.max(axis=0) <= 12800]  # float32 is exact so far
    fit = fit_all("kerashub", sides, sizes=sizes)
    borders = kerashub_borders(sizes, *sides)
    assert fit.frame == sides[::-1]
    for axis in range(2):
        bordered = sizes[axis] + 2 * borders[axis]
        np.testing.assert_allclose(fit.scale[axis], fit.frame[axis] / bordered)
        np.testing.assert_allclose(fit.offset[axis], borders[axis] * fit.scale[axis])
        exact = np.maximum(fit.scale[axis] * sizes[axis], 1)
        assert (np.abs(fit.size[axis] - exact) <= 0.5 + 1e-9).all()


def test_how_many_borders_differ_from_kerashub():
    # a side of 1..16384 px decides both borders; the other is 1 px, so that nothing is subtracted
    sides = np.arange(1, 16385)
    ours, theirs = [], []
    for sizes in (np.stack([sides, sides * 0 + 1]), np.stack([sides * 0 + 1, sides])):
        ours.append(borders_kerashub(sizes.astype("int32"), (1333, 800), np))
        theirs.append(kerashub_borders(sizes, 800, 1333))
    different = (np.array(ours) != np.array(theirs)).any(axis=(0, 1))
    assert different.sum() == 3
    assert sides[different].min() == 12803


@pytest.mark.parametrize("rule", RESIZES)
def test_python_numbers_give_the_sizes_of_numpy(rule):
    sizes = SIZES[:, ::401]
    arrays = fit_all(rule, (600, 1000), sizes=sizes)
    for index, size in enumerate(sizes.T.tolist()):
        fit = RESIZES[rule].fit(size, 600, 1000)
        assert fit.size == tuple(side[index] for side in arrays.size)
        assert {type(side) for side in (*fit.size, *fit.frame)} == {int}
        np.testing.assert_allclose(fit.scale, [scale[index] for scale in arrays.scale])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the graph is TensorFlow's")
@pytest.mark.parametrize("rule", RESIZES)
def test_a_graph_gives_the_sizes_of_numpy(rule, graphs):
    import tensorflow as tf

    from keras_retinanet.export.resizing import GRAPH

    spec = [tf.TensorSpec((None,), tf.int32)] * 2
    for sides in SIDES:
        graph = tf.function(
            lambda *size, sides=sides: RESIZES[rule].formula(size, *sides, GRAPH),
            input_signature=spec,
        )
        found, expected = graph(*SIZES.astype("int32")), fit_all(rule, sides)
        np.testing.assert_array_equal(found.size, expected.size)
        for axis in range(2):
            assert found.scale[axis].dtype == np.float32
            assert found.size[axis].dtype == np.int32
            np.testing.assert_array_equal(found.scale[axis], np.float32(expected.scale[axis]))
            np.testing.assert_allclose(found.offset[axis], expected.offset[axis], rtol=2e-7)


def products():
    """Random (side, target, reference) to 32767 whose product is a whole number, and its error."""
    rng = np.random.default_rng(0)
    side, target, reference = rng.integers(1, 32768, (3, 2_000_000), "int32")
    step = reference // np.gcd(side, reference)
    target = target // step * step
    side, target, reference = (values[target > 0] for values in (side, target, reference))
    exact = side.astype("int64") * target // reference
    return (side, target, reference), np.sign(side * (target / reference) - exact)


def test_drift_is_the_error_of_float64():
    values, error = products()
    assert np.unique(error, return_counts=True)[1].min() > 5000  # below, exact and above
    found = rounding.drift(*values, np)
    assert found.max() == 1
    np.testing.assert_array_equal(found, error)


def test_drift_by_hand():
    assert 49 * (1 / 49) < 1
    assert rounding.drift(49, 1, 49) == -1
    assert rounding.floor(49, 1, 49) == 0
    assert rounding.drift(4, 3, 2) == 0
    assert rounding.floor(4, 3, 2) == 6


def test_halves_by_hand():
    assert [rounding.half_even(side, 1, 2) for side in (1, 3, 5, 7)] == [0, 2, 2, 4]
    assert [rounding.half_even(side, 1, 2, drift=1) for side in (1, 3, 5, 7)] == [1, 2, 3, 4]
    assert [rounding.half_even(side, 1, 2, drift=-1) for side in (1, 3, 5, 7)] == [0, 1, 2, 3]
    assert [rounding.half_up(side, 1, 2) for side in (1, 3, 5, 7)] == [1, 2, 3, 4]


def test_the_largest_sides_fit_int32():
    most = np.int32(32767)
    with np.errstate(over="raise"):
        for side, target, reference in [(most, most, most), (most, most, np.int32(16385))]:
            plain = [int(value) for value in (side, target, reference)]
            for function in (rounding.floor, rounding.half_up, rounding.half_even, rounding.drift):
                assert function(side, target, reference, np) == function(*plain, PLAIN)
