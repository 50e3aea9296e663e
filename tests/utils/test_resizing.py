"""Resize rules and their resamplers, against the projects whose rules these are."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.utils import resizing
from keras_retinanet.utils.resizing import RESIZES, Fit, stretched, to_original, within_frame

SIDES = (800, 1333)
ODD = [(1, 1), (1, 999), (999, 1), (2, 3), (640, 480), (480, 640), (5000, 60), (333, 200)]
RANDOM = np.random.default_rng(0).integers(1, 3000, (300, 2)).tolist()
SMALL = (48, 80)  # sides for images, to be quick


def picture(width, height):
    """Smooth but for its noise, uint8."""
    rng = np.random.default_rng(width * 7919 + height)
    noise = rng.integers(0, 256, (height, width, 3), "uint8")
    return cv2.addWeighted(cv2.blur(noise, (5, 5)), 0.8, noise, 0.2, 0)


IMAGES = [picture(*size) for size in [(64, 48), (31, 70), (101, 33), (150, 149), (1, 5), (40, 9)]]


@pytest.mark.parametrize("rule", RESIZES.values(), ids=RESIZES)
def test_what_every_rule_keeps(rule):
    for width, height in ODD + RANDOM[:50]:
        fit = rule.fit((width, height), *SIDES)
        assert min(fit.size) >= 1
        assert max(fit.frame) <= 1333
        for axis, side in enumerate((width, height)):
            assert abs(side * fit.scale[axis] - fit.size[axis]) <= 1  # a px is rounded
            assert fit.offset[axis] + side * fit.scale[axis] <= fit.frame[axis] + 1
    for image in IMAGES:
        fit = rule.fit(image.shape[1::-1], *SMALL)
        found = rule.resample(image, fit)
        assert found.shape == (*fit.frame[::-1], 3)
        assert found.dtype == rule.dtype
        assert_array_equal(rule.resample(image[..., ::-1], fit), found[..., ::-1])


@pytest.mark.parametrize("rule", RESIZES.values(), ids=RESIZES)
def test_an_image_that_is_not_resized_stays(rule):
    for image in IMAGES:
        size = image.shape[1::-1]
        assert_array_equal(rule.resample(image, stretched(size, size)), image)


@pytest.mark.parametrize("rule", RESIZES.values(), ids=RESIZES)
def test_an_image_without_pixels_is_refused(rule):
    with pytest.raises(InputError, match="pixels"):
        rule.fit((0, 5), *SIDES)


def test_scale_by_hand():
    assert resizing.compute_resize_scale((400, 600, 3)) == 2  # 600 * 2 = 1200 <= 1333
    assert resizing.compute_resize_scale((200, 1333), min_side=800, max_side=1333) == 1
    assert resizing.compute_resize_scale((1000, 500, 3), min_side=100, max_side=150) == 0.15


def test_resized_size_by_hand():
    assert resizing.resized_size((640, 480)) == (1067, 800)  # 640 * 800 / 480 = 1066.67
    assert resizing.resized_size((480, 640)) == (800, 1067)
    assert resizing.resized_size((1000, 3), 800, 1333) == (1333, 4)  # 3 * 1.333 = 3.999
    assert resizing.resized_size((5000, 2), 8, 1000) == (1000, 1)  # 2 / 5 rounds to 0: at least 1
    # halves go to the even neighbour: 5 / 2 = 2.5 and 7 / 2 = 3.5
    assert resizing.resized_size((5, 4), 2, 100) == (2, 2)
    assert resizing.resized_size((7, 4), 2, 100) == (4, 2)


@given(*[st.integers(1, 8000)] * 2, st.integers(1, 1024), st.integers(1, 2000))
def test_resized_size_is_the_rounded_exact_quotient(width, height, low, high):
    exact = min(Fraction(low, min(width, height)), Fraction(high, max(width, height)))
    size = resizing.resized_size((width, height), low, high)
    assert size == tuple(max(1, round(side * exact)) for side in (width, height))


def test_sizes_by_hand():
    names = ("opencv", "keras-retinanet", "torchvision", "detectron2", "mmdetection")

    def sizes(size, sides):
        return {name: RESIZES[name].fit(size, *sides).size for name in names}

    # 500 · 800 / 375 = 1066.67: torchvision alone cuts it
    cut = sizes((500, 375), SIDES)
    assert cut.pop("torchvision") == (1066, 800)
    assert set(cut.values()) == {(1067, 800)}
    # 5 / 2 = 2.5: the first two round to the even neighbour, Detectron2 and MMDetection up
    assert [width for width, _ in sizes((5, 4), (2, 100)).values()] == [2, 2, 2, 3, 3]
    # the long side sets the factor: 301 · 1333 / 2000 = 200.6
    assert [height for _, height in sizes((2000, 301), SIDES).values()] == [201, 201, 200, 201, 201]


def test_only_keras_retinanet_divides_by_the_scale_before_rounding():
    for name in ("torchvision", "mmdetection", "detectron2", "opencv"):
        fit = RESIZES[name].fit((500, 375), *SIDES)
        assert fit.scale == (fit.size[0] / 500, fit.size[1] / 375)
    assert RESIZES["keras-retinanet"].fit((500, 375), *SIDES).scale == (800 / 375, 800 / 375)


def test_keras_retinanet():
    # cv2 gives the size itself, of the scale alone
    for width, height in [size for size in ODD + RANDOM if min(size) > 3]:
        fit = RESIZES["keras-retinanet"].fit((width, height), *SIDES)
        scale = SIDES[0] / min(width, height)
        if max(width, height) * scale > SIDES[1]:
            scale = SIDES[1] / max(width, height)
        assert fit.scale == (scale, scale)
        strip = cv2.resize(np.zeros((1, width), "uint8"), None, fx=scale, fy=1)
        column = cv2.resize(np.zeros((height, 1), "uint8"), None, fx=1, fy=scale)
        assert fit.size == (strip.shape[1], column.shape[0])
    mean = np.float32([103.939, 116.779, 123.68])
    for image in IMAGES:
        fit = RESIZES["keras-retinanet"].fit(image.shape[1::-1], *SMALL)
        # it subtracts the mean first, and so never rounds
        theirs = cv2.resize(image - mean, None, fx=fit.scale[0], fy=fit.scale[1])
        ours = RESIZES["keras-retinanet"].resample(image, fit)
        assert_allclose(ours - mean, theirs, atol=1e-3)


def test_an_image_that_shrinks_to_nothing_keeps_a_px():
    image = np.full((2, 5000, 3), 7, "uint8")
    for name in ("keras-retinanet", "torchvision", "detectron2", "mmdetection"):
        fit = RESIZES[name].fit((5000, 2), 8, 1000)
        assert fit.size == (1000, 1)
        assert (RESIZES[name].resample(image, fit) == 7).all()


@pytest.mark.core
def test_torchvision(torchvision):
    import torch
    from torchvision.models.detection.transform import GeneralizedRCNNTransform

    rule = RESIZES["torchvision"]
    with torch.device("meta"):  # shapes alone
        theirs = GeneralizedRCNNTransform(*SIDES, [0.0] * 3, [1.0] * 3).eval()
        for width, height in [size for size in ODD + RANDOM if max(size) < 1333 * min(size)]:
            resized, _ = theirs.resize(torch.zeros(3, height, width))
            assert rule.fit((width, height), *SIDES).size == tuple(resized.shape[:0:-1])
    theirs = GeneralizedRCNNTransform(*SMALL, [0.0] * 3, [1.0] * 3).eval()
    for image in IMAGES:
        resized, _ = theirs.resize(torch.tensor(image).permute(2, 0, 1) / 255)
        ours = rule.resample(image, rule.fit(image.shape[1::-1], *SMALL))
        assert_allclose(ours / 255, resized.permute(1, 2, 0), atol=1e-4)


def test_detectron2():
    for image in IMAGES:
        fit = RESIZES["detectron2"].fit(image.shape[1::-1], *SMALL)
        theirs = Image.fromarray(image).resize(fit.size, Image.Resampling.BILINEAR)
        assert_array_equal(RESIZES["detectron2"].resample(image, fit), theirs)


def test_mmdetection():
    for image in IMAGES:
        fit = RESIZES["mmdetection"].fit(image.shape[1::-1], *SMALL)
        theirs = cv2.resize(image, fit.size, interpolation=cv2.INTER_LINEAR)
        assert_array_equal(RESIZES["mmdetection"].resample(image, fit), theirs)


def test_boxes_return_to_the_original():
    # kerashub: 20 x 10 px, three times as wide and twice as high, from (4, 7) in a frame of 64 x 40
    fit = Fit((60, 20), (3, 2), (4, 7), (64, 40))
    boxes = np.array([[10, 9, 40, 17], [0, 0, 2, 4], [60, 25, 70, 90]], "float32")
    expected = [[2, 1, 12, 5], [0, 0, 0, 0], [56 / 3, 9, 20, 10]]
    assert_allclose(to_original(boxes, fit, (20, 10)), expected, rtol=1e-6)
    assert to_original(boxes, fit, (20, 10)).dtype == np.float32
    assert to_original(boxes[:0], fit, (20, 10)).shape == (0, 4)


def test_boxes_centred_in_the_padding_are_not_within_the_frame():
    fit = stretched((50, 60), (50, 60))
    boxes = np.array([[40, 10, 60, 20], [41, 10, 60, 20], [10, 50, 20, 71]], "float32")
    assert within_frame(boxes, fit).tolist() == [True, False, False]  # centred at 50, 50.5; 60.5
    assert within_frame(boxes[:0], fit).shape == (0,)


def test_kerashub_by_hand():
    # 100 x 61 px to 80 x 80: (100 - 61) // 2 = 19 px above and below make 100 x 99, so x shrinks
    # by 0.8 and y by 80 / 99; the image begins at 19 · 80 / 99 = 15.35 and is 49.29 px high
    fit = RESIZES["kerashub"].fit((100, 61), 80, 80)
    assert fit.frame == (80, 80)
    assert fit.size == (80, 49)
    assert_allclose(fit.scale, (0.8, 80 / 99))
    assert_allclose(fit.offset, (0, 19 * 80 / 99))
    # to 40 px high and 80 wide: 61 · 80 / 40 = 122, so (122 - 100) // 2 = 11 px on each side
    fit = RESIZES["kerashub"].fit((100, 61), 40, 80)
    assert fit.frame == (80, 40)
    assert_allclose(fit.offset, (11 * 80 / 122, 0))
    white = np.full((61, 100, 3), 255, "uint8")
    found = RESIZES["kerashub"].resample(white, fit)
    assert not found[:, :7].any()  # 7.2 px
    assert (found[:, 8:-8] == 255).all()


@pytest.mark.parametrize("shape", [(80, 80), (40, 90)])
def test_kerashub(shape):
    keras_hub = pytest.importorskip("keras_hub")
    theirs = keras_hub.layers.RetinaNetImageConverter(
        image_size=shape, pad_to_aspect_ratio=True, crop_to_aspect_ratio=False
    )
    for image in [*IMAGES, picture(100, 61), picture(61, 100), picture(77, 77)]:
        fit = RESIZES["kerashub"].fit(image.shape[1::-1], *shape)
        ours = RESIZES["kerashub"].resample(image, fit)
        assert_allclose(ours, theirs(image.astype("float32")), atol=5e-3)
