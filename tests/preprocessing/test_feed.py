"""Feeding: order, where a run goes on, and that only what is needed is made ahead."""

import itertools
import threading
import time

import keras
import numpy as np
import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import Dataset, make_record
from keras_retinanet.preprocessing.feed import feed, prefetch
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.utils.anchors import AnchorParameters

SIZES = [(32, 32), (32, 32), (64, 32), (32, 64), (32, 32)]


class Noise(Generator):
    """Images of `SIZES` (w, h) in memory; the box of image i has the label i % 2."""

    def load_image(self, image_index):
        width, height = SIZES[image_index]
        rng = np.random.default_rng(image_index)
        return rng.integers(0, 255, (height, width, 3), "uint8")


@pytest.fixture
def generator():
    return noise()


def noise(**options):
    records = [
        make_record(f"{i}.png", i, [(4, 4, 20, 20)] * (i + 1), [i % 2] * (i + 1), size=size)
        for i, size in enumerate(SIZES)
    ]
    defaults = {
        "batch_size": 2,
        "group_method": "canvas",
        "no_resize": True,
        "preprocess_image": None,
        "compact": True,
        "augmentation": "default",
        "anchor_params": AnchorParameters((16,), (8,), (1,), (1,)),
        "pyramid_levels": [3],
    }
    return Noise(Dataset(records, ["cat", "dog"], [1, 2]), **{**defaults, **options})


def first(batches, count):
    """The first batches as NumPy: [[images, boxes, labels, matches]]."""
    return [
        [
            np.asarray(inputs),
            *(np.asarray(targets[name]) for name in ("boxes", "labels", "matches")),
        ]
        for inputs, targets in itertools.islice(iter(batches), count)
    ]


def equal(one, other):
    pairs = list(zip(one, other, strict=True))
    return all(np.array_equal(x, y) for a, b in pairs for x, y in zip(a, b, strict=True))


def test_prefetch_keeps_the_order_and_gives_everything():
    def slow_at_first(item):
        time.sleep(0.02 / (item + 1))
        return item * item

    assert list(prefetch(slow_at_first, range(20), workers=4, ahead=6)) == [
        item * item for item in range(20)
    ]
    assert list(prefetch(slow_at_first, [], workers=4)) == []


def test_prefetch_runs_no_further_ahead_than_told():
    started = []
    batches = prefetch(lambda item: started.append(item) or item, itertools.count(), 1, ahead=3)
    assert [next(batches) for _ in range(4)] == [0, 1, 2, 3]
    time.sleep(0.1)
    assert max(started) <= 3 + 3
    batches.close()


def test_prefetch_passes_errors_on_in_their_place():
    def fails_at_two(item):
        if item == 2:
            raise InputError("two")
        return item

    batches = prefetch(fails_at_two, range(5), workers=2, ahead=5)
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(InputError, match="two"):
        next(batches)


def test_prefetch_ends_its_threads():
    before = threading.active_count()
    batches = prefetch(lambda item: item, itertools.count(), workers=3, ahead=6)
    next(batches)
    batches.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_the_feed_is_the_batches_in_order_over_the_epochs(generator):
    count = 2 * len(generator) + 1
    expected = first((generator.batch_at(step) for step in range(count)), count)
    assert equal(first(feed(generator), count), expected)
    shapes = {batch[0].shape[1:3] for batch in expected}
    assert shapes == {(32, 32), (32, 64), (64, 32)}


def test_a_feed_from_the_middle_is_the_tail_of_the_whole(generator):
    whole = first(feed(noise()), 9)
    assert equal(first(feed(generator, start=5), 4), whole[5:])


def test_threads_change_nothing(generator):
    assert equal(first(feed(generator, workers=4, ahead=7), 12), first(feed(noise()), 12))


def test_the_feed_starts_anew_each_time(generator):
    batches = feed(generator)
    if keras.backend.backend() != "tensorflow":
        pytest.skip("a Python generator is consumed")
    assert equal(first(batches, 3), first(batches, 3))


def test_dtypes_are_small(generator):
    [[images, boxes, labels, matches]] = first(feed(generator), 1)
    assert images.dtype == np.uint8
    assert boxes.dtype == np.float32
    assert labels.dtype == matches.dtype == np.int32
    assert boxes.shape == (2, 5, 4)  # the image with the most boxes has five


def test_shapes_are_open_where_batches_differ(generator):
    batches = feed(generator)
    if keras.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow fixes shapes")
    images, targets = batches.element_spec
    assert images.shape.as_list() == [2, None, None, 3]
    assert targets["matches"].shape.as_list() == [2, None]
    assert targets["boxes"].shape.as_list() == [2, 5, 4]


def test_preprocessed_images_are_float(generator):
    old = noise(preprocess_image=lambda image: image - 1.0)
    [[images, *_]] = first(feed(old), 1)
    assert images.dtype == np.float32


def test_groups_survive_many_threads_in_short_epochs():
    generator = noise(batch_size=5, group_method="random")
    assert len(generator) == 1
    steps = list(prefetch(generator.batch_at, range(60), workers=8, ahead=30))
    assert len(steps) == 60
