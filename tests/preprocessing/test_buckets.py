"""Padding buckets hold every image, are few, and are joined where that costs the least."""

import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_retinanet.preprocessing.buckets import MOST_BUCKETS, buckets_for, smallest

SIDES = st.integers(1, 700)


@given(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_buckets_hold_every_image_and_are_few_multiples_of_32(sizes):
    buckets = buckets_for(sizes)
    assert 1 <= len(buckets) <= MOST_BUCKETS == 4
    assert all(side % 32 == 0 for bucket in buckets for side in bucket)
    for width, height in sizes:
        bucket = smallest(buckets, (width, height))
        assert bucket[0] >= width
        assert bucket[1] >= height
    widest, highest = np.max(sizes, axis=0)
    assert max(bucket[0] for bucket in buckets) == -(-widest // 32) * 32
    assert max(bucket[1] for bucket in buckets) == -(-highest // 32) * 32


def test_buckets_are_joined_where_it_adds_the_least():
    # 64x64 and 64x96 join into 64x96: one image grows by 64·32 px² = 2,048
    # 320x320 and 320x352 would cost 100 · 320·32 = 1,024,000 for the hundred images
    sizes = [(64, 64), (64, 96), *[(320, 320)] * 100, (320, 352)]
    assert buckets_for(sizes, most=3) == [(64, 96), (320, 320), (320, 352)]


def test_few_sizes_are_not_joined():
    assert buckets_for([(32, 64), (64, 32), (33, 1)]) == [(32, 64), (64, 32)]
    assert buckets_for([(20, 20)]) == [(32, 32)]
    assert buckets_for([]) == []


def test_smallest_takes_the_least_area_that_fits():
    buckets = [(32, 32), (32, 96), (64, 64)]
    assert smallest(buckets, (32, 32)) == (32, 32)
    assert smallest(buckets, (20, 40)) == (32, 96)
    assert smallest(buckets, (33, 20)) == (64, 64)


def test_thousands_of_sizes_take_no_time():
    sizes = np.random.default_rng(0).integers(100, 4000, (5000, 2)).tolist()
    start = time.process_time()
    buckets = buckets_for(sizes)
    assert time.process_time() - start < 5
    assert len(buckets) == MOST_BUCKETS
    assert all(smallest(buckets, size) for size in sizes)
