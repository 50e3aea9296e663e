"""Mosaic and mixup: several images in one, each box with its label on its object."""

import numpy as np
import pytest

from keras_retinanet.boxes import iou
from keras_retinanet.preprocessing.augmentation import augment
from keras_retinanet.preprocessing.augmentation.mixing import fitted, joined, mixup, mosaic
from keras_retinanet.preprocessing.augmentation.sampling import GREY

SIZE = (160, 120)
ON = {"chance": 1.0}
BOX = (20, 30, 80, 90)  # in the colour of its image


@pytest.fixture
def others(scene):
    """Gives images of other sizes, with a box in the colours 1, 2, 3, ...; counts them."""

    def other():
        other.given += 1
        size = [(160, 120), (100, 200), (300, 100), (120, 120)][other.given % 4]
        return scene([BOX], [other.given], size)

    other.given = 0
    return other


def test_a_mosaic_holds_four_pictures_around_a_point(scene, seen, sound, others):
    places = set()
    for seed in range(40):
        others.given = 0
        rng = np.random.default_rng(seed)
        image, annotations = augment(*scene([BOX]), rng, other=others, mosaic=ON)
        boxes = sound(image, annotations)
        assert others.given == 3
        assert annotations["labels"].tolist() == [0, 1, 2, 3]
        for label, box in enumerate(boxes):
            assert np.abs(seen(image, label) - box).max() <= 1.5
        width, height = (boxes[:, 2:] - boxes[:, :2]).T
        assert np.abs(width - height).max() <= 2  # of one factor, to a px of the image's sides
        assert iou(boxes[:, None], boxes).sum() == pytest.approx(4)  # each with itself
        places.add(tuple(boxes[0, :2] > (80, 60)))
    assert len(places) == 4  # the first image is not always at the top left


@pytest.mark.parametrize("strength", [0.1, 1, 3])
def test_mosaics_fill_whole_quarters_with_their_pictures(strength):
    def picture(value):
        def render(size):
            sizes.append(size)
            return np.full((size[1], size[0], 3), value, "uint8"), {"bboxes": np.zeros((0, 4))}

        return (90, 30), render

    for seed in range(30):
        sizes = []
        values = iter((20, 30, 40))
        image, _ = mosaic(
            picture(10),
            lambda rng, v=values: picture(next(v)),
            np.random.default_rng(seed),
            strength,
            SIZE,
        )
        seen = {value: np.argwhere(image[..., 0] == value) for value in (10, 20, 30, 40)}
        corners = []
        for rows in (rows for rows in seen.values() if len(rows)):
            (top, left), (bottom, right) = rows.min(axis=0), rows.max(axis=0) + 1
            assert (bottom - top) * (right - left) == len(rows)  # a rectangle, not overlapped
            assert abs((right - left) / 3 - (bottom - top)) <= 1
            corners.append({(x, y) for x in (left, right) for y in (top, bottom)})
        assert len(corners) == len(sizes) == 4 or strength == 3
        [centre] = set.intersection(*corners) if len(corners) > 1 else [(80, 60)]
        if strength <= 1:
            assert (
                np.abs(np.array(centre) - (80, 60)) <= np.array([32, 24]) * strength + 0.5
            ).all()
        shown = sum(map(len, seen.values()))
        assert (image[..., 0] == GREY).sum() == image[..., 0].size - shown


def test_mixup_blends_two_pictures_and_keeps_the_boxes_of_both(scene, sound):
    shares = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        image, annotations = augment(
            *scene([BOX]), rng, other=lambda: scene([BOX], [1], (300, 100)), mixup=ON
        )
        own, theirs = sound(image, annotations)
        assert annotations["labels"].tolist() == [0, 1]
        assert own.tolist() == list(BOX)
        # 300 x 100 px in 160 x 120: by 160 / 300, to 160 x 53
        assert np.allclose(theirs[[0, 2]], (20 * 160 / 300, 80 * 160 / 300))
        assert np.allclose(theirs[3] - theirs[1], 60 * 53 / 100)
        rows, columns = np.nonzero(image[..., 1] > 20)
        found = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        assert np.abs(found - theirs).max() <= 1.5
        shares.append(image[..., 1].max() / 230)  # only the other image is green
        assert image[..., 0].max() in (230, round(230 * (1 - shares[-1])))
    assert 0.29 < min(shares) < 0.33
    assert 0.47 < max(shares) < 0.51


def test_a_weak_mixup_shows_little_of_the_other(scene):
    rng = np.random.default_rng(0)
    render = ((160, 120), lambda size: scene([BOX], [1]))
    image, _ = mixup(*scene([]), lambda rng: render, rng, 0.1)
    assert 0.02 * 230 < image[..., 1].max() < 0.06 * 230


def test_they_compose_with_the_rest(scene, seen, sound, others):
    names = ["flip", "scale", "large_scale", "crop", "colour", "mosaic", "mixup"]
    labels = set()
    for seed in range(40):
        others.given = 0
        rng = np.random.default_rng(seed)
        image, annotations = augment(
            *scene([BOX]), rng, (200, 150), others, **dict.fromkeys(names, ON)
        )
        boxes = sound(image, annotations, (200, 150))
        assert (np.diff(annotations["labels"]) > 0).all()
        labels |= set(annotations["labels"].tolist())
        assert others.given == 4
        for label, box in zip(annotations["labels"], boxes, strict=True):
            if min(box[2:] - box[:2]) > 3 and len(boxes) == 1:
                assert np.abs(seen(image, label, threshold=60) - box).max() <= 3
    assert labels == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("name", ["mosaic", "mixup"])
def test_without_other_pictures_there_is_no_mixing(scene, others, name):
    image, annotations = augment(*scene(), np.random.default_rng(0), **{name: ON})
    assert np.array_equal(image, scene()[0])
    assert np.array_equal(annotations["bboxes"], scene()[1]["bboxes"])
    for off in ({"chance": 0}, {"chance": 1, "strength": 0}):
        augment(*scene(), np.random.default_rng(0), other=others, **{name: off})
    assert others.given == 0


@pytest.mark.parametrize("name", ["mosaic", "mixup"])
def test_pictures_without_boxes_mix(scene, name):
    for own, theirs, count in (
        ([], [], 0),
        ([BOX], [], 1),
        ([], [BOX], 3 if name == "mosaic" else 1),
    ):
        _, annotations = augment(
            *scene(own), np.random.default_rng(0), other=lambda t=theirs: scene(t), **{name: ON}
        )
        assert annotations["bboxes"].shape == (count, 4)
        assert annotations["bboxes"].dtype == np.float32
        assert annotations["ignore"].dtype == bool
        assert len(annotations["labels"]) == count


def test_pictures_are_fitted_in_whole_pixels():
    assert fitted((300, 100), (160, 120)) == (160, 53)
    assert fitted((100, 300), (160, 120)) == (40, 120)
    assert fitted((3000, 2), (160, 120)) == (160, 1)
    assert fitted((16, 12), (160, 120)) == (160, 120)


def test_annotations_are_joined_row_by_row(scene):
    one, other = scene([BOX], [1])[1], scene([BOX, BOX], [2, 3])[1]
    both = joined([one, other])
    assert both["labels"].tolist() == [1, 2, 3]
    assert both["ignore"].tolist() == [True, False, False]
    assert both["bboxes"].shape == (3, 4)
