"""COCO figures: hand arithmetic, and COCOeval's own summary as the oracle."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_retinanet.evaluation.coco import (
    FIGURES,
    evaluate_coco,
    ground_truth,
    image_ids,
    results,
)
from keras_retinanet.evaluation.report import report

from .cases import SQUARE, dataset, detection, random_case, record


def test_classes_of_a_frequency_have_a_figure_together(tmp_path):
    data, detections = random_case(0)
    data = dataclasses.replace(data, frequencies=dict(zip(data.class_names, "rfr", strict=True)))
    metrics = evaluate_coco(data, detections)
    first, second, third = (figures["AP"] for figures in metrics["per_class"].values())
    assert metrics["APr"] == pytest.approx((first + third) / 2)
    assert metrics["APf"] == second
    assert metrics["APc"] is None
    assert "APr" in report(metrics)
    assert "APr" not in evaluate_coco(random_case(0)[0], detections)


@pytest.mark.parametrize("seed", range(3))
def test_figures_agree_with_the_summary_of_cocoeval(seed, tmp_path):
    data, detections = random_case(seed)
    (tmp_path / "instances.json").write_text(json.dumps(ground_truth(data)))
    (tmp_path / "results.json").write_text(json.dumps(results(data, detections)))
    truth = COCO(tmp_path / "instances.json")
    evaluator = COCOeval(truth, truth.loadRes(str(tmp_path / "results.json")), "bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    metrics = evaluate_coco(data, detections)
    assert [metrics[name] for name in FIGURES] == pytest.approx(evaluator.stats.tolist(), abs=1e-12)
    assert 0.1 < metrics["AP"] < 0.9
    # Every class has boxes here, so that the mean over the classes is the whole.
    mean = np.mean([figures["AP50"] for figures in metrics["per_class"].values()])
    assert mean == pytest.approx(metrics["AP50"], abs=1e-12)

    evaluator.params.catIds = [9]  # class "a" alone
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    alone = {"AP": evaluator.stats[0], "AP50": evaluator.stats[1]}
    assert metrics["per_class"]["a"] == pytest.approx(alone, abs=1e-12)


def test_one_box_by_hand():
    # The detection covers 77 of 100 rows: IoU 0.77, a hit at .50 .55 .60 .65 .70 .75, 6 of 10
    # thresholds. Its area, 100 x 100, is above 96 x 96: large.
    metrics = evaluate_coco(dataset(record([SQUARE])), [detection([[0, 0, 100, 77]], [0.9])])
    expected = {"AP": 0.6, "AP50": 1.0, "AP75": 1.0, "APs": None, "APm": None, "APl": 0.6}
    expected |= {"AR1": 0.6, "AR10": 0.6, "AR100": 0.6, "ARs": None, "ARm": None, "ARl": 0.6}
    assert {name: metrics[name] for name in FIGURES} == pytest.approx(expected)
    assert metrics["per_class"] == {"thing": pytest.approx({"AP": 0.6, "AP50": 1.0})}
    json.dumps(metrics, allow_nan=False)


def test_precision_by_hand():
    # By score: miss, hit of the only box: precision 1/2 at every recall.
    found = [detection([[300, 300, 400, 400], SQUARE], [0.9, 0.8])]
    metrics = evaluate_coco(dataset(record([SQUARE])), found)
    assert metrics["AP"] == pytest.approx(0.5)
    assert metrics["AR1"] == 0.0
    assert metrics["AR10"] == 1.0


@pytest.mark.parametrize(
    ("limit", "found"), [(1, 1), (3, 3), (10, 10), (12, 12), (100, 15), (300, 15)]
)
def test_max_detections(limit, found):
    # 15 boxes in a row, each detected perfectly: the best `limit` of them reach recall found/15,
    # and precision is 1 at as many of the 101 recalls as lie at or below that, 0 above.
    boxes = [[20 * i, 0, 20 * i + 15, 15] for i in range(15)]
    metrics = evaluate_coco(
        dataset(record(boxes)), [detection(boxes, np.linspace(0.9, 0.5, 15))], limit
    )
    reached = sum(k * 15 <= found * 100 for k in range(101))
    assert [metrics["AP"], metrics["APs"]] == pytest.approx([reached / 101] * 2)
    assert metrics["AR1"] == pytest.approx(1 / 15)
    assert metrics["AR10"] == pytest.approx(min(10, found) / 15)
    assert [metrics["AR100"], metrics["ARs"]] == pytest.approx([found / 15] * 2)


def test_max_detections_must_be_positive():
    with pytest.raises(ValueError, match=r"max_detections .* got 0"):
        evaluate_coco(dataset(record([SQUARE])), [detection()], max_detections=0)


def test_nothing_found_is_zero():
    metrics = evaluate_coco(dataset(record([SQUARE]), record(image_id=2)), [detection()] * 2)
    assert {metrics[name] for name in ("AP", "AP50", "APl", "AR1", "AR100", "ARl")} == {0.0}
    assert metrics["APs"] is metrics["ARm"] is None
    assert metrics["per_class"] == {"thing": {"AP": 0.0, "AP50": 0.0}}


@pytest.mark.parametrize(
    ("data", "detections"),
    [
        (dataset(), []),
        (dataset(names=()), []),
        (dataset(record()), [detection()]),
        (dataset(record()), [detection([SQUARE], [0.9])]),
        (dataset(record([SQUARE], ignore=[True])), [detection([SQUARE], [0.9])]),
    ],
    ids=["no images", "no classes", "empty image", "false alarm", "only a crowd"],
)
def test_nothing_to_find_is_undefined(data, detections):
    metrics = evaluate_coco(data, detections)
    assert {metrics[name] for name in FIGURES} == {None}
    assert metrics["per_class"] == dict.fromkeys(data.class_names)


def test_false_alarm_in_an_empty_image_counts():
    data = dataset(record(image_id=1), record([SQUARE], image_id=2))
    found = [detection([SQUARE], [0.9]), detection([SQUARE], [0.8])]
    assert evaluate_coco(data, found)["AP"] == pytest.approx(0.5)


def test_crowd_takes_any_number_of_detections():
    # Two detections lie wholly inside the crowd, whose area is far larger: overlap 1 by COCO's
    # crowd rule, so neither is a false alarm, and the third finds the only box that counts.
    crowd, inside = [200, 0, 600, 400], [[210, 10, 230, 30], [300, 300, 350, 350]]
    found = [detection([*inside, SQUARE], [0.9, 0.8, 0.7])]
    data = dataset(record([crowd, SQUARE], ignore=[True, False]))
    assert evaluate_coco(data, found)["AP"] == pytest.approx(1.0)
    assert evaluate_coco(dataset(record([SQUARE])), found)["AP"] == pytest.approx(1 / 3)


def test_size_is_the_area_of_the_segment():
    # The box measures 10,000 px² (large), the object in it 500 (small, below 32 x 32).
    data = dataset(record([SQUARE], area=[500]))
    metrics = evaluate_coco(data, [detection([SQUARE], [0.9])])
    assert [metrics["APs"], metrics["ARs"]] == pytest.approx([1.0, 1.0])
    assert metrics["APl"] is metrics["ARl"] is None


def test_classes_keep_their_names_whatever_the_order_of_category_ids():
    data = dataset(
        record([SQUARE, SQUARE], labels=[0, 1]), names=("a", "b", "c"), category_ids=[70, 3, 18]
    )
    metrics = evaluate_coco(data, [detection([SQUARE], [0.9], labels=[0])])
    found, missed = pytest.approx({"AP": 1.0, "AP50": 1.0}), {"AP": 0.0, "AP50": 0.0}
    assert metrics["per_class"] == {"a": found, "b": missed, "c": None}
    assert metrics["AP"] == pytest.approx(0.5)


def test_rows_that_are_padding_or_not_finite_are_left_out():
    boxes = [[np.nan] * 4, SQUARE, SQUARE, [-1] * 4]
    found = [detection(boxes, [0.9, np.nan, 0.7, -1], labels=[0, 0, 0, -1])]
    data = dataset(record([SQUARE], image_id=5))
    rows = [{"image_id": 5, "category_id": 1, "bbox": [0, 0, 100, 100], "score": 0.7}]
    assert [row | {"score": round(row["score"], 6)} for row in results(data, found)] == rows
    diverged = [detection([[np.nan] * 4], [0.9])]
    assert evaluate_coco(data, diverged)["AP"] == 0.0


def test_image_ids_are_kept_when_they_are_distinct_integers():
    def ids(*given):
        return image_ids(dataset(*(record(image_id=i) for i in given)))

    assert ids(30, np.int64(7)) == [30, 7]
    assert ids("b", "a") == ids(30, "a") == ids(30, 30) == [1, 2]
    assert ids() == []


def test_ground_truth_and_results_speak_coco():
    data = dataset(
        record([[1.1, 2.25, 11.3, 22.5]], labels=[1], image_id="x", size=(64, 48)),
        record([SQUARE], ignore=[True], area=[812.5], image_id="y", size=None),
        names=("a", "b"),
        category_ids=[np.int64(4), 90],
    )
    truth = ground_truth(data)
    assert truth == {
        "images": [
            {"id": 1, "file_name": "images/a.jpg", "width": 64, "height": 48},
            {"id": 2, "file_name": "images/a.jpg", "width": None, "height": None},
        ],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 90,
                "bbox": [1.1, 2.25, 10.2, 20.25],
                "area": pytest.approx(10.2 * 20.25, rel=1e-6),
                "iscrowd": 0,
            },
            {
                "id": 2,
                "image_id": 2,
                "category_id": 4,
                "bbox": [0, 0, 100, 100],
                "area": 812.5,
                "iscrowd": 1,
            },
        ],
        "categories": [{"id": 4, "name": "a"}, {"id": 90, "name": "b"}],
    }
    rows = results(data, [detection(), detection([[0.12345, 0, 1, 1]], [0.5], [1])])
    assert rows == [{"image_id": 2, "category_id": 90, "bbox": [0.123, 0, 0.877, 1], "score": 0.5}]
    assert json.loads(json.dumps([truth, rows])) == [truth, rows]


def test_one_dict_per_record_is_asked_for():
    with pytest.raises(ValueError, match="argument"):
        evaluate_coco(dataset(record()), [])


def test_nothing_is_printed(capsys):
    evaluate_coco(dataset(record([SQUARE])), [detection([SQUARE], [0.9])])
    assert capsys.readouterr() == ("", "")


def test_importing_the_package_is_light():
    code = (
        "import sys, keras_retinanet.evaluation;"
        "print({'keras', 'tensorflow', 'pycocotools'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
