"""Batches without Keras: several scales, room for the boxes of mixtures, what is left out."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.batches import Batches, fitted
from keras_retinanet.preprocessing.dataset import Dataset, make_record
from keras_retinanet.utils.anchors import AnchorParameters
from keras_retinanet.utils.resizing import RESIZES, Fit, stretched

ANCHORS = {
    "anchor_params": AnchorParameters((16, 32), (8, 16), (1,), (1, 1.5)),
    "pyramid_levels": [3, 4],
}


@pytest.fixture
def dataset(tmp_path):
    """Three noise pictures of 64x48, 48x64 and 64x48 px with 2, 1 and 0 boxes."""
    rng = np.random.default_rng(0)
    records = []
    for index, (size, count) in enumerate([((64, 48), 2), ((48, 64), 1), ((64, 48), 0)]):
        path = tmp_path / f"{index}.png"
        Image.fromarray(rng.integers(0, 255, (*size[::-1], 3), "uint8")).save(path)
        boxes = [(4, 4, 20, 20), (20, 16, 44, 40)][:count]
        records.append(make_record(path, index, boxes, [0, 1][:count], size=size))
    return Dataset(records, ["cat", "dog"], [1, 2])


def batches(dataset, **options):
    return Batches(dataset, **{"image_min_side": 48, "image_max_side": 96, **ANCHORS, **options})


def test_no_backend_is_imported():
    script = (
        "import sys, keras_retinanet.preprocessing.batches, keras_retinanet.preprocessing.workers\n"
        "print({'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_images_and_boxes_are_fitted_together():
    image = np.zeros((4, 8, 3), "uint8")
    annotations = {"bboxes": np.array([[2, 1, 4, 3]], "float32"), "labels": np.array([1])}
    fit = stretched((8, 4), (16, 12))
    picture, changed = fitted(image, annotations, RESIZES["opencv"], fit)
    assert picture.shape == (12, 16, 3)
    assert changed["bboxes"].tolist() == [[4, 3, 8, 9]]  # twice as wide, three times as high
    assert annotations["bboxes"].tolist() == [[2, 1, 4, 3]]
    # KerasHub puts 2 px of black above and below and stretches the whole to 24 x 24 px
    picture, changed = fitted(
        image + 9, annotations, RESIZES["kerashub"], Fit((24, 12), (3, 3), (0, 6), (24, 24))
    )
    assert picture.shape == (24, 24, 3)
    assert changed["bboxes"].tolist() == [[6, 9, 12, 15]]


def test_a_batch_is_rgb_with_compact_targets(dataset):
    made = batches(dataset, batch_size=1, shuffle_groups=False)
    images, targets = made.batch_of([0], 0)
    with Image.open(dataset.records[0].path) as picture:
        assert (images[0, :48, :64] == np.asarray(picture)).all()
    assert images.shape == (1, 64, 64, 3)
    assert not images[0, 48:].any()
    assert targets["boxes"].tolist() == [[[4, 4, 20, 20], [20, 16, 44, 40]]]
    # a square of 16 px is the first box; one of 24 px, 4 px beside the second, has an IoU of
    # 20·24 / (2·576 - 480) = 0.71 with it
    assert set(np.unique(targets["matches"])) <= {-2, -1, 0, 1}
    assert {0, 1} <= set(targets["matches"].ravel())


def test_each_batch_takes_one_of_the_scales_and_its_boxes_with_it(dataset):
    made = batches(dataset, multi_scale=(24, 48, 96), batch_size=2)
    shapes, sides = set(), []
    for step in range(40):
        images, targets = made.batch_at(step)
        epoch, index = divmod(step, len(made))
        side = made.side_of(epoch, index)
        group = made.groups_of(epoch)[index]
        sides.append(side)
        shapes.add(images.shape)
        assert images.shape[1] % 32 == images.shape[2] % 32 == 0
        for image, row in zip(group, range(2), strict=True):
            record = dataset.records[image]
            expected = record.boxes * (side / 48)  # the short side of all pictures is 48
            assert np.allclose(targets["boxes"][row, : len(expected)], expected)
    assert {sides.count(side) > 5 for side in (24, 48, 96)} == {True}
    assert len(shapes) <= 3 * 2
    again = batches(dataset, multi_scale=(24, 48, 96), batch_size=2)
    assert [again.side_of(*divmod(step, len(again))) for step in range(40)] == sides


def test_the_long_side_goes_with_the_scale(dataset):
    made = batches(dataset, image_max_side=60, multi_scale=(24, 96))
    # 64x48 to a short side of 48 is 64x48, above 60: 60x45
    assert made.resized_size(0) == (60, 45)
    assert made.resized_size(0, 24) == (30, 22)  # at most 60 · 24/48 = 30; 22.5 rounds to even
    assert made.resized_size(0, 96) == (120, 90)


@pytest.mark.parametrize("resize", RESIZES)
def test_inputs_are_by_the_rule_and_rgb(dataset, resize):
    sides = {"image_min_side": 40, "image_max_side": 50}
    made = batches(dataset, resize=resize, canvases="own", **sides)
    rule = RESIZES[resize]
    for index, record in enumerate(dataset.records):
        image = np.asarray(Image.open(record.path))
        expected = rule.resample(image, rule.fit(record.size, 40, 50))
        inputs = made.inputs_of([index])
        assert inputs.dtype == expected.dtype
        np.testing.assert_array_equal(inputs, expected[None])


def test_own_canvases_are_as_large_as_their_batch_and_few_ones_hold_every_rule(dataset):
    # 64x48 and 48x64 px at a short side of 45 are 60x45 and 45x60
    own = batches(dataset, image_min_side=45, canvases="own")
    assert own.inputs_of([0]).shape == (1, 45, 60, 3)
    assert own.inputs_of([0, 1]).shape == (2, 60, 60, 3)
    assert not own.inputs_of([0, 1])[0, 45:].any()
    for resize in RESIZES:
        few = batches(dataset, image_min_side=31, image_max_side=33, resize=resize)
        shape = few.inputs_of([0, 1, 2]).shape
        assert shape[1] % 32 == shape[2] % 32 == 0
        assert shape == few.batch_of([0, 1, 2], 0)[0].shape


@pytest.mark.parametrize("resize", ["torchvision", "kerashub"])
def test_training_takes_the_sizes_of_the_rule_and_uint8(dataset, resize):
    made = batches(dataset, resize=resize, canvases="own", image_max_side=48)
    images, targets = made.batch_of([0], 0)
    assert images.dtype == "uint8"
    # 64x48 within 48x48 px is 48x36: on a canvas of 64x64
    assert images.shape == (1, 64, 64, 3)
    assert images[0, :36, :48].any(axis=-1).mean() > 0.99
    assert not images[0, 36:].any()
    np.testing.assert_allclose(targets["boxes"][0, 0], np.array([4, 4, 20, 20]) * 0.75)


def test_options_that_are_not_known(dataset):
    for option in ("resize", "canvases"):
        with pytest.raises(ValueError, match=f"Expected {option} among .*Received: 'nonsense'"):
            batches(dataset, **{option: "nonsense"})


@pytest.mark.parametrize(
    ("augmentation", "most"),
    [
        ({}, 2),
        ({"mosaic": {}}, 8),
        ({"mixup": {"chance": 1}}, 4),
        ({"mosaic": {"chance": 1}, "mixup": {"chance": 1}}, 10),
        ({"mosaic": {"chance": 0}}, 2),
    ],
)
def test_there_is_room_for_the_boxes_of_mixtures(dataset, augmentation, most):
    made = batches(dataset, augmentation=augmentation)
    assert made.most_boxes() == most
    for step in range(12):
        assert made.batch_at(step)[1]["boxes"].shape == (1, most, 4)


def test_mixtures_show_boxes_of_several_images(dataset):
    made = batches(dataset, augmentation={"mosaic": {"chance": 1}})
    counts = [(made.batch_at(step)[1]["boxes"][..., 2] > 0).sum() for step in range(30)]
    assert max(counts) > 2


def test_a_broken_picture_of_a_mixture_is_left_out(dataset):
    with open(dataset.records[0].path, "r+b") as file:
        file.seek(200)
        file.write(bytes(100))
    made = batches(dataset, augmentation={"mosaic": {"chance": 1}})
    with pytest.warns(UserWarning, match=r"1 of 3 images.*0\.png"):
        [made.batch_at(step) for step in range(6)]
    assert set(made.unreadable) == {0}
    strict = batches(dataset, augmentation={"mosaic": {"chance": 1}}, strict=True)
    with pytest.raises(InputError, match=r"0\.png"):
        [strict.batch_at(step) for step in range(6)]


def test_epochs_with_repetitions_are_equally_long(dataset):
    # cat is in 2 of 3 images, dog in 1: factors of dog √(1 / (1/3)) = 1.73, of cat 1.22
    made = batches(dataset, repeat_threshold=1.0)
    seen = np.zeros(3)
    for epoch in range(50):
        groups = made.groups_of(epoch)
        assert len(groups) == len(made)
        for group in groups:
            seen[group] += 1
    assert (seen >= 50).all()
    assert seen[2] == seen.min()
    assert seen[0] > 75
