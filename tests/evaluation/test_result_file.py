"""Result files of any detector: pycocotools as the oracle, and what cannot be scored."""

import json

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_retinanet.bin import evaluate
from keras_retinanet.errors import InputError
from keras_retinanet.evaluation.coco import FIGURES, evaluate_rows
from keras_retinanet.evaluation.result_file import read_instances, read_results

BOX = [10.5, 10.25, 40, 30]


def truth(**more):
    content = {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 200, "height": 100}],
        "categories": [{"id": 3, "name": "cat"}, {"id": 90, "name": "dog"}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": BOX, "iscrowd": 0}],
    }
    return {**content, **more}


def row(**changes):
    return {"image_id": 7, "category_id": 3, "bbox": BOX, "score": 0.5, **changes}


def score(truth_path, results_path, lenient=False):
    content = read_instances(truth_path)
    rows, faults = read_results(results_path, content, lenient)
    return evaluate_rows(content, rows), faults


@pytest.fixture
def files(tmp_path):
    """Write ground truth and results, and return their paths."""

    def write(rows, content=None):
        paths = tmp_path / "truth.json", tmp_path / "results.json"
        for path, value in zip(paths, (content or truth(), rows), strict=True):
            path.write_text(value if isinstance(value, str) else json.dumps(value))
        return paths

    return write


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_of_pycocotools(files, random_set, seed):
    content, rows = random_set(seed)
    paths = files(rows, content)
    metrics, faults = score(*paths)
    known = COCO(paths[0])
    evaluator = COCOeval(known, known.loadRes(str(paths[1])), "bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    assert faults == []
    expected = pytest.approx(evaluator.stats.tolist(), abs=1e-14)
    assert [metrics[name] for name in FIGURES] == expected


def test_perfect_detection(files):
    metrics, _ = score(*files([row()]))
    assert metrics["AP"] == 1
    assert metrics["per_class"] == {"cat": {"AP": 1.0, "AP50": 1.0}, "dog": None}


@pytest.mark.parametrize("area", [None, "large", float("nan")])
def test_area_that_is_none_is_that_of_the_box(files, area):
    content = truth()
    content["annotations"][0]["area"] = area
    metrics, _ = score(*files([row()], content))
    assert (metrics["APs"], metrics["APm"]) == (None, 1)  # 40 x 30 px


def test_categories_of_one_name_are_told_apart(files):
    categories = [{"id": 3, "name": "cat"}, {"id": 90, "name": "cat"}]
    metrics, _ = score(*files([row()], truth(categories=categories)))
    assert metrics["per_class"] == {"cat (3)": {"AP": 1.0, "AP50": 1.0}, "cat (90)": None}


def test_objects_without_area_are_no_fault(files):
    flat = {"id": 2, "image_id": 7, "category_id": 3, "bbox": [1, 1, 0, 5]}
    content = truth()
    content["annotations"].append(flat)
    assert 0 < score(*files([row()], content))[0]["AP"] < 1


def test_no_detections_and_no_objects(files):
    assert score(*files([]))[0]["AP"] == 0
    metrics, _ = score(*files([row()], truth(annotations=[])))
    assert {metrics[name] for name in FIGURES} == {None}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (row(image_id=8), "unknown image_id 8"),
        (row(image_id=True), "unknown image_id True"),
        (row(category_id=4), "unknown category_id 4"),
        (row(score=float("nan")), "score must be a finite number, got nan"),
        (row(score=None), "score must be a finite number"),
        (row(bbox=[1, 2, 3]), "bbox must be 4 finite numbers"),
        (row(bbox=[1, 2, 0, 3]), "has no area"),
        (row(), "repeats detection 1"),
        ("row", "is no object"),
    ],
)
def test_faults_name_their_row_and_may_be_left_out(files, fault, words):
    paths = files([row(), fault])
    with pytest.raises(InputError, match=f"results.json: detection 2: .*{words}"):
        score(*paths)
    metrics, faults = score(*paths, lenient=True)
    assert metrics["AP"] == 1
    assert len(faults) == 1
    assert words in faults[0]


def test_corners_for_sides_are_suspected(files):
    rows = [row(bbox=[150, 60, 190, 90], score=score / 10) for score in range(3)]
    with pytest.raises(InputError, match=r"3 boxes of 3 leave their image .* fit as \[x1"):
        score(*files(rows))


@pytest.mark.parametrize(
    ("rows", "content", "words"),
    [
        ('[{"image_id": 7', None, "results.json: line 1, column"),
        ({}, None, "results.json: expected a list"),
        ([], "[]", "truth.json: expected an object with a list of 'images'"),
        ([], truth(images=[{}]), "truth.json: images, entry 1 has no whole number as id"),
        ([], truth(images=[{"id": 7}, {"id": 7}]), "truth.json: images repeat the id 7"),
        ([], truth(annotations=[{"image_id": 9}]), "truth.json: annotation 1: unknown image_id 9"),
    ],
)
def test_files_that_are_none(refuse, files, rows, content, words):
    assert words in refuse(evaluate.main, "detections", *files(rows, content))


def test_command_prints_figures_and_what_it_left_out(files, tmp_path, capsys):
    paths = [str(path) for path in files([row(), row(image_id=9)])]
    evaluate.main(["detections", *paths, "--lenient", "--json", str(tmp_path / "figures.json")])
    captured = capsys.readouterr()
    assert "AP    1.000" in captured.out
    assert "results.json: left out 1 detection:\n  detection 2: unknown image_id 9." in captured.err
    assert json.loads((tmp_path / "figures.json").read_text())["AP"] == 1


def test_area_ranges_move_the_limits(files, tmp_path):
    paths = [*map(str, files([row()])), "--json", str(tmp_path / "figures.json")]
    evaluate.main(["detections", *paths, "--area-ranges", "1201,9216"])  # the box has 1,200 px²
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert (figures["APs"], figures["APm"], figures["APl"]) == (1, None, None)
