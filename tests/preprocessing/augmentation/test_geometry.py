"""Boxes stay on their objects, whose pixels tell where they went."""

import numpy as np
import pytest

from keras_retinanet.preprocessing.augmentation import augment
from keras_retinanet.preprocessing.augmentation.geometry import affine, crop, large_scale, scale
from keras_retinanet.utils.transform import transform_aabb

SIZE = (160, 120)
ON = {"chance": 1.0}
UPRIGHT = ["flip", "vertical_flip", "scale", "large_scale", "crop"]


@pytest.mark.parametrize("size", [None, (267, 200), (100, 90)])
@pytest.mark.parametrize("names", [[], *([name] for name in UPRIGHT), UPRIGHT])
def test_upright_boxes_are_their_objects(scene, seen, sound, names, size):
    for seed in range(30):
        image, annotations = augment(
            *scene(), np.random.default_rng(seed), size, **dict.fromkeys(names, ON)
        )
        boxes = sound(image, annotations, size or SIZE)
        assert (np.diff(annotations["labels"]) > 0).all()  # the order stays
        for label, box in zip(annotations["labels"], boxes, strict=True):
            if min(box[2:] - box[:2]) > 3:  # less leaves no pixel as bright as it was
                assert np.abs(seen(image, label) - box).max() <= 1.5
        if names in ([], ["flip"], ["vertical_flip"]):
            assert len(boxes) == 4


@pytest.mark.parametrize("names", [["affine"], ["affine", *UPRIGHT]])
def test_boxes_of_turned_objects_hold_them(scene, seen, sound, names):
    tight = []
    for seed in range(60):
        image, annotations = augment(
            *scene(), np.random.default_rng(seed), **dict.fromkeys(names, ON)
        )
        boxes = sound(image, annotations)
        for label, box in zip(annotations["labels"], boxes, strict=True):
            if min(box[2:] - box[:2]) > 6:
                found = seen(image, label)
                assert (found[:2] >= box[:2] - 1.5).all()
                assert (found[2:] <= box[2:] + 1.5).all()
                tight += list(np.abs(found - box))
    assert len(tight) > 100
    assert np.mean(tight) < 3  # the upright box of a turned and sheared rectangle is hardly larger


def test_operations_scale_within_their_range():
    rng = np.random.default_rng(0)
    for operation, low, high in ((scale, 0.8, 1.25), (large_scale, 0.1, 2)):
        matrices = np.array([operation(SIZE, rng, 1) for _ in range(500)])
        factors = matrices[:, [0, 1], [0, 1]]
        spread = 0.02 * (high - low)
        assert low <= factors.min() < low + spread
        assert high - spread < factors.max() <= high
        squared = np.array([operation(SIZE, rng, 2) for _ in range(500)])[:, 0, 0]
        assert low**2 <= squared.min() < low
        assert high < squared.max() <= high**2


def test_affine_turns_and_leans_each_side_for_itself():
    rng = np.random.default_rng(0)
    for strength in (1, 3):
        matrices = np.array([affine(SIZE, rng, strength) for _ in range(500)])
        turn = np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0])  # of the side along x
        lean = np.arctan2(-matrices[:, 0, 1], matrices[:, 1, 1]) - turn  # y's against it
        for angles in (turn, lean):
            assert -0.1 * strength <= angles.min() < -0.095 * strength
            assert 0.095 * strength < angles.max() <= 0.1 * strength
        assert abs(np.corrcoef(turn, lean)[0, 1]) < 0.15


@pytest.mark.parametrize("operation", [scale, affine])
def test_the_centre_is_shifted_by_up_to_a_tenth(operation):
    rng = np.random.default_rng(0)
    shifts = np.array([operation(SIZE, rng, 1) @ (80, 60, 1) for _ in range(500)])[:, :2]
    shifts = (shifts - (80, 60)) / SIZE
    assert (np.abs(shifts) <= 0.1).all()
    assert (shifts.min(axis=0) < -0.095).all()
    assert (shifts.max(axis=0) > 0.095).all()


def test_large_scale_puts_the_picture_anywhere_in_its_frame():
    rng = np.random.default_rng(0)
    places = []
    for matrix in (large_scale(SIZE, rng, 1) for _ in range(200)):
        places.append(matrix[:2, 2] / (np.array(SIZE) * (1 - matrix[0, 0])))
        x1, y1, x2, y2 = transform_aabb(matrix, np.array([0.0, 0.0, *SIZE]))
        if matrix[0, 0] < 1:  # all in view
            assert min(x1, y1, 160 - x2, 120 - y2) >= -1e-9
        else:  # nothing but the image in view
            assert max(x1, y1, 160 - x2, 120 - y2) <= 1e-9
    # 0 is at the left and top, 1 at the right and bottom: uniform, each axis for itself
    assert np.allclose(np.mean(places, axis=0), 0.5, atol=0.1)
    assert np.allclose(np.std(places, axis=0), 12**-0.5, atol=0.05)
    assert abs(np.corrcoef(np.transpose(places))[0, 1]) < 0.2


@pytest.mark.parametrize("names", [["crop"], ["flip", "vertical_flip", "crop"]])
def test_crop_keeps_objects_whole_and_leaves_no_trace_of_others(scene, shown, sound, names):
    small = [(20, 20, 40, 35), (110, 30, 130, 60), (30, 80, 50, 110), (100, 5, 120, 20)]
    zooms, dropped = set(), 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        image, annotations = augment(*scene(small), rng, **dict.fromkeys(names, ON))
        boxes = sound(image, annotations)
        was = np.array(small)[annotations["labels"]]
        zoom = (boxes[:, 2:] - boxes[:, :2]) / (was[:, 2:] - was[:, :2])
        if len(boxes):  # one factor for all, but for a window of whole px: 80 x 60 at the least
            assert 1 - 1e-6 <= zoom.min() <= zoom.max() <= 2 + 1e-6
            assert np.ptp(zoom) <= zoom.max() / 60
            zooms.add(zoom[0, 0])
        dropped += 4 - len(boxes)
        for label in set(range(4)) - set(annotations["labels"].tolist()):
            assert not shown(image, label).any()
    assert len(zooms) > 20
    assert dropped > 20


def test_crop_shows_all_where_it_can_cut_nothing_off():
    for seed in range(20):
        matrix = crop(SIZE, [[0, 0, 160, 120]], np.random.default_rng(seed), 1)
        assert np.array_equal(matrix, np.eye(3))


@pytest.mark.parametrize(("name", "axis"), [("flip", 1), ("vertical_flip", 0)])
def test_a_flip_mirrors_and_twice_is_nothing(scene, name, axis):
    image, annotations = scene()
    rng = np.random.default_rng(0)
    once, there = augment(image, annotations, rng, **{name: ON})
    assert np.array_equal(once, np.flip(image, axis))
    assert not np.array_equal(there["bboxes"], annotations["bboxes"])
    twice, back = augment(once, there, rng, **{name: ON})
    assert np.array_equal(twice, image)
    assert np.array_equal(back["bboxes"], annotations["bboxes"])
