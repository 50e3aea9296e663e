"""Augmentation: the box stays on its object, whose pixels tell where it went."""

import numpy as np
import pytest

from keras_retinanet.preprocessing.augmentation import AUGMENTATIONS, augment, transform_both
from keras_retinanet.utils.image import TransformParameters
from keras_retinanet.utils.transform import random_rotation, translation

SIZE = (120, 160)  # height, width
BOXES = [(20, 20, 60, 50), (90, 30, 130, 100), (30, 70, 70, 110)]
PIXELS = TransformParameters(relative_translation=False)


def scene(boxes=BOXES):
    """A black image with a rectangle in each box: the first all blue, then green, then red."""
    image = np.zeros((*SIZE, 3), "uint8")
    for channel, (x1, y1, x2, y2) in enumerate(boxes):
        image[y1:y2, x1:x2, channel] = 255
    annotations = {
        "bboxes": np.array(boxes, "float32").reshape(-1, 4),
        "labels": np.arange(len(boxes)),
        "ignore": np.arange(len(boxes)) == 1,
    }
    return image, annotations


def seen(image, label):
    """The box around the pixels of a label's colour."""
    rest = np.delete(image, label, axis=-1).max(axis=-1)
    rows, columns = np.nonzero((image[..., label] > 127) & (rest < 100))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("level", AUGMENTATIONS)
def test_boxes_stay_on_their_objects(level):
    # upright boxes of turned and sheared corners are larger than the rectangle: by up to
    # sin(0.1) · 70 px for the rotation and as much for the shear, times the scale of 1.6
    slack = 24 if level == "strong" else 2
    dropped = 0
    for seed in range(40):
        image, annotations = augment(*scene(), np.random.default_rng(seed), **AUGMENTATIONS[level])
        assert (image.shape, image.dtype) == ((*SIZE, 3), np.uint8)
        assert annotations["bboxes"].dtype == np.float32
        assert (annotations["bboxes"] >= 0).all()
        assert (annotations["bboxes"] <= (*SIZE[::-1], *SIZE[::-1])).all()
        assert (annotations["ignore"] == (annotations["labels"] == 1)).all()
        assert (np.diff(annotations["labels"]) > 0).all()  # the order stays
        dropped += 3 - len(annotations["labels"])
        for label, box in zip(annotations["labels"], annotations["bboxes"], strict=True):
            found = np.array(seen(image, label))
            assert (found[:2] >= box[:2] - 2).all()
            assert (found[2:] <= box[2:] + 2).all()
            assert np.abs(found - box).max() <= slack
    assert dropped == 0 if level in ("none", "light") else dropped < 30


def test_levels_grow():
    def moved(level):
        """How far corners move, in px, on average over 20 seeds."""
        shifts = []
        for seed in range(20):
            rng = np.random.default_rng(seed)
            _, annotations = augment(*scene(BOXES[:1]), rng, **AUGMENTATIONS[level])
            shifts += [np.abs(box - BOXES[0]).mean() for box in annotations["bboxes"]]
        return np.mean(shifts)

    assert moved("none") == 0
    assert moved("none") < moved("light")
    assert moved("default") > 5
    assert moved("strong") > 5


def test_none_changes_nothing():
    image, annotations = augment(*scene(), np.random.default_rng(0), **AUGMENTATIONS["none"])
    assert np.array_equal(image, scene()[0])
    assert np.array_equal(annotations["bboxes"], scene()[1]["bboxes"])


def test_light_only_flips():
    image, annotations = scene()
    flipped = annotations["bboxes"].copy()
    flipped[:, [0, 2]] = 160 - flipped[:, [2, 0]]
    counts = [0, 0]
    for seed in range(20):
        moved, changed = augment(image, annotations, np.random.default_rng(seed), flip_x_chance=0.5)
        flip = not np.array_equal(moved, image)
        counts[flip] += 1
        assert np.array_equal(moved, image[:, ::-1] if flip else image)
        assert np.allclose(changed["bboxes"], flipped if flip else annotations["bboxes"])
    assert min(counts) >= 4  # of 20; fewer has a chance of 0.3%


@pytest.mark.parametrize("level", AUGMENTATIONS)
def test_an_empty_image_stays_empty(level):
    image, annotations = scene(())
    _, moved = augment(image, annotations, np.random.default_rng(0), **AUGMENTATIONS[level])
    assert (moved["bboxes"].shape, moved["bboxes"].dtype) == ((0, 4), np.float32)
    assert moved["labels"].shape == moved["ignore"].shape == (0,)


def test_the_same_generator_state_gives_the_same_picture():
    options = AUGMENTATIONS["strong"]
    one, other = (augment(*scene(), np.random.default_rng(5), **options) for _ in range(2))
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[1]["bboxes"], other[1]["bboxes"])
    assert not np.array_equal(one[0], augment(*scene(), np.random.default_rng(6), **options)[0])


def test_inputs_stay_as_they_are():
    image, annotations = scene()
    augment(image, annotations, np.random.default_rng(1), **AUGMENTATIONS["strong"])
    assert np.array_equal(image, scene()[0])
    assert np.array_equal(annotations["bboxes"], scene()[1]["bboxes"])


@pytest.mark.parametrize(
    ("shift", "left"),
    [
        (-10, [[10, 20, 50, 50]]),  # still inside
        (-40, [[0, 20, 20, 50]]),  # half of the 40 px are in view
        (-50, []),  # a quarter
        (-100, []),
    ],
)
def test_boxes_are_clipped_and_dropped_when_mostly_out_of_view(shift, left):
    matrix = translation((shift, 0))
    _, annotations = transform_both(*scene(BOXES[:1]), matrix, PIXELS)
    assert annotations["bboxes"].tolist() == left
    assert len(annotations["labels"]) == len(annotations["ignore"]) == len(left)


def test_labels_follow_the_boxes_that_remain():
    _, annotations = transform_both(*scene(), translation((-100, 0)), PIXELS)
    assert annotations["labels"].tolist() == [1]
    assert annotations["ignore"].tolist() == [True]
    assert annotations["bboxes"].tolist() == [[0, 30, 30, 100]]


def test_a_turned_box_encloses_its_object():
    matrix = random_rotation(0.3, 0.3, np.random.default_rng(0))
    image, annotations = transform_both(*scene(BOXES[:1]), matrix)
    x1, y1, x2, y2 = annotations["bboxes"][0]
    found = seen(image, 0)
    # 40 x 30 turned by 0.3: 40 cos + 30 sin = 47.1 wide, 40 sin + 30 cos = 40.5 high
    assert np.allclose((x2 - x1, y2 - y1), (47.1, 40.5), atol=0.1)
    assert np.allclose(found, (x1, y1, x2, y2), atol=2)
