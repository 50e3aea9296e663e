"""The loader: batches that follow from (seed, epoch, index), and feeds that go on from any step."""

import dataclasses
import itertools
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.collate import MOST_SHAPES, Anchoring
from keras_retinanet.preprocessing.dataset import Dataset, make_record
from keras_retinanet.preprocessing.epochs import Batching
from keras_retinanet.preprocessing.examples import Sizing
from keras_retinanet.preprocessing.loader import Loader
from keras_retinanet.utils.anchors import AnchorParameters, anchors_for_shape
from keras_retinanet.utils.resizing import RESIZES
from keras_retinanet.utils.threads import prefetch

ANCHORS = AnchorParameters((16, 32), (8, 16), (1,), (1, 1.5))
LEVELS = [3, 4]
ANCHORING = Anchoring(ANCHORS, LEVELS)
SIDES = Sizing(48, 96)
AS_IT_IS = Sizing(None)


def write(folder, sizes, boxes=None, ignore=None):
    """A data set of noise images of `sizes` (w, h), each with its boxes of class 1."""
    rng = np.random.default_rng(0)
    records = []
    for i, (width, height) in enumerate(sizes):
        path = folder / f"{i}.png"
        Image.fromarray(rng.integers(0, 255, (height, width, 3), "uint8")).save(path)
        rows = [(4, 4, 20, 20)] if boxes is None else boxes[i]
        mask = None if ignore is None else ignore[i]
        records.append(make_record(path, i, rows, [1] * len(rows), mask, size=(width, height)))
    return Dataset(records, ["cat", "dog"], [1, 2])


@pytest.fixture
def dataset(tmp_path):
    """Three noise images of 64x48, 48x64 and 64x48 px with 2, 1 and 0 boxes."""
    boxes = [[(4, 4, 20, 20), (20, 16, 44, 40)], [(4, 4, 20, 20)], []]
    return write(tmp_path, [(64, 48), (48, 64), (64, 48)], boxes)


def loader(dataset, sizing=SIDES, batch_size=1, **options):
    """A `Loader` with the options of `Batching` and its own together."""
    names = {field.name for field in dataclasses.fields(Batching)}
    batching = {name: options.pop(name) for name in names & options.keys()}
    return Loader(dataset, sizing, ANCHORING, Batching(batch_size, **batching), **options)


def equal(one, other):
    """True if two batches are equal."""
    rows = [[images, *targets.values()] for images, targets in (one, other)]
    return all(np.array_equal(*pair) for pair in zip(*rows, strict=True))


def break_inside(path):
    """Spoil the pixels of a PNG; its head and its end stay as they are."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)


def test_batches_import_no_backend():
    script = (
        "import sys, keras_retinanet.preprocessing.loader\n"
        "print({'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


# a batch


def test_a_batch_is_rgb_with_compact_targets(dataset):
    images, targets = loader(dataset, shuffle=False, group_method="none").batch_at(0)
    with Image.open(dataset.records[0].path) as image:
        assert (images[0, :48, :64] == np.asarray(image)).all()
    assert (images.dtype, images.shape) == (np.uint8, (1, 64, 64, 3))
    assert not images[0, 48:].any()
    assert targets["boxes"].tolist() == [[[4, 4, 20, 20], [20, 16, 44, 40]]]
    assert targets["boxes"].dtype == np.float32
    assert targets["labels"].dtype == targets["matches"].dtype == np.int32
    assert targets["matches"].shape == (1, len(anchors_for_shape((64, 64), LEVELS, ANCHORS)))
    # a square of 16 px is the first box; one of 24 px, 4 px beside the second, has an IoU of
    # 20·24 / (2·576 - 480) = 0.71 with it
    assert set(np.unique(targets["matches"])) <= {-2, -1, 0, 1}
    assert {0, 1} <= set(targets["matches"].ravel())


def test_anchors_of_an_ignored_box_are_left_out(tmp_path):
    counted = loader(write(tmp_path, [(32, 32)]), AS_IT_IS).batch_at(0)[1]["matches"]
    ignored = write(tmp_path, [(32, 32)], ignore=[[True]])
    matches = loader(ignored, AS_IT_IS).batch_at(0)[1]["matches"]
    assert (counted == 0).any()  # the anchor of size 16 at (12, 12) is the box itself
    assert (matches == np.where(counted == 0, -2, counted)).all()


def test_anchors_in_the_padding_are_ignored(tmp_path):
    [matches] = loader(write(tmp_path, [(40, 64)], [[]]), AS_IT_IS).batch_at(0)[1]["matches"]
    anchors = anchors_for_shape((64, 64), LEVELS, ANCHORS)
    outside = (anchors[:, 0] + anchors[:, 2]) / 2 >= 40
    assert outside.any()
    assert (matches == np.where(outside, -2, -1)).all()


def test_all_batches_have_room_for_the_same_number_of_boxes(tmp_path):
    boxes = [[(0, 0, 9, 9)] * count for count in (0, 3, 1)]
    made = loader(write(tmp_path, [(32, 32), (64, 32), (32, 64)], boxes), AS_IT_IS)
    batches = [made.batch_at(step)[1] for step in range(len(made))]
    assert {batch["boxes"].shape for batch in batches} == {(1, 3, 4)}
    assert {batch["labels"].shape for batch in batches} == {(1, 3)}


def test_without_any_box_there_is_room_for_one(tmp_path):
    targets = loader(write(tmp_path, [(32, 32)], [[]]), AS_IT_IS).batch_at(0)[1]
    assert targets["boxes"].shape == (1, 1, 4)
    assert set(np.unique(targets["matches"])) == {-1}


def test_no_images_make_no_batches():
    made = loader(Dataset([], ["cat"], [1]))
    assert len(made) == 0
    assert made.most_boxes == 1


@pytest.mark.parametrize("group_method", ["none", "random", "ratio", "bucket"])
def test_every_grouping_gives_every_image(tmp_path, group_method):
    made = loader(write(tmp_path, [(64, 32), (32, 64)]), AS_IT_IS, group_method=group_method)
    shapes = [made.batch_at(step)[0].shape[1:3] for step in range(2)]
    assert sorted(shapes) == [(32, 64), (64, 32)]


def test_batches_of_a_bucket_never_mix_shapes(tmp_path):
    sizes = np.random.default_rng(0).integers(20, 300, (40, 2)).tolist()
    made = loader(write(tmp_path, map(tuple, sizes)), AS_IT_IS, batch_size=4)
    for epoch in range(2):
        for group in made.groups_of(epoch):
            assert len({made.bucket_of(index) for index in group}) == 1


@pytest.mark.parametrize("group_method", ["none", "random", "ratio", "bucket"])
@pytest.mark.parametrize("multi_scale", [(), (64, 96, 160, 224)])
def test_each_scale_has_at_most_4_shapes_of_batches_that_hold_their_images(
    tmp_path, group_method, multi_scale
):
    sizes = np.random.default_rng(0).integers(20, 300, (24, 2)).tolist()
    sizing = Sizing(128, 256, multi_scale=multi_scale)
    dataset = write(tmp_path, map(tuple, sizes))
    made = loader(dataset, sizing, batch_size=3, group_method=group_method)
    shapes = {}
    for step in range(2 * len(made)):
        epoch, index = divmod(step, len(made))
        side = made.side_of(epoch, index)
        height, width = made.batch_at(step)[0].shape[1:3]
        shapes.setdefault(side, set()).add((height, width))
        for image in made.groups_of(epoch)[index]:
            frame = sizing.fit(dataset.records[image].size, side).frame
            assert frame[0] <= width
            assert frame[1] <= height
    assert all(len(found) <= 4 for found in shapes.values())


def test_images_whose_size_is_unknown_are_refused():
    with pytest.raises(ValueError, match=r"a\.png.*checked"):
        loader(Dataset([make_record("a.png", 0)], ["cat"], [1]))


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda dataset: loader(dataset, augmentation="nonsense"), "augmentation"),
        (lambda dataset: Sizing(rule="nonsense"), "rule"),
        (lambda dataset: Anchoring(assigner="nonsense").assign, "assigner"),
    ],
)
def test_unknown_names_are_refused(dataset, build, name):
    with pytest.raises(ValueError, match=f"{name}.*'nonsense'"):
        build(dataset)


def test_normalized_images_are_float_and_as_the_function_gives_them(dataset):
    made = loader(dataset, shuffle=False, group_method="none", normalize=lambda x: x - 1.0)
    images, _ = made.batch_at(0)
    with Image.open(dataset.records[0].path) as image:
        expected = np.asarray(image) - np.float32(1)
    assert images.dtype == np.float32
    assert (images[0, :48] == expected).all()
    assert not images[0, 48:].any()  # padding is zero after the normalization


def test_anchors_of_only_a_few_shapes_are_kept():
    calls = []

    def compute_shapes(shape, levels):
        calls.append(shape)
        return [[1, 1] for _ in levels]

    anchoring = Anchoring(ANCHORS, LEVELS, compute_shapes=compute_shapes)
    assert anchoring.grid((32, 32, 3)) is anchoring.grid((32, 32))
    for side in range(33, 33 + MOST_SHAPES):
        anchoring.grid((32, side))
    anchoring.grid((32, 32))
    assert len(calls) == MOST_SHAPES + 2


# sizes


def test_each_batch_takes_one_of_the_scales_and_its_boxes_with_it(dataset):
    sizing = Sizing(48, 96, multi_scale=(24, 48, 96))
    made = loader(dataset, sizing, batch_size=2)
    shapes, sides = set(), []
    for step in range(40):
        images, targets = made.batch_at(step)
        epoch, index = divmod(step, len(made))
        side = made.side_of(epoch, index)
        sides.append(side)
        shapes.add(images.shape)
        assert images.shape[1] % 32 == images.shape[2] % 32 == 0
        for row, image in enumerate(made.groups_of(epoch)[index]):
            record = dataset.records[image]
            expected = record.boxes * (side / 48)  # the short side of all images is 48
            assert np.allclose(targets["boxes"][row, : len(expected)], expected)
    assert {sides.count(side) > 5 for side in (24, 48, 96)} == {True}
    assert len(shapes) <= 3 * 2
    again = loader(dataset, sizing, batch_size=2)
    assert [again.side_of(*divmod(step, len(again))) for step in range(40)] == sides


def test_the_long_side_goes_with_the_scale():
    sizing = Sizing(48, 60, multi_scale=(24, 96))
    # 64x48 to a short side of 48 is 64x48, above 60: 60x45
    assert sizing.fit((64, 48)).size == (60, 45)
    assert sizing.fit((64, 48), 24).size == (30, 22)  # at most 60 · 24/48 = 30; 22.5 rounds to even
    assert sizing.fit((64, 48), 96).size == (120, 90)
    assert Sizing(None).fit((64, 48)).size == (64, 48)


@pytest.mark.parametrize("rule", RESIZES)
def test_training_takes_the_sizes_of_the_rule_and_uint8(dataset, rule):
    made = loader(dataset, Sizing(48, 48, rule), shuffle=False, group_method="none")
    images, targets = made.batch_at(0)
    assert images.dtype == "uint8"
    # 64x48 within 48x48 px is 48x36, in a bucket of 64x64
    assert images.shape == (1, 64, 64, 3)
    assert images[0, :36, :48].any(axis=-1).mean() > 0.99
    assert not images[0, 36:].any()
    np.testing.assert_allclose(targets["boxes"][0, 0], np.array([4, 4, 20, 20]) * 0.75)


# augmentation and repetition


@pytest.mark.parametrize("group_method", ["ratio", "bucket"])
def test_a_flip_moves_image_and_boxes(tmp_path, group_method):
    dataset = write(tmp_path, [(32, 32)])
    options = {"group_method": group_method, "sizing": AS_IT_IS}
    still = loader(dataset, **options).batch_at(0)
    images, targets = loader(dataset, augmentation={"flip": {"chance": 1}}, **options).batch_at(0)
    assert np.array_equal(images[0], still[0][0, :, ::-1])
    assert targets["boxes"][0, 0].tolist() == [12, 4, 28, 20]  # 32 - 20, 32 - 4


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
    made = loader(dataset, augmentation=augmentation)
    assert made.most_boxes == most
    for step in range(12):
        assert made.batch_at(step)[1]["boxes"].shape == (1, most, 4)


def test_mixtures_show_boxes_of_several_images(dataset):
    made = loader(dataset, augmentation={"mosaic": {"chance": 1}})
    counts = [(made.batch_at(step)[1]["boxes"][..., 2] > 0).sum() for step in range(30)]
    assert max(counts) > 2


def test_mixtures_end_at_a_step(dataset):
    mixtures = {"mosaic": {"chance": 1}, "mixup": {"chance": 1}}
    mixed, plain = loader(dataset, augmentation=mixtures), loader(dataset)
    ending = loader(dataset, augmentation=mixtures, mixed_until=2)
    assert equal(ending.batch_at(1), mixed.batch_at(1))
    assert not equal(mixed.batch_at(2), ending.batch_at(2))
    np.testing.assert_array_equal(ending.batch_at(2)[0], plain.batch_at(2)[0])


def test_a_copy_without_augmentation_has_the_same_batches_unchanged(dataset):
    made = loader(dataset, augmentation={"mosaic": {"chance": 1}})
    plain = dataclasses.replace(made, augmentation={})
    assert plain.groups_of(3) == made.groups_of(3)
    assert plain.most_boxes == 2
    assert equal(plain.batch_at(0), loader(dataset).batch_at(0))


def test_epochs_with_repetitions_are_equally_long(dataset):
    # dog is in 2 of 3 images: a factor of √(1 / (2/3)) = 1.22
    made = loader(dataset, repeat_threshold=1.0)
    seen = np.zeros(3)
    for epoch in range(50):
        groups = made.groups_of(epoch)
        assert len(groups) == len(made)
        for group in groups:
            seen[group] += 1
    assert (seen >= 50).all()
    assert seen[2] == seen.min()
    assert seen[:2].min() > 55


# chance


def test_batches_depend_only_on_seed_epoch_and_index(tmp_path):
    dataset = write(tmp_path, [(32, 32)] * 5)
    options = {"augmentation": "default", "batch_size": 2}
    one, other = (loader(dataset, seed=3, **options) for _ in range(2))
    steps = [4, 0, 7, 2]  # in any order
    batches = {step: one.batch_at(step) for step in steps}
    assert all(equal(batches[step], other.batch_at(step)) for step in reversed(steps))
    assert not equal(one.batch_at(0), loader(dataset, seed=4, **options).batch_at(0))


def test_the_same_image_changes_from_epoch_to_epoch(tmp_path):
    made = loader(write(tmp_path, [(32, 32)]), augmentation={"affine": {"chance": 1}})
    assert not equal(made.batch_at(0), made.batch_at(1))


def test_repetitions_within_a_batch_differ(tmp_path):
    dataset = write(tmp_path, [(32, 32)])
    made = loader(dataset, augmentation={"affine": {"chance": 1}}, batch_size=2)
    first, second = made.batch_at(0)[0]
    assert not np.array_equal(first, second)


def test_without_shuffling_all_epochs_are_alike(tmp_path):
    made = loader(write(tmp_path, [(32, 32)] * 4), shuffle=False)
    assert made.groups_of(0) == made.groups_of(5) == [[0], [1], [2], [3]]


def test_groups_survive_many_threads_in_short_epochs(dataset):
    made = loader(dataset, batch_size=5, group_method="random", augmentation="default")
    assert len(made) == 1
    assert len(list(prefetch(made.batch_at, range(60), workers=8, ahead=30))) == 60


# broken images


def test_an_image_that_breaks_in_the_middle_is_left_out_with_one_warning(tmp_path):
    dataset = write(tmp_path, [(64, 64)] * 3)
    break_inside(tmp_path / "1.png")
    made = loader(dataset, batch_size=3, shuffle=False)
    with pytest.warns(UserWarning, match=r"1 of 3 images.*1\.png"):
        inputs, targets = made.batch_at(0)
    with warnings.catch_warnings(action="error"):
        made.batch_at(1)  # once is enough
    assert not inputs[1].any()
    assert (targets["matches"][1] == -2).all()
    assert (targets["matches"][[0, 2]] != -2).any(axis=1).all()
    assert set(made.reader.broken) == {1}


def test_a_broken_image_of_a_mixture_is_left_out(dataset):
    with open(dataset.records[0].path, "r+b") as file:
        file.seek(200)
        file.write(bytes(100))
    options = {"augmentation": {"mosaic": {"chance": 1}}}
    made = loader(dataset, **options)
    with pytest.warns(UserWarning, match=r"1 of 3 images.*0\.png"):
        [made.batch_at(step) for step in range(6)]
    assert set(made.reader.broken) == {0}
    strict = loader(dataset, strict=True, **options)
    with pytest.raises(InputError, match=r"0\.png"):
        [strict.batch_at(step) for step in range(6)]


def test_a_strict_loader_stops_at_a_broken_image(tmp_path):
    dataset = write(tmp_path, [(64, 64)] * 2)
    break_inside(tmp_path / "1.png")
    made = loader(dataset, shuffle=False, strict=True)
    made.batch_at(0)
    with pytest.raises(InputError, match=r"1\.png"):
        made.batch_at(1)


@pytest.mark.filterwarnings("ignore:Left out")
def test_a_loader_stops_when_all_its_images_are_broken(tmp_path):
    dataset = write(tmp_path, [(64, 64)] * 2)
    for name in ("0.png", "1.png"):
        break_inside(tmp_path / name)
    made = loader(dataset, shuffle=False)
    made.batch_at(0)
    with pytest.raises(InputError, match=r"2 images, all of them broken.*1\.png"):
        made.batch_at(1)


# feeding


@pytest.fixture
def mixed(tmp_path):
    """A loader of images of three shapes, in batches of 2."""
    sizes = [(32, 32), (32, 32), (64, 32), (32, 64), (32, 32)]
    boxes = [[(4, 4, 20, 20)] * (i + 1) for i in range(5)]
    dataset = write(tmp_path, sizes, boxes)
    return loader(dataset, AS_IT_IS, batch_size=2, augmentation="default")


def first(batches, count):
    """The first batches, as NumPy."""
    return [
        (np.asarray(images), {name: np.asarray(values) for name, values in targets.items()})
        for images, targets in itertools.islice(iter(batches), count)
    ]


def all_equal(one, other):
    return all(equal(*pair) for pair in zip(one, other, strict=True))


def test_a_feed_is_the_batches_in_order_over_the_epochs(mixed):
    count = 2 * len(mixed) + 1
    expected = [mixed.batch_at(step) for step in range(count)]
    assert all_equal(first(mixed.stream(), count), expected)
    assert {images.shape[1:3] for images, _ in expected} == {(32, 32), (32, 64), (64, 32)}


def test_a_feed_from_the_middle_is_the_tail_of_the_whole(mixed):
    assert all_equal(first(mixed.stream(start=5), 4), first(mixed.stream(), 9)[5:])


def test_threads_change_nothing(mixed):
    assert all_equal(first(mixed.stream(workers=4, ahead=7), 12), first(mixed.stream(), 12))


def test_a_feed_starts_again_each_time(mixed):
    batches = mixed.stream()
    if keras.backend.backend() != "tensorflow":
        pytest.skip("a Python generator is consumed")
    assert all_equal(first(batches, 3), first(batches, 3))


def test_shapes_are_open_where_batches_differ(mixed):
    batches = mixed.stream()
    if keras.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow fixes shapes")
    images, targets = batches.element_spec
    assert images.shape.as_list() == [2, None, None, 3]
    assert targets["matches"].shape.as_list() == [2, None]
    assert targets["boxes"].shape.as_list() == [2, 5, 4]


def test_normalized_images_are_fed_as_float(mixed):
    normalized = dataclasses.replace(mixed, normalize=lambda image: image - 1.0)
    [(images, _)] = first(normalized.stream(), 1)
    assert images.dtype == np.float32


def test_the_error_that_ends_a_feed_is_kept(mixed, tmp_path):
    break_inside(tmp_path / "0.png")
    strict = dataclasses.replace(mixed, strict=True)
    with pytest.raises(Exception, match=r"0\.png"):
        first(strict.stream(), 10)
    assert isinstance(strict.failure, InputError)


def test_hosts_load_the_rows_of_the_batch_of_one_host(dataset):
    whole = loader(dataset, batch_size=2)
    parts = [loader(dataset, batch_size=2, share=(host, 2)) for host in (0, 1)]
    for step in range(len(whole)):
        images, targets = whole.batch_at(step)
        batches = [part.batch_at(step) for part in parts]
        np.testing.assert_array_equal(np.concatenate([batch[0] for batch in batches]), images)
        for name, values in targets.items():
            joined = np.concatenate([batch[1][name] for batch in batches])
            np.testing.assert_array_equal(joined, values)
