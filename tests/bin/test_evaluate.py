"""retinanet-evaluate: the same figures from every format, and what it refuses."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_retinanet.bin import evaluate

pytestmark = pytest.mark.usefixtures("load_once")

FIGURES = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]


@pytest.fixture
def train_csv(sample):
    """The images that the detector knows exactly."""
    return ["csv", str(sample / "train.csv"), str(sample / "classes.csv")]


def run(*args):
    return evaluate.run(evaluate.parse_args([str(arg) for arg in args]))


@pytest.fixture(scope="module")
def figures():
    """The figures of each format, as they are computed."""
    return {}


@pytest.mark.parametrize("kind", ["csv", "coco", "pascal"])
def test_every_format_gives_the_figures_of_a_model_that_knows_its_pictures(
    kind, sample, coco_folder, pascal_folder, detector, figures
):
    data = {
        "csv": ["csv", sample / "train.csv", sample / "classes.csv"],
        "coco": ["coco", "--set", "train2017", coco_folder],
        "pascal": ["pascal", "--set", "train", pascal_folder],
    }[kind]
    metrics = figures[kind] = run(*data, detector)
    assert metrics["AP50"] > 0.8
    assert set(metrics["per_class"]) == {"ball", "crate", "tent", "star"}
    for other in figures.values():  # classes stand in another order in each of them
        assert {name: metrics[name] for name in FIGURES} == pytest.approx(
            {name: other[name] for name in FIGURES}, abs=1e-6
        )
        for name, values in metrics["per_class"].items():
            assert values == pytest.approx(other["per_class"][name], abs=1e-6)


def test_the_years_of_the_voc_metric(train_csv, detector, monkeypatch):
    asked = []

    def evaluate_voc(dataset, detections, iou_threshold, eleven_point):
        asked.append((iou_threshold, eleven_point))
        return {label: (0.5, 1) for label in range(4)}

    monkeypatch.setattr("keras_retinanet.evaluation.evaluate_voc", evaluate_voc)
    run("--voc", "2007", "--iou-threshold", "0.7", *train_csv, detector)
    assert run(*train_csv, detector)["VOC"] == 0.5
    assert asked == [(0.7, True), (0.5, False)]


def test_all_that_it_writes(train_csv, detector, tmp_path, capsys, sample):
    out = tmp_path / "new" / "folder"
    metrics = run(
        *("--json", out / "figures.json", "--detections", out / "found.json"),
        *("--ground-truth", out / "truth.json", "--save-path", out / "pictures"),
        *("--batch-size", "4", "--bootstrap", "20", "--errors"),
        *train_csv,
        detector,
    )
    written = json.loads((out / "figures.json").read_text())
    assert written == metrics
    assert {*FIGURES, "per_class"} <= set(written)
    printed = capsys.readouterr().out
    assert "AP50" in printed
    assert "VOC AP" in printed
    assert "95% intervals over 20 resamples" in printed
    low, high = written["intervals"]["AP"]
    assert low <= metrics["AP"] <= high
    assert "s an image in the model" in printed

    truth = COCO(out / "truth.json")
    oracle = COCOeval(truth, truth.loadRes(str(out / "found.json")), "bbox")
    oracle.evaluate()
    oracle.accumulate()
    oracle.summarize()
    assert [metrics[name] or -1 for name in FIGURES] == pytest.approx(list(oracle.stats), abs=1e-9)

    pictures = sorted(path.name for path in (out / "pictures").iterdir())
    assert pictures == [f"{i}.png" for i in range(6)]
    original = Image.open(sample / "images" / "train" / "00000.jpg")
    drawn = Image.open(out / "pictures" / "0.png")
    assert drawn.size == original.size
    assert drawn.tobytes() != original.tobytes()


@pytest.mark.parametrize("option", [(), ("--convert-model",)])
def test_a_training_model_has_the_same_figures(train_csv, snapshot, detector, option):
    metrics = run(*option, *train_csv, snapshot)
    assert metrics["AP"] == pytest.approx(run(*train_csv, detector)["AP"], abs=1e-6)


def test_options_of_the_data_set_may_follow_it(train_csv, sample, detector):
    metrics = run(*train_csv, "--images", sample, detector)
    assert metrics["AP"] == run(*train_csv, detector)["AP"]


def test_the_nms_of_a_training_model(train_csv, snapshot, detector):
    figures = {
        kind: run("--nms", kind, *train_csv, snapshot)["AP"]
        for kind in ("hard", "soft_linear", "none")
    }
    assert figures["hard"] == pytest.approx(run(*train_csv, detector)["AP"], abs=1e-6)
    assert figures["none"] < figures["hard"]
    assert figures["none"] < figures["soft_linear"]
    options = ("--nms-threshold", "1")
    assert run(*options, *train_csv, snapshot)["AP"] == pytest.approx(figures["none"], abs=1e-6)


def test_nms_of_inference_model_can_be_chosen(train_csv, detector, snapshot):
    options = ("--nms", "diou", "--nms-threshold", "0.6")
    of_both = [run(*options, *train_csv, model)["AP"] for model in (detector, snapshot)]
    assert of_both[0] == pytest.approx(of_both[1], abs=1e-6)


def test_thresholds_and_limits_count(train_csv, detector):
    assert run("--score-threshold", "1", *train_csv, detector)["AP"] == 0
    few = run("--max-detections", "1", *train_csv, detector)
    assert few["AR100"] == few["AR1"] < 1


def test_a_part_of_the_classes_is_evaluated(csv_data, detector):
    rows = csv_data("a.jpg,5,5,40,40,star\n", "star,0\n")
    metrics = run(*rows, detector)
    assert list(metrics["per_class"]) == ["ball", "crate", "tent", "star"]
    assert metrics["per_class"]["ball"] is None
    assert metrics["per_class"]["star"] is not None


def test_images_without_boxes_have_no_figures(csv_data, detector, tmp_path):
    path = tmp_path / "figures.json"
    metrics = run("--json", path, *csv_data("a.jpg,,,,,\n"), detector)
    assert metrics["AP"] is None
    assert json.loads(path.read_text())["AP"] is None


def test_models_that_take_preprocessed_images(csv_data, tmp_path, refuse):
    from keras_retinanet import models

    path = tmp_path / "old.keras"
    models.backbone("resnet10_0.25").retinanet(2).save(path)
    rows = csv_data("a.jpg,5,5,40,40,cat\n", "cat,0\ndog,1\n")
    sides = ["--image-min-side", "64", "--image-max-side", "64"]
    metrics = run(*sides, *rows, path)
    assert set(metrics["per_class"]) == {"cat", "dog"}  # the model knows no names
    rows = csv_data("a.jpg,5,5,40,40,cat\n", "cat,0\ndog,1\ncow,2\n")
    message = refuse(evaluate.main, *sides, *rows, path)
    assert f"{path}: The data set has the classes cat, dog, cow, but the model has 2" in message


@pytest.mark.filterwarnings("always:::keras_retinanet")
def test_broken_pictures_are_left_out(csv_data, break_picture, detector, tmp_path, capsys, refuse):
    rows = csv_data("a.jpg,5,5,40,40,ball\nb.jpg,5,5,40,40,ball\nc.jpg,5,5,40,40,ball\n")
    break_picture(tmp_path / "b.jpg")
    (tmp_path / "c.jpg").unlink()
    truth, pictures = tmp_path / "truth.json", tmp_path / "pictures"
    evaluate.main(
        ["--ground-truth", str(truth), "--save-path", str(pictures), *rows, str(detector)]
    )
    warned = [line for line in capsys.readouterr().err.splitlines() if "warning: " in line]
    assert len([line for line in warned if "1 of 3 images" in line and "c.jpg" in line]) == 1
    assert len([line for line in warned if "1 of 2 images" in line and "b.jpg" in line]) == 1
    assert len(json.loads(truth.read_text())["images"]) == 1
    assert [path.name for path in pictures.iterdir()] == ["0.png"]
    assert "c.jpg" in refuse(evaluate.main, "--strict", *rows, detector)
    rows = csv_data("a.jpg,5,5,40,40,ball\nb.jpg,5,5,40,40,ball\n")
    assert "b.jpg" in refuse(evaluate.main, "--strict", *rows, detector)
    break_picture(tmp_path / "a.jpg")
    assert "None of 2 images" in refuse(evaluate.main, *rows, detector)


# what it refuses


def test_models_that_cannot_be_evaluated(refuse, train_csv, other_keras_file, tmp_path, detector):
    text = tmp_path / "text.keras"
    text.write_text("no model")
    out = tmp_path / "figures.json"
    out.write_text("kept")

    def refused(*args):
        return refuse(evaluate.main, "--json", out, *args)

    assert "no such file" in refused(*train_csv, tmp_path / "missing.keras")
    assert "text.keras: not a .keras file" in refused(*train_csv, text)
    assert "holds a Sequential" in refused(*train_csv, other_keras_file)
    message = refused("--backbone", "resnet50", *train_csv, detector)
    assert "has the backbone resnet10_0.25, not resnet50" in message
    assert out.read_text() == "kept"


def test_data_that_cannot_be_evaluated(refuse, csv_data, detector, coco_folder, tmp_path):
    message = refuse(evaluate.main, *csv_data("a.jpg,1,1,9,9,egg\n", "ball,0\negg,1\n"), detector)
    assert str(detector) in message
    assert "'egg'" in message
    message = refuse(evaluate.main, *csv_data("a.jpg,1,1,9\n"), detector)
    assert "boxes.csv: line 1: format should be" in message
    message = refuse(evaluate.main, "coco", "--set", "test2017", coco_folder, detector)
    assert "instances_test2017.json: no such file" in message
    assert "ImageSets" in refuse(evaluate.main, "pascal", tmp_path, detector)


def test_pascal_classes_come_from_the_model(refuse, pascal_folder, detector, tmp_path):
    folder = shutil.copytree(pascal_folder, tmp_path / "voc")
    annotation = sorted((folder / "Annotations").glob("val*"))[0]
    annotation.write_text(annotation.read_text().replace("</name>", "s</name>"))
    message = refuse(evaluate.main, "pascal", folder, detector)
    assert f"{annotation}: object 1: unknown class name" in message


def test_places_that_cannot_be_written(refuse, train_csv, detector, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("kept")
    for option, path in (
        ("--json", taken / "figures.json"),
        ("--detections", tmp_path),
        ("--ground-truth", taken / "deep" / "truth.json"),
        ("--save-path", taken),
    ):
        assert str(path)[: len(str(tmp_path))] in refuse(
            evaluate.main, option, path, *train_csv, detector
        )
    assert taken.read_text() == "kept"


def test_sides_in_the_wrong_order(refuse, train_csv, detector):
    message = refuse(evaluate.main, "--image-min-side", "100", *train_csv, detector)
    assert "--image-min-side (100)" in message
    assert "--image-max-side (64)" in message  # the model's


def test_anchors_that_do_not_fit_the_model(refuse, train_csv, snapshot, sample, tmp_path):
    text = (sample / "anchors.ini").read_text()
    for change, message in (
        (("levels = 3 4 5", "levels = 2 3 4"), "strides"),
        (("scales = 1 1.5", "scales = 1"), "ratios and scales must give 2 anchors"),
        (("sizes = 16", "sizes = big"), "sizes"),
    ):
        path = tmp_path / "anchors.ini"
        path.write_text(text.replace(*change))
        refused = refuse(evaluate.main, "--config", path, *train_csv, snapshot)
        assert f"{path}: " in refused
        assert message in refused


# thresholds


def test_chosen_thresholds_are_stored_and_used(train_csv, snapshot, sample, tmp_path, capsys):
    from keras_retinanet.bin import convert_model
    from keras_retinanet.detector import Detector

    model, export = tmp_path / "model.keras", tmp_path / "export.keras"
    shutil.copy(snapshot, model)
    metrics = run("--choose-thresholds", "precision=0.9", *train_csv, model)
    printed = capsys.readouterr().out
    assert f"stored the thresholds in {model}" in printed
    assert set(metrics["thresholds"]) == {"ball", "crate", "tent", "star"}
    names = list(Detector.load(model).class_names)
    least = [metrics["thresholds"][name]["threshold"] for name in names]
    assert f"{least[0]:g}" in printed

    convert_model.main([str(model), str(export)])
    images = sorted((sample / "images" / "train").iterdir())
    for path in (model, export):
        assert list(Detector.load(path).info.postprocess.class_thresholds) == least
    every = Detector.load(model, score_threshold=0.05)(images)
    enough = np.array(least, "float32")
    wanted = [each.scores[each.scores >= enough[each.labels]] for each in every]
    found = Detector.load(export)(images)
    for each, scores in zip(found, wanted, strict=True):
        np.testing.assert_allclose(each.scores, scores, rtol=1e-4)
    assert 0 < sum(map(len, found)) < sum(map(len, every))
    one = Detector.load(model, class_thresholds={names[0]: 1.0})(images)
    assert not any((each.labels == 0).any() for each in one)
    assert sum(map(len, one)) == sum((each.labels != 0).sum() for each in found)


def test_thresholds_that_cannot_be_chosen(train_csv, snapshot, detector, refuse, tmp_path, capsys):
    model = tmp_path / "model.keras"
    shutil.copy(snapshot, model)
    for rule in ("f2", "recall", "recall=2"):
        with pytest.raises(SystemExit):
            evaluate.main(["--choose-thresholds", rule, *train_csv, str(model)])
        assert "--choose-thresholds" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        evaluate.main(["--choose-thresholds", "f1", *train_csv, str(tmp_path / "model.onnx")])
    assert "needs a .keras file" in capsys.readouterr().err
    assert model.read_bytes() == snapshot.read_bytes()


# the report


def test_report_of_a_command(train_csv, detector, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    folder = tmp_path / "new" / "report"
    metrics = run("--report", folder, *train_csv, detector)
    assert f"saved {folder / 'index.html'}" in capsys.readouterr().out
    text = (folder / "index.html").read_text()
    assert f"AP {metrics['AP']:.2f} (AP50" in text
    assert f"retinanet-evaluate csv {train_csv[1]} {train_csv[2]} {detector}" in text
    assert text.count("<figure>") > 1
    figures = json.loads((folder / "figures.json").read_text())
    assert figures["AP"] == metrics["AP"]


def test_reports_that_cannot_be_written(train_csv, detector, refuse, tmp_path, sample, monkeypatch):
    from keras_retinanet.evaluation import plots

    with monkeypatch.context() as patch:
        patch.setattr(plots.importlib.util, "find_spec", lambda name: None)
        message = refuse(evaluate.main, "--report", tmp_path / "new", *train_csv, detector)
        assert "pip install 'keras-retinanet[report]'" in message
    monkeypatch.setattr(plots, "check_installed", lambda: None)
    images = sample / "images" / "train"
    assert str(images) in refuse(evaluate.main, "--report", images, *train_csv, detector)
    (tmp_path / "index.html").mkdir()
    assert "index.html" in refuse(evaluate.main, "--report", tmp_path, *train_csv, detector)


def test_report_of_a_result_file(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    Image.new("RGB", (64, 48), "white").save(tmp_path / "a.jpg")
    truth = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}, {"id": 2}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [5, 5, 20, 20]}],
        "categories": [{"id": 7, "name": "cat"}],
    }
    row = {"image_id": 1, "category_id": 7, "bbox": [40, 20, 20, 20], "score": 0.9}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "found.json").write_text(json.dumps([row, {**row, "image_id": 2, "score": 0.8}]))
    files = [str(tmp_path / "truth.json"), str(tmp_path / "found.json")]
    folder = tmp_path / "report"
    evaluate.main(["detections", *files, "--report", str(folder), "--images", str(tmp_path)])
    assert f"saved {folder / 'index.html'}" in capsys.readouterr().out
    text = (folder / "index.html").read_text()
    assert "1 object in 2 images" in text
    assert "retinanet-doctor coco" in text
    assert text.count('alt="cat 0.90 without a label (a.jpg)"') == 1
    assert "--choose-thresholds" not in text
