"""A matrix does the same to the pixels and to the boxes."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_retinanet.preprocessing.augmentation import augment
from keras_retinanet.preprocessing.augmentation.sampling import (
    GREY,
    moved,
    placed,
    transform_both,
    warped,
)
from keras_retinanet.utils.image import TransformParameters
from keras_retinanet.utils.transform import random_rotation, scaling, translation

SIZE = (160, 120)
PIXELS = TransformParameters(relative_translation=False)


@st.composite
def matrices(draw):
    """Scales, mirrors and shifts; every second one leans too."""
    factors = [draw(st.floats(0.2, 4)) * draw(st.sampled_from([-1, 1])) for _ in range(2)]
    matrix = translation([draw(st.floats(-200, 300)) for _ in range(2)]) @ scaling(factors)
    if draw(st.booleans()):
        matrix[0, 1], matrix[1, 0] = draw(st.floats(-0.15, 0.15)), draw(st.floats(-0.15, 0.15))
    return matrix


@settings(max_examples=150, deadline=None)
@given(wanted=matrices())
def test_boxes_are_dropped_by_what_the_pixels_show(scene, shown, wanted):
    image, annotations = scene([(60, 40, 100, 80)])
    picture, matrix = placed(image, wanted, SIZE)
    boxes = moved(annotations, matrix, SIZE)["bboxes"]
    factors = np.abs(np.diag(matrix)[:2])
    if matrix[0, 1] or matrix[1, 0]:  # the corners of the upright box hold no object
        assert len(boxes) or shown(picture, 0).sum() < 0.8 * 40 * 40 * factors.prod()
        return
    share = shown(picture, 0).sum() / (40 * 40 * factors.prod())
    blurred = 2 / 40 + (2 / (40 * factors)).sum()  # a px of the image and of the image
    if abs(share - 0.3) > blurred:
        assert len(boxes) == (share > 0.3)


@settings(max_examples=150, deadline=None)
@given(wanted=matrices())
def test_a_matrix_is_altered_by_less_than_a_pixel(wanted):
    _, used = placed(np.zeros((120, 160, 3), "uint8"), wanted, SIZE)
    corners = [[0, 0, 160, 160], [0, 120, 0, 120], [1, 1, 1, 1]]  # of the image
    seen = np.linalg.inv(wanted) @ corners  # in the image
    seen[:2] = np.clip(seen[:2], 0, [[160], [120]])
    off = np.abs((used - wanted) @ seen)[:2].max(axis=1)
    assert (off <= np.abs(np.diag(wanted)[:2]) + 1).all()  # of the image, and of the image


@settings(max_examples=100, deadline=None)
@given(
    mirrored=st.tuples(*[st.sampled_from([-1, 1])] * 2),
    size=st.tuples(st.integers(1, 99), st.integers(1, 99)),
    seed=st.integers(0, 99),
)
def test_resizing_and_flipping_give_what_warping_gives(mirrored, size, seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), "uint8")
    image = cv2.resize(coarse, (60, 45))  # steep only over several px: old OpenCV warps in 1/32 px
    matrix = scaling(np.divide(size, (60, 45)) * mirrored)
    matrix[:2, 2] = np.where(np.array(mirrored) < 0, size, 0)
    picture, used = placed(image, matrix, size)
    assert np.allclose(used, matrix)
    centres = translation((-0.5, -0.5)) @ matrix @ translation((0.5, 0.5))
    expected = cv2.warpAffine(image, centres[:2], size, borderMode=cv2.BORDER_REPLICATE)
    assert np.abs(picture.astype(int) - expected).max() <= 2


def test_a_window_of_an_image_is_where_warping_puts_it():
    image = cv2.resize(np.random.default_rng(0).integers(0, 256, (9, 12, 3), "uint8"), SIZE)
    for factors, shift in [((0.6, 0.7), (20, 11)), ((-1.3, 1.4), (150, -20)), ((3, -2), (-99, 99))]:
        picture, used = placed(image, translation(shift) @ scaling(factors), (140, 100))
        expected = warped(image, used, (140, 100)).astype(int)
        grey = (expected == GREY).all(axis=-1)
        content = np.pad(~grey, 1).astype("uint8")
        inner = cv2.erode(content, np.ones((7, 7)))[1:-1, 1:-1] > 0  # not where edges blend
        assert inner.sum() > 1500
        assert np.abs(picture - expected)[inner].max() <= 3
        outer = cv2.dilate(content, np.ones((7, 7)))[1:-1, 1:-1] == 0
        assert (picture[outer] == GREY).all()


def test_what_is_out_of_view_leaves_grey():
    image = np.zeros((20, 30, 3), "uint8")
    for matrix in (translation((30, 0)), translation((0, -20.5)), scaling((-1, 1))):
        assert (placed(image, matrix, (30, 20))[0] == GREY).all()
    picture, _ = placed(image, translation((10, 5)), (30, 20))
    assert (picture[5:, 10:] == 0).all()
    assert (picture[:5] == GREY).all()
    assert (picture[:, :10] == GREY).all()


@pytest.mark.parametrize(
    ("shift", "left"),
    [
        (-10, [[10, 20, 50, 50]]),  # still inside
        (-40, [[0, 20, 20, 50]]),  # half of the 40 px are in view
        (-48, [[0, 20, 12, 50]]),  # 12 of 40: 0.3
        (-48.5, []),
        (-100, []),
    ],
)
def test_boxes_are_clipped_and_dropped_when_mostly_out_of_view(scene, shift, left):
    _, annotations = transform_both(*scene([(20, 20, 60, 50)]), translation((shift, 0)), PIXELS)
    assert annotations["bboxes"].tolist() == left
    assert {len(rows) for rows in annotations.values()} == {len(left)}


def test_boxes_without_area_are_dropped(scene):
    image, annotations = scene()
    annotations["bboxes"][:2] = (20, 20, 20, 50), (200, 20, 240, 50)
    _, annotations = augment(image, annotations, np.random.default_rng(0))
    assert annotations["labels"].tolist() == [2, 3]


def test_what_belongs_to_the_boxes_follows_those_that_remain(scene):
    _, annotations = transform_both(*scene(), translation((-65, 0)), PIXELS)
    assert annotations["labels"].tolist() == [1, 3]
    assert annotations["ignore"].tolist() == [True, False]
    assert annotations["bboxes"].tolist() == [[25, 30, 65, 100], [35, 5, 55, 20]]


def test_a_turned_box_encloses_its_object(scene, seen):
    matrix = random_rotation(0.3, 0.3, np.random.default_rng(0))
    image, annotations = transform_both(*scene([(20, 20, 60, 50)]), matrix)
    x1, y1, x2, y2 = annotations["bboxes"][0]
    # 40 x 30 turned by 0.3: 40 cos + 30 sin = 47.1 wide, 40 sin + 30 cos = 40.5 high
    assert np.allclose((x2 - x1, y2 - y1), (47.1, 40.5), atol=0.1)
    assert np.allclose(seen(image, 0), (x1, y1, x2, y2), atol=2)
