"""Properties of every operation and of the levels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_retinanet.choices import AUGMENTATIONS, OPERATIONS, complete
from keras_retinanet.preprocessing.augmentation import augment

SIZE = (160, 120)
ON = {"chance": 1.0}
ALL = dict.fromkeys(OPERATIONS, ON)


def same(one, other):
    """Return True if two results of `augment` are equal."""
    return np.array_equal(one[0], other[0]) and all(
        np.array_equal(one[1][key], other[1][key]) for key in one[1].keys() | other[1].keys()
    )


# levels


@pytest.mark.parametrize("level", AUGMENTATIONS)
def test_levels_keep_boxes_on_their_objects(scene, seen, sound, level):
    frayed = 4 if level == "strong" else 2  # by blur and JPEG, in px
    compared = dropped = 0
    for seed in range(80):
        image, annotations = augment(*scene(), np.random.default_rng(seed), **AUGMENTATIONS[level])
        boxes = sound(image, annotations)
        assert (np.diff(annotations["labels"]) > 0).all()
        dropped += 4 - len(boxes)
        for label, box in zip(annotations["labels"], boxes, strict=True):
            found = seen(image, label)
            if min(box[2:] - box[:2]) > 8 and found is not None:
                compared += 1
                assert (found[:2] >= box[:2] - frayed).all()
                assert (found[2:] <= box[2:] + frayed).all()
                assert level == "strong" or np.abs(found - box).max() <= 2
    assert compared > 200
    assert dropped == 0 if level in ("none", "light") else dropped < 60


def test_levels_grow(scene):
    def moved(level):
        """Return the mean distance by which corners move, in px, over 40 seeds."""
        box = (60, 40, 100, 80)
        shifts = []
        for seed in range(40):
            rng = np.random.default_rng(seed)
            _, annotations = augment(*scene([box]), rng, **AUGMENTATIONS[level])
            shifts += [np.abs(found - box).mean() for found in annotations["bboxes"]]
        return np.mean(shifts)

    assert moved("none") == moved("light") == 0  # in the middle
    assert 5 < moved("default") < moved("strong")


def test_strong_scales_by_up_to_1_6():
    assert 1.25 ** AUGMENTATIONS["strong"]["scale"]["strength"] == pytest.approx(1.6, abs=0.01)


def test_light_only_flips(scene):
    image, annotations = scene()
    flipped = annotations["bboxes"].copy()
    flipped[:, [0, 2]] = 160 - flipped[:, [2, 0]]
    counts = [0, 0]
    for seed in range(20):
        moved, changed = augment(
            image, annotations, np.random.default_rng(seed), **AUGMENTATIONS["light"]
        )
        flip = not np.array_equal(moved, image)
        counts[flip] += 1
        assert np.array_equal(moved, image[:, ::-1] if flip else image)
        assert np.allclose(changed["bboxes"], flipped if flip else annotations["bboxes"])
    assert min(counts) >= 4  # of 20; fewer has a chance of 0.3%


# every operation


@pytest.mark.parametrize("off", [{"chance": 0}, {"chance": 1, "strength": 0}])
def test_what_is_off_changes_nothing(scene, off):
    result = augment(
        *scene(), np.random.default_rng(0), other=scene, **dict.fromkeys(OPERATIONS, off)
    )
    assert same(result, scene())
    assert same(result, augment(*scene(), np.random.default_rng(1), other=scene))


@pytest.mark.parametrize("name", OPERATIONS)
def test_chance_is_the_share_of_images_that_change(scene, name):
    changed = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        result = augment(*scene(), rng, other=scene, **{name: {"chance": 0.3}})
        changed += not same(result, scene())
    assert 14 <= changed <= 45  # 30 ± 3.5 standard deviations


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("size", [None, (80, 60), (200, 190)])
def test_an_image_without_boxes_stays_without(scene, sound, name, size):
    def other():
        return scene([], size=(90, 120))

    for seed in range(3):
        rng = np.random.default_rng(seed)
        image, annotations = augment(*scene([]), rng, size, other, **{name: ON})
        assert len(sound(image, annotations, size or SIZE)) == 0


@pytest.mark.parametrize("name", OPERATIONS)
def test_inputs_stay_as_they_are(scene, name):
    image, annotations = scene()
    augment(image, annotations, np.random.default_rng(1), other=scene, **{name: ON})
    result = augment(image, annotations, np.random.default_rng(1))
    result[0][:] = 7
    result[1]["bboxes"][:] = 7
    assert same((image, annotations), scene())


@pytest.mark.parametrize("operations", [ALL, AUGMENTATIONS["strong"]])
def test_the_same_generator_state_gives_the_same_picture(scene, operations):
    one, again, other = (
        augment(*scene(), np.random.default_rng(seed), other=scene, **operations)
        for seed in (5, 5, 6)
    )
    assert same(one, again)
    assert not np.array_equal(one[0], other[0])
    rng = np.random.default_rng(5)
    first, second = (augment(*scene(), rng, other=scene, **operations) for _ in range(2))
    assert same(one, first)
    assert not same(one, second)


def test_an_operation_draws_the_same_whatever_else_is_on(scene):
    rest = {name: {} for name in ("vertical_flip", "colour", "blur", "noise", "jpeg")}
    flips = 0
    for seed in range(30):
        plain, boxes = augment(*scene(), np.random.default_rng(seed), **rest)
        image, moved = augment(*scene(), np.random.default_rng(seed), flip={}, **rest)
        alone, _ = augment(*scene(), np.random.default_rng(seed), flip={})
        flip = not np.array_equal(alone, scene()[0])
        flips += flip
        assert np.array_equal(image, plain[:, ::-1] if flip else plain)
        assert np.array_equal(moved["labels"], boxes["labels"])
    assert 5 < flips < 25


def test_the_order_in_which_operations_are_named_does_not_matter(scene):
    backwards = dict(reversed(ALL.items()))
    one, other = (
        augment(*scene(), np.random.default_rng(2), other=scene, **operations)
        for operations in (ALL, backwards)
    )
    assert same(one, other)


def test_boxes_of_any_kind_of_number_become_float32(scene):
    image, annotations = scene()
    for dtype in ("int64", "float64"):
        given = {**annotations, "bboxes": annotations["bboxes"].astype(dtype)}
        _, found = augment(image, given, np.random.default_rng(0), flip=ON)
        assert found["bboxes"].dtype == np.float32


@st.composite
def pictures(draw):
    size = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    boxes = []
    for _ in range(draw(st.integers(0, 4))):
        x, y = (draw(st.integers(0, side - 1)) for side in size)
        boxes.append((x, y, draw(st.integers(x + 1, size[0])), draw(st.integers(y + 1, size[1]))))
    labels = draw(st.lists(st.integers(0, 5), min_size=len(boxes), max_size=len(boxes)))
    return boxes, labels, size


@settings(max_examples=300, deadline=None)
@given(
    own=pictures(),
    theirs=pictures(),
    size=st.none() | st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 2**32),
    operations=st.dictionaries(
        st.sampled_from(list(OPERATIONS)),
        st.fixed_dictionaries({"chance": st.just(1.0), "strength": st.floats(0, 3)}),
    ),
)
def test_boxes_stay_inside_and_in_order(scene, sound, own, theirs, size, seed, operations):
    drawn = [scene(boxes, labels, size) for boxes, labels, size in (own, theirs)]
    for _, annotations in drawn:
        annotations["row"] = np.arange(len(annotations["labels"]))
    rng = np.random.default_rng(seed)
    image, annotations = augment(*drawn[0], rng, size, lambda: drawn[1], **operations)
    sound(image, annotations, size or own[2])
    if not {"mosaic", "mixup"} & set(operations):
        rows = annotations["row"]
        assert (np.diff(rows) > 0).all()
        assert annotations["labels"].tolist() == [own[1][row] for row in rows]
    else:
        assert set(annotations["labels"].tolist()) <= {*own[1], *theirs[1]}


# what is asked for


def test_defaults_stand_for_what_is_not_given():
    assert complete({"blur": {}}) == {"blur": {"chance": 0.5, "strength": 1.0}}
    assert complete({"blur": {"chance": 1}}) == {"blur": {"chance": 1, "strength": 1.0}}
    for level in AUGMENTATIONS.values():
        assert complete(level) == level


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ({"zoom": {}}, "'zoom'; known: flip, vertical_flip, scale, "),
        ({"flip": {"p": 0.5}}, "flip: the arguments are chance, strength, got {'p': 0.5}"),
        ({"flip": 0.5}, "flip: the arguments are chance, strength, got 0.5"),
        ({"flip": {"chance": 1.1}}, "flip: chance must be from 0 to 1"),
        ({"blur": {"strength": -1}}, "strength from 0 to 10, got .*-1"),
        ({"blur": {"strength": float("nan")}}, "blur"),
    ],
)
def test_unknown_operations_and_arguments_are_named(scene, operations, message):
    with pytest.raises(ValueError, match=message):
        augment(*scene(), np.random.default_rng(0), **operations)
