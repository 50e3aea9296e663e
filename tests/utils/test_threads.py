"""Prefetching: the order is kept, and no more is made ahead than was asked for."""

import itertools
import threading
import time

import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.utils.threads import prefetch


def test_the_order_is_kept_and_everything_is_given():
    def slow_at_first(item):
        time.sleep(0.02 / (item + 1))
        return item * item

    assert list(prefetch(slow_at_first, range(20), workers=4, ahead=6)) == [
        item * item for item in range(20)
    ]
    assert list(prefetch(slow_at_first, [], workers=4)) == []


def test_no_more_is_made_than_ahead():
    started = []
    batches = prefetch(lambda item: started.append(item) or item, itertools.count(), 1, ahead=3)
    assert [next(batches) for _ in range(4)] == [0, 1, 2, 3]
    time.sleep(0.1)
    assert max(started) <= 3 + 3
    batches.close()


def test_errors_are_raised_in_their_place():
    def fails_at_two(item):
        if item == 2:
            raise InputError("two")
        return item

    batches = prefetch(fails_at_two, range(5), workers=2, ahead=5)
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(InputError, match="two"):
        next(batches)


def test_closing_ends_the_threads():
    before = threading.active_count()
    batches = prefetch(lambda item: item, itertools.count(), workers=3, ahead=6)
    next(batches)
    batches.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before
