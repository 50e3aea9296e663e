"""The batches of an epoch: every image, no batch across buckets, rare classes repeated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_retinanet.preprocessing.dataset import Dataset, make_record
from keras_retinanet.preprocessing.epochs import (
    GROUPINGS,
    Batching,
    batches_of,
    by_bucket,
    by_ratio,
    repeat_factors,
    repeated,
)


def epoch(lists, *options, seed=0, factors=None):
    """The batches of `Batching(*options)` as lists of indices."""
    rng = np.random.default_rng(seed)
    return batches_of([np.array(row, int) for row in lists], Batching(*options), rng, factors)


@pytest.mark.parametrize("group_method", GROUPINGS)
@pytest.mark.parametrize("shuffle", [True, False])
def test_every_image_appears_and_the_last_batch_is_filled(group_method, shuffle):
    lists = [range(8)] if group_method != "bucket" else [range(5), range(5, 8)]
    for seed in range(3):
        batches = epoch(lists, 4, group_method, shuffle, seed=seed)
        counts = np.bincount(np.concatenate(batches), minlength=8)
        assert {len(batch) for batch in batches} == {4}
        assert (counts >= 1).all()
        # 8 images are two batches of 4, but buckets of 5 and 3 are two batches and one
        assert counts.sum() == (12 if group_method == "bucket" else 8)
        assert all(isinstance(index, int) for batch in batches for index in batch)


def test_the_last_batch_wraps_to_the_start():
    assert epoch([range(5)], 3, "none", False) == [[0, 1, 2], [3, 4, 0]]


def test_fewer_images_than_a_batch_are_repeated():
    assert epoch([range(2)], 5, "bucket", False) == [[0, 1, 0, 1, 0]]
    assert epoch([range(1)], 2) == [[0, 0]]


@pytest.mark.parametrize("lists", [[], [[]]])
def test_no_images_make_no_batches(lists):
    assert epoch(lists, 2) == []


def test_images_are_listed_by_bucket():
    lists = by_bucket([(64, 32), (32, 32), (64, 32), (32, 64)])
    assert [row.tolist() for row in lists] == [[1], [3], [0, 2]]
    assert by_bucket([]) == []


def test_batches_never_mix_lists():
    lists = [range(0, 30, 2), range(1, 30, 2)]
    for seed in range(3):
        for batch in epoch(lists, 4, seed=seed):
            assert len({index % 2 for index in batch}) == 1


def test_ratio_puts_like_shapes_together():
    lists = by_ratio([30 / 10, 10 / 30, 31 / 10, 10 / 31])
    assert epoch(lists, 2, "ratio", False) == [[3, 1], [0, 2]]
    assert epoch(by_ratio([2, 2, 1, 2]), 1, "ratio", False) == [[2], [0], [1], [3]]  # stable


def test_batches_follow_from_the_seed():
    lists = [range(20)]
    assert epoch(lists, 4, seed=1) == epoch(lists, 4, seed=1)
    assert epoch(lists, 4, seed=1) != epoch(lists, 4, seed=2)
    assert epoch(lists, 4, "random", False, seed=1) != epoch(lists, 4, "random", False, seed=2)


def test_without_shuffling_the_order_is_kept():
    assert epoch([range(4)], 2, "bucket", False) == [[0, 1], [2, 3]]


def test_an_unknown_group_method_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'nonsense'.*bucket, ratio, random, none"):
        Batching(group_method="nonsense")


def showing(*labels):
    """A data set of 3 classes whose images show these labels."""
    records = [
        make_record(f"{i}.png", i, [(0, 0, 9, 9)] * len(row), row) for i, row in enumerate(labels)
    ]
    return Dataset(records, ["a", "b", "c"], [1, 2, 3])


def test_repeat_factors_by_hand():
    # 4 images: class 0 in 4 of them, class 1 in 1, class 2 in none; a threshold of 0.5:
    # √(0.5 / 1) < 1 counts as 1, √(0.5 / 0.25) = √2
    dataset = showing([0], [0, 0], [0, 1], [0])
    assert np.allclose(repeat_factors(dataset, 0.5), [1, 1, 2**0.5, 1])
    assert np.allclose(repeat_factors(dataset, 0.1), 1)
    assert np.allclose(repeat_factors(showing([], []), 0.5), 1)  # images without objects


def test_ignored_boxes_show_no_class():
    record = make_record("0.png", 0, [(0, 0, 9, 9)], [1], [True])
    dataset = Dataset([record, *showing([0], [0]).records], ["a", "b"], [1, 2])
    assert np.allclose(repeat_factors(dataset, 1.0), [1, 1.5**0.5, 1.5**0.5])


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
    factors = repeat_factors(showing(*[[0]] * 15, [1]), 1.0)  # class 1: √(1 / (1/16)) = 4
    epochs = [epoch([range(16)], 4, seed=seed, factors=factors) for seed in range(20)]
    seen = np.bincount(np.concatenate(epochs).ravel())
    assert (seen[:15] >= 20).all()
    assert 3 <= seen[15] / 20 <= 5
    assert any(batch.count(15) == 1 for batch in epochs[0])
