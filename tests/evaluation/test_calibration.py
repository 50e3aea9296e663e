"""Calibration: by hand, and on simulated detectors whose calibration is known."""

import numpy as np
import pytest

from keras_retinanet.evaluation.calibration import reliability
from keras_retinanet.evaluation.matching import match

from .cases import SQUARE, dataset, detection, record

ELSEWHERE = [300, 300, 400, 400]


def test_by_hand():
    data = dataset(record([SQUARE], [0]), record([SQUARE], [0]), names=("a", "b"))
    found = [
        detection([SQUARE, ELSEWHERE], [0.95, 0.85], [0, 0]),
        detection([SQUARE, ELSEWHERE], [0.85, 0.15], [0, 1]),
    ]
    rows = reliability(match(data, found), bins=10)
    assert rows.count.tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 2, 1]
    assert rows.precision[[1, 8, 9]] == pytest.approx([0, 1 / 2, 1])
    assert rows.score[[1, 8, 9]] == pytest.approx([0.15, 0.85, 0.95])
    # gaps: 0.15, twice 0.35, 0.05
    assert rows.error == pytest.approx((0.15 + 2 * 0.35 + 0.05) / 4)
    assert rows.leaning == pytest.approx((0.15 + 2 * 0.35 - 0.05) / 4)
    of_b = reliability(match(data, found), label=1, bins=10)
    assert of_b.error == pytest.approx(0.15)


def test_ignored_and_missing_detections():
    crowd = dataset(record([SQUARE], ignore=[True]))
    assert reliability(match(crowd, [detection([SQUARE], [0.9])])).error is None
    assert reliability(match(dataset(), [])).error is None
    assert reliability(match(dataset(record()), [detection([SQUARE], [1.0])])).error == 1


@pytest.mark.parametrize(("power", "least", "most"), [(1, 0, 0.04), (0.5, 0.12, 0.21)])
def test_simulated_detectors(power, least, most):
    """A detector whose detections of score s are right with probability s ** (1 / power); the
    expected gap is the mean of s - s ** 2 = 1 / 6 over scores from 0 to 1 for a power of 0.5. For a
    power of 1 it is chance: with 200 detections in a bin, 0.8 * 0.39 / 200 ** 0.5 = 0.022, with a
    standard deviation of 0.0045."""
    rng = np.random.default_rng(0)
    records, found = [], []
    for score in rng.random(3000):
        is_right = rng.random() < score ** (1 / power)
        records.append(record([SQUARE]))
        found.append(detection([SQUARE if is_right else ELSEWHERE], [score]))
    rows = reliability(match(dataset(*records), found))
    assert least <= rows.error <= most
    assert (rows.leaning > 0.1) == (power == 0.5)
