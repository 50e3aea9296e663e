"""Colour, blur, noise, JPEG and cutout."""

import cv2
import numpy as np
import pytest

from keras_retinanet.preprocessing.augmentation import augment
from keras_retinanet.preprocessing.augmentation.pixels import (
    PIXELS,
    blur,
    colour,
    covered,
    cutout,
    jpeg,
    noise,
)
from keras_retinanet.preprocessing.augmentation.sampling import GREY, placed
from keras_retinanet.utils.image import VisualEffect

ON = {"chance": 1.0}


class Drawn:
    """In the place of a Generator: draws what it is told to."""

    def __init__(self, *values):
        self.values = np.array(values)

    def uniform(self, low, high, size):
        assert len(self.values) == size
        return self.values


def picture(low=0, high=256, size=(40, 30)):
    return np.random.default_rng(0).integers(low, high, (*size[::-1], 3), "uint8")


def off(one, other):
    return np.abs(one.astype(int) - other).max()


@pytest.mark.parametrize(
    ("drawn", "effect"),
    [
        ((1, 0, 0, 0), VisualEffect(contrast_factor=1.1)),
        ((-2, 0, 0, 0), VisualEffect(contrast_factor=0.8)),
        ((0, 0, 1, 0), VisualEffect(brightness_delta=0.1)),
        ((-1, 0, -1, 0), VisualEffect(contrast_factor=0.9, brightness_delta=-0.1)),
        # a third of the circle: red becomes green, in HSV and as a turn about the greys
        ((0, 0, 0, 20 / 3), VisualEffect(hue_delta=1 / 3)),
        ((0, 0, 0, -20 / 3), VisualEffect(hue_delta=-1 / 3)),
    ],
)
def test_colour_is_what_the_old_effects_did(drawn, effect):
    image = picture(40, 210)  # out of reach of 0 and 255
    tolerance = 3 if effect.hue_delta else 1  # HSV rounds
    assert off(colour(image, Drawn(*drawn), 1), effect(image)) <= tolerance


def test_saturation_runs_from_grey_to_gaudy():
    image = picture(60, 190)
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None].astype(int)
    assert off(colour(image, Drawn(0, -20, 0, 0), 1), grey) <= 1
    doubled = np.clip(2 * image.astype(int) - grey, 0, 255)
    assert off(colour(image, Drawn(0, 20, 0, 0), 1), doubled) <= 2


def test_colour_stays_in_its_range():
    grey = np.full((4, 4, 3), 100, "uint8")
    means = []
    for seed in range(200):
        changed = colour(grey, np.random.default_rng(seed), 1)
        assert np.ptp(changed) <= 1  # greys stay grey
        means.append(changed.mean() - 100)
    assert -26 <= min(means) < -23
    assert 23 < max(means) <= 26


def test_blur_spreads_a_point_and_keeps_the_light():
    image = np.zeros((31, 31, 3), "uint8")
    image[15, 15] = 255
    widths = []
    for seed in range(20):
        blurred = blur(image, np.random.default_rng(seed), 1).astype(float)[..., 0]
        x = np.arange(-15, 16)
        assert blurred.sum() == pytest.approx(255, rel=0.3)  # rounding: dim tails vanish
        widths.append((blurred * x**2).sum() / blurred.sum())
    assert np.max(widths) <= 1.5**2 + 0.1
    assert np.ptp(widths) > 0.5


def test_noise_is_normal():
    image = np.full((200, 200, 3), 128, "uint8")
    sigmas = []
    for seed in range(10):
        added = noise(image, np.random.default_rng(seed), 2).astype(float) - 128
        sigmas.append(added.std())
        assert abs(added.mean()) < 0.05 * sigmas[-1] + 0.01
        if sigmas[-1] > 5:
            assert (np.abs(added) < sigmas[-1]).mean() == pytest.approx(0.683, abs=0.04)
            flat = added.reshape(-1, 3)
            assert np.abs(np.corrcoef(flat.T) - np.eye(3)).max() < 0.02
    assert np.max(sigmas) <= 20.2
    assert np.ptp(sigmas) > 5


def test_jpeg_costs_more_where_it_is_stronger():
    image = cv2.GaussianBlur(picture(size=(64, 64)), (0, 0), 2)
    loss = [
        np.mean([off(jpeg(image, np.random.default_rng(s), strength), image) for s in range(10)])
        for strength in (0.1, 1, 1.6)
    ]
    assert 0 < loss[0] < loss[1] < loss[2]
    assert off(jpeg(image, np.random.default_rng(0), 99), image) > 0  # quality 1 at the least


@pytest.mark.parametrize("name", PIXELS)
def test_pixels_change_and_boxes_stay(scene, sound, name):
    image, annotations = scene()
    changed, kept = augment(image, annotations, np.random.default_rng(0), **{name: ON})
    assert np.array_equal(sound(changed, kept), annotations["bboxes"])
    assert not np.array_equal(changed, image)
    assert np.array_equal(image, scene()[0])


@pytest.mark.parametrize("name", PIXELS)
def test_pixels_change_on_the_smaller_of_image_and_result(scene, monkeypatch, name):
    shapes = []

    def spy(image, rng, strength):
        shapes.append(image.shape)
        return image

    monkeypatch.setitem(PIXELS, name, spy)
    for size in ((320, 240), (80, 60)):
        augment(*scene(), np.random.default_rng(0), size, **{name: ON})
    assert shapes == [(120, 160, 3), (60, 80, 3)]


@pytest.mark.parametrize("name", PIXELS)
def test_the_grey_around_a_picture_stays_as_it_is(name):
    def change(image):
        return PIXELS[name](image, np.random.default_rng(3), 3)

    image = np.full((300, 400, 3), 30, "uint8")
    for lean in (0, 0.1):
        matrix = np.array([[0.3, lean, 15], [-lean, 0.3, 35], [0, 0, 1]])
        plain, _ = placed(image, matrix, (160, 120))
        result, _ = placed(image, matrix, (160, 120), change)
        grey = (plain == GREY).all(axis=-1)
        assert 2000 < grey.sum() < 15000
        changed = (result[grey] != GREY).any(axis=-1).sum()
        assert changed == 0 if lean == 0 else changed < 400 * 0.3 + 300 * 0.3  # half the outline
        inside = (plain == 30).all(axis=-1)
        assert name in ("blur", "jpeg") or not np.array_equal(result[inside], plain[inside])


def test_cutout_drops_the_boxes_that_it_hides(scene, sound):
    hidden = partly = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        image, annotations = augment(*scene(), rng, cutout={"chance": 1, "strength": 2})
        boxes = sound(image, annotations)
        whole = scene()[1]["bboxes"]
        for label, (x1, y1, x2, y2) in enumerate(whole.astype(int)):
            cut = (image[y1:y2, x1:x2] == GREY).all(axis=-1).mean()
            kept = label in annotations["labels"]
            assert kept == (cut <= 0.7 + 1e-9)
            hidden += not kept
            partly += kept and cut > 0
        assert np.array_equal(boxes, whole[annotations["labels"]])
    assert hidden > 10
    assert partly > 50


def test_what_rectangles_cover_is_counted_once():
    boxes = np.array([(0, 0, 10, 10), (20, 20, 30, 30), (5, 5, 25, 25)], float)
    rectangles = np.array([(-5, 0, 6, 10), (4, 0, 8, 5), (5, 2, 9, 22)])
    mask = np.zeros((40, 40))
    for x1, y1, x2, y2 in rectangles:
        mask[max(y1, 0) : y2, max(x1, 0) : x2] = 1
    expected = [mask[int(y1) : int(y2), int(x1) : int(x2)].sum() for x1, y1, x2, y2 in boxes]
    assert covered(boxes, rectangles).tolist() == expected
    assert covered(boxes[:0], rectangles).shape == (0,)


def test_cutout_grows_with_its_strength(scene):
    def grey(strength):
        images = [
            cutout(*scene([]), np.random.default_rng(seed), strength)[0] for seed in range(50)
        ]
        return np.mean([(image == GREY).mean() for image in images])

    assert 0 < grey(0.5) < grey(1) < grey(3)
