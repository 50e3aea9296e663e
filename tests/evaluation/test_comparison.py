"""Comparison of two result files: cases by hand, and simulated detectors of known difference."""

import json

import numpy as np
import pytest

from keras_retinanet.bin import evaluate
from keras_retinanet.evaluation.coco import evaluate_rows
from keras_retinanet.evaluation.comparison import (
    Difference,
    compare,
    report_comparison,
    sentence,
)

BOX = [10, 10, 40, 30]


def one_object_each(images, found):
    """Return ground truth with one object in each image, and the rows of those that are found."""
    entries = [{"image_id": i, "category_id": 1, "bbox": BOX} for i in range(images)]
    truth = {
        "images": [{"id": i, "file_name": f"{i}.jpg"} for i in range(images)],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [{**each, "id": i, "area": 1200} for i, each in enumerate(entries, start=1)],
    }
    return truth, [[{**entries[i], "score": 0.5} for i in each] for each in found]


def test_figures_are_those_of_both_files(random_set):
    truth, rows = random_set(0, noise=5)
    other = rows[::2]
    found = compare(truth, rows, other, 20)
    for figure in ("AP", "AP50"):
        a, b = evaluate_rows(truth, rows), evaluate_rows(truth, other)
        difference = found.of_all[figure]
        assert (difference.a, difference.b) == pytest.approx((a[figure], b[figure]), abs=1e-12)
        assert difference.low <= b[figure] - a[figure] <= difference.high
        for name in a["per_class"]:
            pair = found.per_class[name][figure]
            expected = a["per_class"][name][figure], b["per_class"][name][figure]
            assert (pair.a, pair.b) == pytest.approx(expected, abs=1e-12)


def test_pairs_are_on_the_same_images():
    # B finds what A finds and one object of 20 more: in no resample is B behind.
    truth, rows = one_object_each(20, [range(10), range(11)])
    found = compare(truth, *rows, 400).of_all["AP"]
    # 51 of the 101 recalls lie at or below 10/20, 56 at or below 11/20
    assert (found.a, found.b) == pytest.approx((51 / 101, 56 / 101))
    # The image is missing from a resample with chance (19/20)^20 = 0.36; then both are equal.
    assert found.low == 0 < found.difference < found.high < 0.2
    assert found.verdict == "not distinguishable"
    assert found.p_value == pytest.approx(2 * 0.36, abs=0.1)


def test_a_clear_difference_is_seen_in_both_directions():
    truth, (a, b) = one_object_each(40, [range(10), range(35)])
    better, worse = compare(truth, a, b, 200), compare(truth, b, a, 200)
    assert better.of_all["AP"].verdict == better.per_class["cat"]["AP50"].verdict == "better"
    assert better.of_all["AP"].p_value == pytest.approx(2 / 201)
    assert worse.of_all["AP"].verdict == "worse"
    assert worse.of_all["AP"].low == pytest.approx(-better.of_all["AP"].high)
    assert sentence(better).startswith("B is better than A: AP differs by +0.6")
    assert sentence(worse).startswith("B is worse than A: AP differs by -0.6")


def test_one_detector_is_not_distinguishable_from_itself(random_set):
    truth, rows = random_set(1, noise=5)
    found = compare(truth, rows, rows, 50).of_all["AP"]
    assert found == Difference(found.a, found.a, 0, 0, 1.0, found.num_images)
    assert found.verdict == "not distinguishable"


def test_few_images_prove_nothing():
    truth, rows = one_object_each(9, [[], range(9)])
    found = compare(truth, *rows, 50)
    assert found.of_all["AP"].verdict == "too few images"
    assert "fewer than 10 images" in sentence(found)


def test_nothing_to_compare():
    truth, (a, b) = one_object_each(12, [range(3), range(9)])
    found = compare(truth, a, b, 20)
    assert found.per_class["dog"] == {"AP": None, "AP50": None}
    assert "\ndog        AP      -      -       -" in report_comparison(found)
    nothing = compare({**truth, "annotations": []}, a, b, 20)
    assert nothing.of_all == {"AP": None, "AP50": None}
    assert "has no objects" in report_comparison(nothing)
    assert compare({**truth, "annotations": [], "images": []}, [], [], 5).of_all["AP"] is None


def test_intervals_hold_the_known_difference(load_benchmark):
    benchmark = load_benchmark("intervals")
    sizes = {"simulations": 20, "resamples": 60, "images": 60, "references": 60}
    true, held, verdicts = benchmark.simulate((0.0, 1.0), **sizes)
    assert true[1] - true[0] > 0.05
    # Of 20 intervals that hold it with chance 0.95, fewer than 15 do once in 3,000 times.
    assert (held >= 15 / 20).all()
    assert verdicts["better"] > 10 > verdicts["worse"] == 0


@pytest.fixture
def files(tmp_path):
    truth, (a, b) = one_object_each(40, [range(10), range(35)])
    paths = []
    for name, content in (("truth", truth), ("a", a), ("b", b)):
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(json.dumps(content))
    return paths


def test_command_prints_and_writes_the_difference(files, tmp_path, capsys):
    out = tmp_path / "difference.json"
    words = [*files, "--bootstrap", "100", "--seed", "3", "--json", out]
    evaluate.main(["compare", *map(str, words)])
    printed = capsys.readouterr().out
    assert "B is better than A: AP differs by +0.6" in printed
    written = json.loads(out.read_text())
    assert written["AP"]["verdict"] == "better"
    assert written["per_class"]["dog"] == {"AP": None, "AP50": None}
    assert np.isfinite(written["AP50"]["p_value"])


def test_command_names_the_file_with_a_fault(refuse, files):
    rows = [{"image_id": 99, "category_id": 1, "bbox": BOX, "score": 0.5}]
    files[2].write_text(json.dumps(rows))
    message = refuse(evaluate.main, "compare", *files)
    assert "b.json: detection 1: unknown image_id 99" in message
    assert "would overwrite" in refuse(evaluate.main, "compare", *files, "--json", files[1])
