import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose

from keras_retinanet.utils import transform as t

POINT = t.colvec(3, 2, 1)


def moved(matrix):
    """Return the point to which a matrix moves (3, 2)."""
    x, y, one = (matrix @ POINT).ravel()
    assert one == 1
    return x, y


def prngs():
    return [np.random.RandomState(1), np.random.default_rng(1)]


def test_translation_and_scaling_take_columns():
    assert t.translation(t.colvec(2, 3)).tolist() == [[1, 0, 2], [0, 1, 3], [0, 0, 1]]
    assert t.scaling(t.colvec(2, 3)).tolist() == [[2, 0, 0], [0, 3, 0], [0, 0, 1]]


def test_colvec_is_a_column():
    assert t.colvec(1, 2, 3).tolist() == [[1], [2], [3]]


def test_matrices_move_a_point():
    # a quarter turn takes x to y and y to -x; 30 degrees: 3 cos - 2 sin, 3 sin + 2 cos
    assert_allclose(moved(t.rotation(np.pi / 2)), (-2, 3), atol=1e-12)
    assert_allclose(moved(t.rotation(np.pi / 6)), (3 * 0.8660254 - 1, 1.5 + 2 * 0.8660254))
    assert moved(t.translation((10, -4))) == (13, -2)
    assert moved(t.scaling((2, 0.5))) == (6, 1)
    # x - y sin 30 = 3 - 1, y cos 30
    assert_allclose(moved(t.shear(np.pi / 6)), (2, 2 * 0.8660254))


def test_shear_keeps_the_x_axis_and_the_length_of_the_y_axis():
    matrix = t.shear(0.4)
    assert (matrix @ t.colvec(1, 0, 1)).ravel().tolist() == [1, 0, 1]
    assert_allclose(np.linalg.norm((matrix @ t.colvec(0, 1, 1))[:2]), 1)


def test_aabb_around_a_turned_box():
    # corners (0,0) (4,0) (4,2) (0,2) turned by 90 degrees: (0,0) (0,4) (-2,4) (-2,0)
    box = t.transform_aabb(t.rotation(np.pi / 2), [0, 0, 4, 2])
    assert_allclose(box, [-2, 0, 0, 4], atol=1e-12)
    # a square about the origin turned by 45 degrees: half its diagonal to each side
    box = t.transform_aabb(t.rotation(np.pi / 4), [-1, -1, 1, 1])
    assert_allclose(box, np.sqrt(2) * np.array([-1, -1, 1, 1]))


def test_aabb_of_many_boxes_is_that_of_each():
    matrix = t.rotation(0.3) @ t.translation((5, 1)) @ t.shear(0.2) @ t.scaling((-1, 2))
    boxes = np.array([[0, 0, 4, 2], [1, 5, 9, 6], [-3, -3, 3, 3]], "float32")
    together = t.transform_aabb(matrix, boxes)
    assert together.dtype == np.float32
    for box, result in zip(boxes, together, strict=True):
        x1, y1, x2, y2 = box
        corners = [matrix @ t.colvec(x, y, 1) for x, y in itertools.product((x1, x2), (y1, y2))]
        xs, ys, _ = np.hstack(corners)
        assert_allclose(result, [xs.min(), ys.min(), xs.max(), ys.max()], rtol=1e-6)


def test_aabb_of_no_boxes():
    assert t.transform_aabb(t.rotation(1), np.zeros((0, 4), "float32")).shape == (0, 4)


def test_aabb_of_whole_numbers_is_not_rounded():
    assert_allclose(t.transform_aabb(t.scaling((0.5, 0.25)), [1, 1, 2, 2]), [0.5, 0.25, 1, 0.5])


def test_origin_stays_where_it_is():
    matrix = t.change_transform_origin(t.rotation(1) @ t.scaling((2, 3)), (3, 2))
    assert_allclose(moved(matrix), (3, 2))
    # a flip of x about x = 10 takes 3 to 17
    assert moved(t.change_transform_origin(t.scaling((-1, 1)), (10, 0))) == (17, 2)


@pytest.mark.parametrize("prng", prngs())
def test_random_values_fill_their_ranges(prng):
    angles, sheared, shifts, factors = [], [], [], []
    for _ in range(300):
        turn = t.random_rotation(-0.5, 0.25, prng)
        angles.append(np.arctan2(turn[1, 0], turn[0, 0]))
        lean = t.random_shear(-0.5, 0.25, prng)
        sheared.append(np.arctan2(-lean[0, 1], lean[1, 1]))
        shifts.append(t.random_translation((-10, 20), (-5, 40), prng)[:2, 2])
        factors.append(np.diag(t.random_scaling((0.5, 2), (0.75, 3), prng))[:2])
    for values in (angles, sheared):
        assert -0.5 <= min(values) < -0.45
        assert 0.2 < max(values) <= 0.25
    shifts, factors = np.array(shifts), np.array(factors)
    assert ((shifts >= (-10, 20)) & (shifts <= (-5, 40))).all()
    assert ((factors >= (0.5, 2)) & (factors <= (0.75, 3))).all()
    assert np.corrcoef(factors.T)[0, 1] < 0.3  # the axes are drawn apart


@pytest.mark.parametrize("prng", prngs())
def test_flips_come_as_often_as_asked(prng):
    diagonals = np.array([np.diag(t.random_flip(0.75, 0.25, prng)) for _ in range(1000)])
    assert set(np.unique(diagonals[:, :2])) == {-1, 1}
    # the standard deviation of a share of 1000 is 0.014
    assert abs((diagonals[:, 0] == -1).mean() - 0.75) < 0.06
    assert abs((diagonals[:, 1] == -1).mean() - 0.25) < 0.06
    assert np.diag(t.random_flip(1, 0, prng)).tolist() == [-1, 1, 1]
    assert np.diag(t.random_flip(0, 1, prng)).tolist() == [1, -1, 1]


def test_random_transform_carries_out_its_parts_in_order():
    matrix = t.random_transform(
        min_rotation=0.3,
        max_rotation=0.3,
        min_translation=(5, 6),
        max_translation=(5, 6),
        min_shear=0.2,
        max_shear=0.2,
        min_scaling=(2, 3),
        max_scaling=(2, 3),
        flip_x_chance=1,
    )
    flipped = t.scaling((-1, 1)) @ POINT
    sheared = t.shear(0.2) @ t.scaling((2, 3)) @ flipped
    assert_allclose(matrix @ POINT, t.rotation(0.3) @ t.translation((5, 6)) @ sheared)


def test_random_transform_does_nothing_unless_asked():
    assert_allclose(t.random_transform(), np.eye(3))


def test_generator_is_endless_and_follows_its_prng():
    options = {"min_rotation": -1, "max_rotation": 1, "flip_x_chance": 0.5}

    def first(prng=None):
        return list(itertools.islice(t.random_transform_generator(prng, **options), 20))

    assert_allclose(first(), first())
    assert_allclose(first(np.random.RandomState(7)), first(np.random.RandomState(7)))
    assert not np.allclose(first(np.random.RandomState(7)), first(np.random.RandomState(8)))
    assert len({matrix.tobytes() for matrix in first()}) == 20


def test_vectors_of_unlike_length_are_refused():
    with pytest.raises(ValueError, match="of one length"):
        t.random_translation((0, 0), (1, 1, 1))
