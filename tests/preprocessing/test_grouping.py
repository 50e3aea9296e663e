"""Canvases and groups: every image once an epoch, no batch across canvases."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_retinanet.preprocessing.grouping import (
    GROUPINGS,
    MOST_CANVASES,
    canvases_for,
    groups,
    repeat_factors,
    repeated,
    smallest,
)

SIDES = st.integers(1, 700)


class Images:
    """As much of a generator as grouping asks for."""

    def __init__(self, sizes, batch_size=1, group_method="canvas", shuffle_groups=True, seed=0):
        self.sizes = sizes
        self.batch_size = batch_size
        self.group_method = group_method
        self.shuffle_groups = shuffle_groups
        self.seed = seed
        self.repeat_threshold = 0
        self.canvases = canvases_for(sizes)

    def size(self):
        return len(self.sizes)

    def image_aspect_ratio(self, index):
        return self.sizes[index][0] / self.sizes[index][1]

    def canvas(self, index):
        return smallest(self.canvases, self.sizes[index])


@given(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_canvases_hold_every_image_and_are_few_multiples_of_32(sizes):
    canvases = canvases_for(sizes)
    assert 1 <= len(canvases) <= MOST_CANVASES == 4
    assert all(side % 32 == 0 for canvas in canvases for side in canvas)
    for width, height in sizes:
        canvas = smallest(canvases, (width, height))
        assert canvas[0] >= width
        assert canvas[1] >= height
    widest, highest = np.max(sizes, axis=0)
    assert max(canvas[0] for canvas in canvases) == -(-widest // 32) * 32
    assert max(canvas[1] for canvas in canvases) == -(-highest // 32) * 32


def test_canvases_are_joined_where_it_adds_the_least():
    # 64x64 and 64x96 join into 64x96: one image grows by 64·32 px² = 2,048
    # 320x320 and 320x352 would cost 100 · 320·32 = 1,024,000 for the hundred images
    sizes = [(64, 64), (64, 96), *[(320, 320)] * 100, (320, 352)]
    assert canvases_for(sizes, most=3) == [(64, 96), (320, 320), (320, 352)]


def test_a_few_sizes_keep_their_own_canvas():
    assert canvases_for([(32, 64), (64, 32), (33, 1)]) == [(32, 64), (64, 32)]
    assert canvases_for([(20, 20)]) == [(32, 32)]
    assert canvases_for([]) == []


def test_smallest_takes_the_least_area_that_fits():
    canvases = [(32, 32), (32, 96), (64, 64)]
    assert smallest(canvases, (32, 32)) == (32, 32)
    assert smallest(canvases, (20, 40)) == (32, 96)
    assert smallest(canvases, (33, 20)) == (64, 64)


def test_thousands_of_sizes_take_no_time():
    sizes = np.random.default_rng(0).integers(100, 4000, (5000, 2)).tolist()
    start = time.perf_counter()
    canvases = canvases_for(sizes)
    assert time.perf_counter() - start < 5
    assert len(canvases) == MOST_CANVASES
    assert all(smallest(canvases, size) for size in sizes)


@pytest.mark.parametrize("group_method", GROUPINGS)
@pytest.mark.parametrize("shuffle_groups", [True, False])
def test_every_image_appears_each_epoch_and_the_last_batch_is_filled(group_method, shuffle_groups):
    sizes = [(64, 32)] * 5 + [(32, 64)] * 3
    images = Images(sizes, 4, group_method, shuffle_groups)
    for epoch in range(3):
        batches = groups(images, epoch)
        counts = np.bincount(np.concatenate(batches), minlength=8)
        assert {len(batch) for batch in batches} == {4}
        assert (counts >= 1).all()
        # 8 images are two batches of 4, but canvases of 5 and 3 are two batches and one
        assert counts.sum() == (12 if group_method == "canvas" else 8)
        assert all(isinstance(index, int) for batch in batches for index in batch)


def test_the_last_batch_wraps_to_the_start():
    images = Images([(32, 32)] * 5, 3, "none", shuffle_groups=False)
    assert groups(images, 0) == [[0, 1, 2], [3, 4, 0]]


def test_a_set_smaller_than_a_batch_is_repeated():
    images = Images([(32, 32)] * 2, 5, "canvas", shuffle_groups=False)
    assert groups(images, 0) == [[0, 1, 0, 1, 0]]
    assert groups(Images([(32, 32)], 2), 0) == [[0, 0]]


@pytest.mark.parametrize("group_method", GROUPINGS)
def test_no_images_make_no_batches(group_method):
    assert groups(Images([], 2, group_method), 0) == []


def test_batches_never_mix_canvases():
    rng = np.random.default_rng(0)
    images = Images([tuple(size) for size in rng.integers(20, 300, (60, 2)).tolist()], 4)
    for epoch in range(2):
        for batch in groups(images, epoch):
            assert len({images.canvas(index) for index in batch}) == 1


def test_ratio_puts_like_shapes_together():
    images = Images([(30, 10), (10, 30), (31, 10), (10, 31)], 2, "ratio", shuffle_groups=False)
    assert groups(images, 0) == [[3, 1], [0, 2]]


def test_groups_are_the_same_for_the_same_seed_and_differ_between_epochs():
    sizes = [(32, 32)] * 20
    assert groups(Images(sizes, 4, seed=1), 3) == groups(Images(sizes, 4, seed=1), 3)
    assert groups(Images(sizes, 4, seed=1), 3) != groups(Images(sizes, 4, seed=2), 3)
    assert groups(Images(sizes, 4, seed=1), 3) != groups(Images(sizes, 4, seed=1), 4)


def test_without_shuffling_the_order_is_that_of_the_data_set():
    assert groups(Images([(32, 32)] * 4, 2, "canvas", shuffle_groups=False), 7) == [[0, 1], [2, 3]]


class Classes(Images):
    """Images with the labels that they show."""

    def __init__(self, labels, **options):
        super().__init__([(32, 32)] * len(labels), **options)
        self.labels = labels

    def num_classes(self):
        return 3

    def load_annotations(self, index):
        return {"labels": np.array(self.labels[index], int)}


def test_repeat_factors_by_hand():
    # 4 images: class 0 in 4 of them, class 1 in 1, class 2 in none; a threshold of 0.5:
    # √(0.5 / 1) < 1 counts as 1, √(0.5 / 0.25) = √2
    images = Classes([[0], [0, 0], [0, 1], [0]])
    assert np.allclose(repeat_factors(images, 0.5), [1, 1, 2**0.5, 1])
    assert np.allclose(repeat_factors(images, 0.1), 1)
    assert np.allclose(repeat_factors(Classes([[], []]), 0.5), 1)  # images without objects


@given(
    st.lists(st.floats(1, 5), min_size=1, max_size=30),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_each_index_is_repeated_as_often_as_its_factor_says(factors, seed):
    factors = np.array(factors)
    indices = np.arange(len(factors))
    rng = np.random.default_rng(seed)
    found = [repeated(indices, factors, rng) for _ in range(3)]
    for one in found:
        assert len(one) == len(found[0]) == int(np.ceil(np.cumsum(factors)[-1]))
        counts = np.bincount(one, minlength=len(factors))
        assert (counts >= 1).all()
        assert (np.abs(counts - factors) < 2).all()
        assert (np.diff(one) >= 0).all()


def test_images_of_a_rare_class_come_more_often_and_apart():
    images = Classes([[0]] * 15 + [[1]], batch_size=4)
    images.repeat_threshold = 1.0  # class 1 is in 1 of 16 images: a factor of 4
    seen = np.bincount(np.concatenate([groups(images, epoch) for epoch in range(20)]).ravel())
    assert (seen[:15] >= 20).all()
    assert 3 <= seen[15] / 20 <= 5
    assert any(group.count(15) == 1 for group in groups(images, 0))
