"""Intervals over images: resamples scored from scratch as the oracle, and cases by hand."""

import json

import numpy as np
import pytest

from keras_retinanet.bin import evaluate
from keras_retinanet.evaluation import bootstrap
from keras_retinanet.evaluation.bootstrap import figures, intervals, over_classes, rankings
from keras_retinanet.evaluation.coco import evaluate_rows
from keras_retinanet.evaluation.columns import columns_of

BOX = [10, 10, 40, 30]


def two_images():
    """One object in each of two images; only the first is found."""
    truth = {
        "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": BOX, "area": 1200, "iscrowd": 0}
            for i in (1, 2)
        ],
    }
    return truth, [{"image_id": 1, "category_id": 1, "bbox": BOX, "score": 0.5}]


def copied(entries, weights):
    """Return so many copies of the entries of each image, with images numbered anew."""
    first = np.cumsum(weights) - weights
    return [
        {**entry, "image_id": int(first[entry["image_id"] // 10]) + copy}
        for entry in entries
        for copy in range(weights[entry["image_id"] // 10])
    ]


def from_scratch(truth, rows, weights):
    """Return the figures of `evaluate_rows` (K + 1, 2) for copied images, classes by id."""
    annotations = copied(truth["annotations"], weights)
    content = {
        "images": [{"id": i, "file_name": ""} for i in range(int(sum(weights)))],
        "categories": truth["categories"],
        "annotations": [{**each, "id": i} for i, each in enumerate(annotations, start=1)],
    }
    metrics = evaluate_rows(content, copied(rows, weights))
    names = [str(each) for each in sorted(each["id"] for each in truth["categories"])]
    classes = [metrics["per_class"][name] or {} for name in names]
    return np.array([[each.get("AP"), each.get("AP50")] for each in [*classes, metrics]], float)


@pytest.mark.parametrize("seed", range(3))
def test_weights_are_copies_of_images(random_set, seed):
    truth, rows = random_set(seed, ties=False)
    rng = np.random.default_rng(seed)
    weights = [np.bincount(rng.integers(0, 20, 20), minlength=20) for _ in range(5)]
    weights += [np.ones(20, int), np.zeros(20, int), 7 * np.eye(20, dtype=int)[3]]
    found = figures(rankings(columns_of(truth, rows)), np.array(weights, np.int32))
    found = np.concatenate([found, over_classes(found)[:, None]], axis=1)
    expected = np.array([from_scratch(truth, rows, each) for each in weights])
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert 0.05 < expected[0, -1, 0] < expected[0, -1, 1] < 0.9


def test_tied_scores_keep_the_order_of_coco(random_set):
    truth, rows = random_set(0)
    found = over_classes(figures(rankings(columns_of(truth, rows)), np.ones((1, 20), np.int32)))
    metrics = evaluate_rows(truth, rows)
    assert found[0].tolist() == pytest.approx([metrics["AP"], metrics["AP50"]], abs=1e-12)


def test_resamples_of_two_images_by_hand():
    # The found image twice (chance 1/4): AP 1. Each once (1/2): recall 1/2, precision 1 at the 51
    # recalls 0 to 0.5. The other one twice (1/4): AP 0.
    truth, rows = two_images()
    (drawn,) = bootstrap.resampled([rankings(columns_of(truth, rows))], 2, 4000, seed=1)
    values, counts = np.unique(drawn[:, 0, 0], return_counts=True)
    assert values == pytest.approx([0, 51 / 101, 1])
    assert counts / 4000 == pytest.approx([0.25, 0.5, 0.25], abs=0.03)
    assert np.isnan(drawn[:, 1]).all()
    found = intervals(truth, rows, 1000)
    assert found["AP"] == pytest.approx([0, 1], abs=0.03)
    assert found["AP50"] == pytest.approx(found["AP"])
    assert found["per_class"]["cat"]["AP"] == pytest.approx(found["AP"])
    assert found["per_class"]["dog"] is None


def test_seed_decides_the_intervals(random_set, monkeypatch):
    data = random_set(0, noise=5)
    found = intervals(*data, 50, seed=4)
    monkeypatch.setattr(bootstrap, "BUDGET", 700)  # a few resamples at a time
    assert intervals(*data, 50, seed=4) == found
    assert intervals(*data, 50, seed=5) != found


def test_interval_is_that_of_percentiles():
    values = np.append(np.arange(1001) / 1000, np.nan)
    assert bootstrap.interval(bootstrap.centred(values, 0.6)) == pytest.approx([0.125, 1.075])
    assert bootstrap.interval(bootstrap.centred(np.full(3, np.nan), np.nan)) is None


def test_interval_of_many_classes_holds_their_mean(random_set):
    truth, rows = random_set(0, images=40, noise=5)
    categories = range(30)  # with few objects each, the resamples lie above
    rng = np.random.default_rng(0)
    for each in [*truth["annotations"], *rows]:
        each["category_id"] = int(rng.choice(categories))
    truth["categories"] = [{"id": each, "name": str(each)} for each in categories]
    low, high = intervals(truth, rows, 100)["AP"]
    assert low < evaluate_rows(truth, rows)["AP"] < high


def test_figures_without_detections_objects_or_images():
    truth, rows = two_images()
    assert intervals(truth, [], 10)["AP"] == [0, 0]
    none = {"AP": None, "AP50": None, "per_class": {"cat": None, "dog": None}, "resamples": 10}
    assert intervals({**truth, "annotations": []}, rows, 10) == none
    assert intervals({**truth, "annotations": [], "images": []}, [], 10) == none


def test_command_prints_the_intervals(tmp_path, capsys):
    paths = [str(tmp_path / name) for name in ("truth.json", "results.json", "figures.json")]
    truth, rows = two_images()
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "results.json").write_text(json.dumps(rows))
    evaluate.main(["detections", *paths[:2], "--bootstrap", "100", "--json", paths[2]])
    printed = capsys.readouterr().out
    assert "95% intervals over 100 resamples of the images\n" in printed
    assert "all    0.505  0.0" in printed
    assert "dog        -      -      -      -      -      -\n" in printed
    found = json.loads((tmp_path / "figures.json").read_text())["intervals"]["AP"]
    assert found == pytest.approx([0, 1], abs=0.1)
