"""retinanet-train on drawn data: what it writes, how it goes on, and what it refuses."""

import glob
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import sys

import keras
import numpy as np
import pytest
from PIL import Image

import keras_retinanet as kr
from keras_retinanet import assigners, choices, coders, losses, presets
from keras_retinanet.bin import detect, evaluate, train
from keras_retinanet.errors import InputError
from keras_retinanet.evaluation import plots
from keras_retinanet.models.loading import load_retinanet
from keras_retinanet.preprocessing import loader, source
from keras_retinanet.training import lr_find
from keras_retinanet.training import run as running
from keras_retinanet.training.callbacks import Evaluation
from keras_retinanet.training.divergence import StopAtDivergence
from keras_retinanet.training.run_folder import RunFolder, locked
from keras_retinanet.training.snapshots import Snapshots
from keras_retinanet.training.start import Start, settle

WRITTEN = {
    "last.keras",
    "arguments.json",
    "environment.json",
    "log.txt",
    "metrics.csv",
    "metrics.jsonl",
}
if importlib.util.find_spec("tensorboard"):
    WRITTEN.add("tensorboard")
QUICK = ["--epochs", "1", "--steps", "1", "--augmentation", "light"]


def weights_of(path):
    return load_retinanet(str(path)).get_weights()


# what it writes


def test_a_training_leaves_its_best_and_its_last_snapshot(trained):
    names = {path.name for path in trained.iterdir()}
    assert names == WRITTEN | {"best.keras"}


def test_a_snapshot_knows_all_that_it_was_made_with(snapshot):
    model = keras.saving.load_model(snapshot)  # no custom objects
    assert model.class_names == ["ball", "crate", "tent", "star"]
    assert model.backbone_name == "resnet10_0.25"
    assert model.pyramid_levels == [3, 4, 5]
    assert model.anchor_params.sizes == [16, 32, 64]
    assert model.anchor_params.scales.tolist() == [1, 1.5]
    assert (model.image_min_side, model.image_max_side) == (64, 64)
    assert model.progress["epoch"] == 2
    assert model.progress["start"] == "scratch"
    assert 0 <= model.progress["best"] <= 1
    assert int(model.optimizer.iterations) == 2 * 90
    assert model.get_compile_config()["loss"]["regression"]["name"] == "giou"


@pytest.mark.parametrize("kind", ["coco", "pascal"])
def test_coco_and_pascal_folders_are_trained_on(kind, request, fit, capsys):
    folder = request.getfixturevalue(f"{kind}_folder")
    snapshots = fit(*QUICK, kind, folder)
    names = {path.name for path in snapshots.iterdir()}
    assert names == WRITTEN | {"best.keras"}
    model = load_retinanet(str(snapshots / "last.keras"))
    assert sorted(model.class_names) == ["ball", "crate", "star", "tent"]
    printed = capsys.readouterr().out
    assert "6 images to train on, 4 to evaluate on" in printed
    assert "AP50" in printed
    best = snapshots / "best.keras"
    assert f"saved {best}\n" in printed
    detecting, evaluating = (shlex.split(line) for line in printed.splitlines()[-2:])
    assert detecting[:2] == ["retinanet-detect", str(best)]
    assert glob.glob(os.path.join(glob.escape(detecting[2]), "*"))
    assert detect.parse_args(detecting[1:]).output == "detections"
    args = evaluate.parse_args(evaluating[1:])
    assert (args.dataset_type, args.path, args.model) == (kind, str(folder), str(best))
    assert args.split.startswith("val")


def test_a_loss_that_is_nan_at_once_is_an_error(refuse_training, data):
    message = refuse_training("--epochs=1", "--steps=2", "--lr=1e6", "--no-snapshots", *data)
    assert " since batch 2 of epoch 1, with the images" in message
    assert message.count(".jpg") == 3  # a batch
    assert "Pass a lower lr" in message


def test_a_training_that_diverges_goes_back_to_its_snapshot_at_half_the_rate(
    fit, data, monkeypatch, capsys
):
    seen = []

    def end(self, batch, logs=None):
        """Find an infinite loss in the second epoch until the rate is a quarter."""
        rate = self.model.progress["peak_rate"]
        if self.epoch == 1 and rate > 0.001:
            seen.append((rate, self.model.progress["epoch"]))
            logs = {"loss": float("inf")}
        act(self, batch, logs)

    act = StopAtDivergence.on_train_batch_end
    monkeypatch.setattr(StopAtDivergence, "on_train_batch_end", end)
    folder = fit("--epochs=2", *QUICK[2:], "--lr=0.004", *data)
    assert seen == [(0.004, 1), (0.002, 1)]
    assert "at half the rate: lr 0.002." in capsys.readouterr().out
    model = load_retinanet(str(folder / "last.keras"))
    assert (model.progress["epoch"], model.progress["peak_rate"]) == (2, 0.001)
    record = json.loads((folder / "divergence.json").read_text())
    assert (record["epoch"], record["batch"], len(record["images"])) == (2, 1, 3)
    batch = np.load(folder / "divergence.npz")
    assert batch["names"].tolist() == record["images"]
    assert batch["images"].shape[0] == batch["boxes"].shape[0] == 3
    assert record["weights_after"] is None  # no reading was finite
    assert json.loads((folder / "arguments.json").read_text())["config"]["lr"] == 0.001


@pytest.mark.parametrize("fault", ["rate", "label"])
def test_the_layer_that_went_first_is_written(refuse_training, data, monkeypatch, tmp_path, fault):
    monkeypatch.setattr(running, "RETRIES", 0)
    options = ["--epochs=1", "--steps=2", "--augmentation=none", *data]
    if fault == "rate":
        options = ["--lr=1e6", *options]
    else:
        monkeypatch.setattr(loader.Loader, "batch_at", with_corrupt_boxes(loader.Loader.batch_at))
    message = refuse_training(*options)
    record = json.loads((tmp_path / "snapshots" / "divergence.json").read_text())
    batch = np.load(tmp_path / "snapshots" / "divergence.npz")
    assert batch["names"].tolist() == record["images"]
    assert all(name in message for name in record["images"])
    if fault == "rate":
        assert (record["batch"], record["weights_after"]) == (2, "batch 1 of epoch 1")
        assert record["layer"] or record["gradient"]
    else:
        assert np.isnan(batch["boxes"]).any()
        assert (record["batch"], record["layer"]) == (2, None)
        assert "regression" in record["gradient"]


def with_corrupt_boxes(make):
    """Batches of which every second one has boxes that are no numbers."""

    def batch_at(self, step):
        images, targets = make(self, step)
        if step % 2:
            targets["boxes"][0] = np.nan
        return images, targets

    return batch_at


@pytest.mark.slow
def test_a_training_that_keeps_diverging_gives_up(refuse_training, data, monkeypatch):
    rates = []

    def end(self, batch, logs=None):
        rates.append(self.model.progress["peak_rate"])
        act(self, batch, {"loss": float("nan")})

    act = StopAtDivergence.on_train_batch_end
    monkeypatch.setattr(StopAtDivergence, "on_train_batch_end", end)
    message = refuse_training("--lr=0.008", *data)
    assert rates == [0.008, 0.004, 0.002, 0.001]
    assert "with the images" in message


def test_boxes_that_anchors_reach_are_counted_and_the_rest_is_a_warning(fit, csv_data, capsys):
    data = csv_data("a.jpg,5,5,40,40,ball\nb.jpg,20,20,22,22,tent\n")
    fit(*QUICK, "--no-snapshots", *data)
    printed = capsys.readouterr().out
    assert "2 boxes of 4 classes, 50.0% reached by an anchor\n" in printed
    [warning] = [line for line in printed.splitlines() if line.startswith("data, warning: The anc")]
    assert "0% of the 1 boxes of class tent" in warning
    assert "pass fit_anchors" in warning


def test_an_epoch_is_the_data_set(fit, data):
    folder = fit("--epochs", "1", *data)
    model = load_retinanet(str(folder / "last.keras"))
    assert int(model.optimizer.iterations) == 2  # 6 images in batches of 3
    assert not (folder / "best.keras").exists()  # nothing told which is best


def test_one_image_fills_a_batch(fit, csv_data):
    folder = fit("--epochs", "1", "--batch-size", "2", *csv_data("a.jpg,5,5,40,40,ball"))
    model = load_retinanet(str(folder / "last.keras"))
    assert int(model.optimizer.iterations) == 1


def test_no_snapshots_leaves_none(fit, data):
    assert not fit(*QUICK, "--no-snapshots", *data).exists()


def test_no_evaluation_prints_no_figures(fit, held_out, capsys):
    folder = fit(*QUICK, "--no-evaluation", *held_out)
    assert "AP50" not in capsys.readouterr().out
    assert {path.name for path in folder.iterdir()} == WRITTEN


def test_held_out_images_without_boxes_are_evaluated(fit, data, csv_data, capsys):
    csv_data("a.jpg,,,,,\nb.jpg,,,,,\n", name="empty.csv")
    val = csv_data("a.jpg,,,,,\n", name="empty.csv")[1]
    folder = fit(*QUICK, "--reduce-lr-patience", "1", *data, "--val-annotations", val)
    assert re.search(r" 1/1 .*    -     -     -  last ", capsys.readouterr().out)
    assert (folder / "last.keras").exists()


@pytest.mark.parametrize("matplotlib", ["there", "missing"])
def test_a_training_ends_with_curves_and_the_report_of_its_best_snapshot(
    tiny, held_out, tmp_path, monkeypatch, capsys, matplotlib
):
    if matplotlib == "missing":
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        monkeypatch.setattr(plots.importlib.util, "find_spec", lambda name: None)
    options = [option for option in tiny if option != "--no-report"]
    options += ["--no-weights", *QUICK, "--snapshot-path", str(tmp_path), "--run", "run"]
    train.main([*options, *held_out])
    printed = capsys.readouterr().out
    folder = tmp_path / "run"
    if matplotlib == "missing":
        assert printed.count("pip install 'keras-retinanet[report]'") == 1
        assert {path.name for path in folder.iterdir()} == WRITTEN | {"best.keras"}
        return
    page = (folder / "report" / "index.html").read_text()
    figures = json.loads((folder / "report" / "figures.json").read_text())
    row = json.loads((folder / "metrics.jsonl").read_text())
    assert figures["AP50"] == pytest.approx(row["AP50"], abs=1e-6)  # of the same evaluation
    assert "best.keras" in page
    assert Image.open(folder / "curves.png").size[0] > 1000
    for path in (folder / "curves.png", folder / "report" / "index.html"):
        assert f"saved {path}\n" in printed
    assert printed.splitlines()[-1].startswith("  retinanet-evaluate csv")


def test_logs_for_tensorboard(fit, refuse_training, held_out, tmp_path):
    logs = tmp_path / "deep" / "logs"
    if importlib.util.find_spec("tensorboard") is None:
        message = refuse_training("--tensorboard-dir", logs, *held_out)
        assert "keras-retinanet[tensorboard]" in message
        assert not (fit(*QUICK, *held_out) / "tensorboard").exists()
        return
    folder = fit(*QUICK, "--tensorboard-dir", logs, "--tensorboard-freq", "1", *held_out)
    assert [path.parent.name for path in logs.rglob("events*")] == ["logs", "batches"]
    assert not (folder / "tensorboard").exists()
    folder = fit(*QUICK, *held_out, run="other")
    assert [path.parent.name for path in folder.rglob("events*")] == ["tensorboard"]


@pytest.mark.slow
def test_all_the_other_options_together(fit, held_out, capsys):
    folder = fit(
        *("--epochs", "2", "--steps", "2", "--random-transform", "--augment=vertical_flip"),
        *("--compute-val-loss", "--weighted-average", "--freeze-backbone"),
        *("--accumulate", "2", "--workers", "2", "--max-queue-size", "3"),
        *("--norm", "group", "--head-size", "8", "--group-method", "ratio", "--strict"),
        *("--optimizer-clipnorm", "1", "--weight-decay", "0", "--box-loss", "giou", "--seed", "3"),
        *held_out,
    )
    printed = capsys.readouterr().out
    assert "  val    AP  AP50  best" in printed
    assert "mAP" in printed
    model = load_retinanet(str(folder / "last.keras"))
    trained = {weight.path.split("/")[0] for weight in model.trainable_weights}
    backbone = {layer.name for layer in model.layers if layer.name.startswith("conv")}
    assert {"C3_reduced", "P3", "pyramid_classification"} <= trained
    assert backbone
    assert not trained & backbone


def test_without_resizing_the_model_remembers_it(fit, data):
    folder = fit(*QUICK, "--no-resize", *data)
    model = load_retinanet(str(folder / "last.keras"))
    assert model.image_min_side is None


# going on


PLATEAU, FLOAT16 = "--reduce-lr-patience 1 --lr 0.001", "--precision mixed_float16"
AVERAGED = "--optimizer sgd --schedule step --average 0.9 --accumulate 2 --backbone-lr-factor 0.1"


def slow(name, *values):
    return pytest.param(*values, id=name, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("schedule", "place", "done", "resume"),
    [
        slow("a batch, cosine", "", (Snapshots, "on_train_batch_end"), 1, "--snapshot"),
        slow("an evaluation", PLATEAU, (Evaluation, "on_epoch_end"), 2, "--resume"),
        slow("averages of SGD", AVERAGED, (Snapshots, "on_train_batch_end"), 1, "--resume"),
        pytest.param(FLOAT16, (Snapshots, "on_train_batch_end"), 1, "--resume", id="float16"),
    ],
)
def test_a_run_stopped_by_a_signal_goes_on_as_if_it_had_not_been(
    train_tiny, held_out, tmp_path, monkeypatch, capsys, schedule, place, done, resume
):
    how = ["--epochs", "2", "--augmentation", "strong", *schedule.split()]

    def run(folder, *args):
        """Return the figures that a run prints."""
        if resume in args and resume == "--resume":
            train.main(args)
        else:
            train_tiny(*how, "--snapshot-path", tmp_path, "--run", folder, *args, *held_out)
        printed = capsys.readouterr().out
        rows = re.findall(r" (\d/2 .*?) +\w+$", printed, re.MULTILINE)  # without the time
        return rows, printed

    last = "last.keras"
    expected, _ = run("whole")
    assert len(expected) == 2
    act = getattr(*place)

    def stop(*args, **logs):
        os.kill(os.getpid(), signal.SIGTERM)
        act(*args, **logs)

    with monkeypatch.context() as patch:
        patch.setattr(*place, stop)
        _, printed = run("parts")
    half = tmp_path / "parts" / last
    assert f"Stopped in epoch 1, after {done} of 2 batches, and saved {half}." in printed
    assert f"To go on: retinanet-train --resume {half.parent}\n" in printed
    found, printed = run("parts", resume, str(half if resume == "--snapshot" else half.parent))
    assert f"after epoch 0 of 2 and {done} of 2 batches" in printed
    assert found == expected
    whole, parts = (load_retinanet(str(tmp_path / name / last)) for name in ("whole", "parts"))
    assert parts.progress == whole.progress
    for one, other in zip(state(whole), state(parts), strict=True):
        np.testing.assert_array_equal(one, other)
    for name in ("metrics.jsonl", "metrics.csv"):
        texts = {(tmp_path / folder / name).read_text() for folder in ("whole", "parts")}
        assert len(texts) == 1
    train.main(["--resume", str(half.parent)])
    assert f"{half.parent} is finished: 2 of 2 epochs." in capsys.readouterr().out


@pytest.mark.slow
def test_a_found_learning_rate_stays_when_the_run_is_resumed(fit, data, capsys, monkeypatch):
    monkeypatch.setattr(lr_find, "STEPS", 12)
    folder = fit("--lr-find", "--epochs", "1", "--steps", "2", *data)
    found = load_retinanet(str(folder / "last.keras")).progress["peak_rate"]
    assert f"lr {found:.2g}, where the loss falls most steeply" in capsys.readouterr().out
    assert 1e-6 <= found <= 1
    train.main(["--resume", str(folder), "--epochs", "2"])
    assert "looking for" not in capsys.readouterr().out
    resumed = load_retinanet(str(folder / "last.keras"))
    assert resumed.progress["peak_rate"] == found
    assert resumed.optimizer.get_config()["learning_rate"]["config"]["peak"] == found


def test_a_resumed_run_refuses_other_options_and_data(refuse, fit, csv_data):
    rows = "a.jpg,1,1,30,30,ball\nb.jpg,1,1,30,30,tent\n"
    data = csv_data(rows)
    folder = fit(*QUICK, *data)
    assert "lr is None in" in refuse(train.main, "--resume", folder, "--lr", "0.5")
    assert "remove csv" in refuse(train.main, "--resume", folder, *data)
    assert "arguments.json" in refuse(train.main, "--resume", folder.parent)
    csv_data(rows.replace("1,1,30", "2,1,30"))
    message = refuse(train.main, "--resume", folder, "--epochs", "2")
    assert "The training data have changed" in message


@pytest.mark.slow
def test_mixed_precision_trains_and_goes_on(fit, data):
    how = ["--precision", "mixed_float16", "--accumulate", "2", "--steps", "2", *QUICK[4:]]
    folder = fit("--epochs", "1", *how, *data)
    train.main(["--resume", str(folder), "--epochs", "2"])
    model = load_retinanet(str(folder / "last.keras"))
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert model.progress["epoch"] == 2
    policies = {layer.dtype_policy.name for layer in model._flatten_layers()}
    assert policies == {"float32", "mixed_float16"}
    assert {weight.dtype for weight in model.weights} == {"float32"}
    [boxes, scores] = model.output
    assert (boxes.dtype, scores.dtype) == ("float32", "float32")
    read = load_retinanet(str(folder / "last.keras"), compile=False)
    assert {layer.dtype_policy.name for layer in read._flatten_layers()} == {"float32"}


@pytest.mark.slow
def test_a_training_ends_when_nothing_gets_better(fit, held_out, capsys):
    folder = fit(*QUICK[2:], "--epochs", "9", "--lr", "1e-9", "--early-stopping", "2", *held_out)
    rows = (folder / "metrics.jsonl").read_text().splitlines()
    assert len(rows) == 3  # none was better than the first
    assert "no better AP since epoch 1" in capsys.readouterr().out
    train.main(["--resume", str(folder)])
    assert "is finished: 3 of 9 epochs" in capsys.readouterr().out


def test_a_training_is_evaluated_every_few_epochs_and_at_its_end(fit, held_out):
    folder = fit(*QUICK[2:], "--epochs", "3", "--evaluate-every", "2", *held_out)
    header, *rows = (folder / "metrics.csv").read_text().splitlines()
    at = header.split(",").index("AP")
    assert [bool(row.split(",")[at]) for row in rows] == [False, True, True]


def test_a_training_stops_when_its_time_is_over(fit, data, capsys):
    folder = fit(*QUICK[2:], "--epochs", "9", "--time-budget", "0.0001", *data)
    assert f"saved {folder / 'last.keras'}" in capsys.readouterr().out
    train.main(["--resume", str(folder), "--epochs", "1", "--time-budget", "10"])
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 1


def state(model):
    """Return the weights and the optimizer's variables of a model."""
    return [np.asarray(value) for value in (*model.weights, *model.optimizer.variables)]


def test_a_resumed_run_goes_on_from_its_best(trained, fit, held_out, snapshot):
    folder = fit("--epochs", "3", "--steps", "1", "--snapshot", snapshot, *held_out)
    model = load_retinanet(str(folder / "last.keras"))
    before = load_retinanet(str(snapshot))
    assert model.progress["epoch"] == 3
    assert model.progress["best"] >= before.progress["best"]
    assert model.get_compile_config()["loss"] == before.get_compile_config()["loss"]


def test_a_schedule_may_be_given_up_but_the_losses_stay(fit, data, snapshot):
    folder = fit(
        *("--epochs", "3", "--steps", "1", "--reduce-lr-patience", "1", "--snapshot", snapshot),
        *data,
    )
    model = load_retinanet(str(folder / "last.keras"))
    assert model.get_compile_config()["loss"]["regression"]["name"] == "giou"


# broken images


@pytest.mark.filterwarnings("always:::keras_retinanet")
def test_broken_pictures_are_left_out_and_the_rest_trained_on(
    fit, csv_data, break_picture, tmp_path, capsys
):
    rows = csv_data("a.jpg,5,5,40,40,ball\nb.jpg,5,5,40,40,ball\nc.jpg,1,1,9,9,tent\n")
    break_picture(tmp_path / "b.jpg")
    (tmp_path / "c.jpg").write_bytes((tmp_path / "c.jpg").read_bytes()[:300])
    folder = fit("--epochs", "2", *rows)
    warned = [line for line in capsys.readouterr().err.splitlines() if "warning: " in line]
    counted = [line for line in warned if "1 of 3 images" in line or "1 of 2 images" in line]
    assert len(counted) == 2
    assert "c.jpg" in counted[0]  # cut off: seen before training
    assert "b.jpg" in counted[1]  # broken in the middle: seen when it is read
    assert (folder / "last.keras").exists()


def test_broken_pictures_stop_a_strict_training(refuse_training, csv_data, break_picture, tmp_path):
    rows = csv_data("a.jpg,5,5,40,40,ball\nb.jpg,5,5,40,40,ball\n")
    break_picture(tmp_path / "b.jpg")
    assert "b.jpg" in refuse_training("--epochs", "2", "--strict", *rows)


@pytest.mark.filterwarnings("always:::keras_retinanet")
def test_broken_pictures_alone_are_refused(refuse_training, csv_data, break_picture, tmp_path):
    rows = csv_data("a.jpg,5,5,40,40,ball\nb.jpg,5,5,40,40,ball\n")
    for name in ("a.jpg", "b.jpg"):
        break_picture(tmp_path / name)
    assert "2 images, all of them broken" in refuse_training("--steps", "4", *rows)


# what it refuses


@pytest.mark.filterwarnings("always:::keras_retinanet")
@pytest.mark.parametrize(
    ("text", "classes", "message"),
    [
        ("a.jpg,5,5,40,ball\n", None, "boxes.csv: line 1: format should be"),
        ("a.jpg,5,5,40,40,ball\na.jpg,x,5,40,40,ball\n", None, "boxes.csv: line 2: malformed x1:"),
        ("a.jpg,5,5,40,40,cow\n", None, "boxes.csv: line 1: unknown class name: 'cow'"),
        ("a.jpg,50,5,40,40,ball\n", None, "line 1: x2 (40) must be higher than x1 (50)"),
        ("", None, "boxes.csv holds no rows"),
        ("a.jpg,,,,,\n", None, "None of 1 images has a box"),
        ("missing.jpg,5,5,40,40,ball\n", None, "missing.jpg: no such file"),
        ("a.jpg,500,500,600,600,ball\n", None, "None of 1 images has a box"),
        ("a.jpg,5,5,40,40,ball\n", "ball,0\ntent,2\n", "names.csv: line 2: class ID"),
        ("a.jpg,5,5,40,40,ball\n", "ball,zero\n", "names.csv: line 1: malformed class ID:"),
        ("a.jpg,5,5,40,40,ball\n", "ball,0\nball,1\n", "names.csv: line 2: duplicate class name"),
        ("a.jpg,5,5,40,40,ball\n", "ball\n", "names.csv: line 1: format should be"),
        ("a.jpg,5,5,40,40,ball\n", "", "names.csv holds no rows"),
    ],
)
def test_bad_csv_files(refuse_training, csv_data, text, classes, message):
    assert message in refuse_training(*csv_data(text, classes))


def test_files_and_folders_that_are_missing(refuse_training, sample, tmp_path, data):
    missing = tmp_path / "missing"
    for args in (
        ["csv", missing, sample / "classes.csv"],
        ["csv", sample / "train.csv", missing],
        [*data, "--val-annotations", missing],
        ["coco", missing],
        ["pascal", missing],
    ):
        assert str(missing) in refuse_training(*args)
    assert not (tmp_path / "snapshots").exists()


def test_bad_coco_and_pascal_files(refuse_training, coco_folder, pascal_folder, tmp_path):
    coco = shutil.copytree(coco_folder, tmp_path / "coco")
    instances = coco / "annotations" / "instances_train2017.json"
    instances.write_text(instances.read_text()[:-20])
    assert "instances_train2017.json: line 1, column" in refuse_training("coco", coco)
    voc = shutil.copytree(pascal_folder, tmp_path / "voc")
    annotation = sorted((voc / "Annotations").glob("train*"))[0]
    text = annotation.read_text()
    annotation.write_text(text[:-5])
    assert f"{annotation}: line 1, column" in refuse_training("pascal", voc)
    annotation.write_text(text.replace("</name>", "s</name>"))
    (tmp_path / "names.csv").write_text("ball,0\ncrate,1\ntent,2\nstar,3\n")
    message = refuse_training("pascal", voc, "--classes", tmp_path / "names.csv")
    assert f"{annotation}: object 1: unknown class name" in message
    annotation.write_text(text)
    held_out = sorted((voc / "Annotations").glob("val*"))[0]
    held_out.write_text(held_out.read_text().replace("</name>", "s</name>"))
    assert f"{held_out}: object 1: unknown class name" in refuse_training("pascal", voc)


def test_sets_with_other_classes_than_those_trained_on(refuse_training, coco_folder, tmp_path):
    coco = shutil.copytree(coco_folder, tmp_path / "coco")
    instances = coco / "annotations" / "instances_val2017.json"
    instances.write_text(instances.read_text().replace('"ball"', '"egg"'))
    message = refuse_training("coco", coco)
    assert "egg" in message
    assert "ball" in message


def test_strict_refuses_boxes_off_the_image_and_cut_pictures(refuse_training, csv_data, tmp_path):
    rows = csv_data("a.jpg,5,5,40,40,ball\na.jpg,70,70,80,80,ball\n")
    assert "boxes.csv: line 2" in refuse_training("--strict", *rows)
    rows = csv_data("a.jpg,5,5,40,40,ball\nb.jpg,5,5,40,40,ball\n")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "b.jpg").read_bytes()[:300])
    assert "b.jpg" in refuse_training("--strict", *rows)


def test_snapshots_that_cannot_be_resumed(
    refuse_training, data, csv_data, snapshot, detector, other_keras_file, tmp_path, sample
):
    kept = snapshot.read_bytes()

    def resume(path, *args, data=data):
        return refuse_training("--snapshot", path, "--epochs", "9", *args, *data)

    text = tmp_path / "text.keras"
    text.write_text("no model")
    assert "missing.keras: no such file" in resume(tmp_path / "missing.keras")
    assert "text.keras: not a .keras file" in resume(text)
    assert "dense.keras holds a Sequential, not a RetinaNet" in resume(other_keras_file)
    assert f"{detector} is an inference model" in resume(detector)
    message = resume(snapshot, "--backbone", "resnet18")
    assert "has the backbone resnet10_0.25, not resnet18" in message
    other = csv_data("a.jpg,5,5,40,40,egg\n", "egg,0\n")
    message = resume(snapshot, data=other)
    assert str(snapshot) in message
    assert "egg" in message
    assert "crate" in message
    (tmp_path / "other.ini").write_text((sample / "anchors.ini").read_text().replace("1.5", "1.6"))
    assert "other.ini" in resume(snapshot, "--config", tmp_path / "other.ini")
    done = refuse_training("--snapshot", snapshot, "--epochs", "2", *data)
    assert "epochs must be more than the 2 that are done, got 2" in done
    assert snapshot.read_bytes() == kept


def test_weights_that_do_not_fit(refuse_training_with_weights, snapshot, tmp_path, shared):
    refuse = refuse_training_with_weights
    assert "missing.h5: no such weight file" in refuse(tmp_path / "missing.h5")
    (tmp_path / "text.h5").write_text("no weights")
    assert "text.h5: not the weights of a bare resnet10_0.25" in refuse(tmp_path / "text.h5")
    (tmp_path / "resnet18.pth").touch()
    assert "resnet18.pth: not a Keras file; convert it with retinanet-import-weights" in (
        refuse(tmp_path / "resnet18.pth")
    )
    mobilenet = shared / "weights" / "mobilenet_2_5_224_tf_no_top.h5"
    assert "not the weights of a bare resnet10_0.25" in refuse(mobilenet)


@pytest.fixture
def refuse_training_with_weights(refuse, tiny, data, tmp_path):
    def run(*weights):
        start = ["--weights", *weights] if weights else ["--imagenet-weights"]
        return refuse(train.main, *tiny, "--snapshot-path", tmp_path / "s", *start, *data)

    return run


def test_imagenet_weights_without_a_network(refuse, data, tmp_path, monkeypatch):
    def offline(*args, **kwargs):
        raise Exception("URL fetch failure on https://...: None -- Name or service not known")

    monkeypatch.setattr(keras.utils, "get_file", offline)
    for backbone in ("resnet50", "mobilenet224_0.25"):
        message = refuse(
            train.main, "--backbone", backbone, "--snapshot-path", tmp_path / "s", *data
        )
        assert f"Could not download the ImageNet weights of {backbone}" in message
        assert "from scratch" in message


def test_a_backbone_without_imagenet_weights_says_so(refuse_training_with_weights):
    message = refuse_training_with_weights()
    assert "no ImageNet weights for resnet10_0.25" in message
    assert "from scratch" in message


def test_an_unknown_backbone_names_the_known_ones(refuse_training, data):
    for name in ("resnet51", "vgg99", "mobilenet224"):
        message = refuse_training("--backbone", name, *data)
        assert f"'{name}'" in message
        assert "mobilenet224_0.25" in message or "resnet50" in message


def test_bad_configurations(refuse_training, data, tmp_path):
    path = tmp_path / "anchors.ini"
    assert f"{path}: no such file" in refuse_training("--config", path, *data)
    path.write_text("sizes = 1\n")
    assert f"{path}: line 1" in refuse_training("--config", path, *data)


def test_sides_in_the_wrong_order(refuse_training, data):
    message = refuse_training("--image-min-side", "100", "--image-max-side", "64", *data)
    assert "--image-min-side" in message
    assert "(100)" in message
    assert "(64)" in message


def test_snapshots_cannot_replace_a_file(refuse_training, data, tmp_path):
    path = tmp_path / "taken"
    path.write_text("kept")
    assert str(path) in refuse_training("--snapshot-path", path, *data)
    assert path.read_text() == "kept"


def test_one_start_at_a_time(refuse, data):
    assert "--imagenet-weights and --no-weights exclude" in refuse(
        train.main, "--no-weights", "--imagenet-weights", *data
    )
    assert "--lr and --lr-find exclude" in refuse(train.main, "--lr=1", "--lr-find", *data)


def test_more_gpus_than_there_are(refuse_training, data):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("other backends have another message")
    many = "--multi-gpu", "64", "--batch-size", "64"
    assert "Cannot train on 64 devices" in refuse_training(*many, *data)
    assert "gpu" in refuse_training("--gpu", "first", *data)


# the recipe


def test_augmentation_follows_the_options():
    def arguments(*options):
        return train.config_of(train.parse_args([*options, "coco", "x"])).operations

    assert arguments("--augmentation", "none") == {}
    assert arguments("--random-transform") == arguments("--augmentation", "strong")
    light = ["--augmentation", "light"]
    assert arguments(*light, "--augment", "vertical_flip") == {
        **arguments(*light),
        "vertical_flip": {"chance": 0.5, "strength": 1},
    }
    added = ["--augment", "flip:chance=0", "--augment", "blur:chance=0.2,strength=2"]
    assert arguments(*light, *added) == {
        "flip": {"chance": 0, "strength": 1.0},
        "blur": {"chance": 0.2, "strength": 2},
    }


def test_the_old_defaults_stay():
    args = train.parse_args(["coco", "x"])
    assert (args.epochs, args.snapshot_path) == (50, "./snapshots")
    assert args.batch_size is None  # what suits the machine
    assert (args.image_min_side, args.image_max_side) == (800, 1333)
    assert (args.train_split, args.val_split) == (None, None)  # the first usual one that is there
    args = train.parse_args(["pascal", "x"])
    assert (args.train_split, args.val_split, args.image_extension) == (None, None, ".jpg")
    assert args.steps is None
    assert args.evaluation
    assert args.snapshots


@pytest.mark.parametrize("table", ["LOSSES", "SAMPLERS", "CODERS", "ASSIGNERS", "NMS"])
def test_every_named_choice_is_there(table):
    for name in getattr(choices, table):
        found, arguments = choices.lookup(getattr(choices, table), {"name": name, "a": 1}, "choice")
        assert callable(found)
        assert arguments == {"a": 1}


@pytest.mark.parametrize("name", presets.DETECTORS)
def test_a_detector_names_choices_of_the_package(name):
    config = train.config_of(train.parse_args(["--detector", name, "csv", "a", "b"]))
    config, _ = settle(config, (), Start("scratch"))
    kind = presets.DETECTORS[name]
    assert config.classification_loss == kind.classification_loss
    assert config.box_loss == kind.box_loss
    assert config.assigner == kind.assigner
    assert losses.get(config.classification_loss).spec.config
    assert losses.get(config.box_loss).spec.config
    assert assigners.get(config.assigner)
    assert coders.get(kind.design.coder).size >= 4


def test_a_loss_is_named_with_its_arguments():
    args = train.parse_args(["--classification-loss", "focal:gamma=1,alpha=0.5", "csv", "a", "b"])
    assert args.classification_loss == {"name": "focal", "gamma": 1, "alpha": 0.5}


# from Python


TINY = {
    "backbone": "resnet10_0.25",
    "feature_size": 16,
    "head_depth": 1,
    "norm": "batch",
    "image_min_side": 64,
    "image_max_side": 64,
    "batch_size": 3,
    "no_weights": True,
    "epochs": 1,
    "steps": 1,
}


def test_python_trains_as_the_command(sample, tiny, data, tmp_path, train_tiny):
    options = {**TINY, "config": str(sample / "anchors.ini"), "box_loss": "giou"}
    detector = kr.train(
        sample / "train.csv",
        classes=sample / "classes.csv",
        snapshot_path=str(tmp_path),
        run="python",
        **options,
    )
    train_tiny(
        "--epochs=1",
        "--steps=1",
        "--box-loss=giou",
        f"--snapshot-path={tmp_path}",
        "--run=command",
        *data,
    )
    last = "last.keras"
    for one, other in zip(
        weights_of(tmp_path / "python" / last), weights_of(tmp_path / "command" / last), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    found = detector(sample / "images" / "val" / "00000.jpg")
    assert found.names is not None
    assert detector.class_names == ["ball", "crate", "tent", "star"]


def test_python_trains_on_an_open_data_set(sample, capsys):
    data, val = (
        kr.open_dataset(sample / f"{name}.csv", classes=sample / "classes.csv")
        for name in ("train", "val")
    )
    options = {**TINY, "config": str(sample / "anchors.ini"), "snapshots": False}
    kr.train(data, val, **options)
    assert "AP50" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"epoch": 3}, "'epoch'"),
        ({"val": "val.csv", "data": None}, "both be"),
        ({"split": "train", "data": None}, "split has no effect"),
    ],
)
def test_python_refuses_what_it_cannot_use(sample, options, words):
    data = options.pop("data", str(sample / "train.csv"))
    data = kr.open_dataset(sample / "train.csv") if data is None else data
    with pytest.raises(InputError, match=words):
        kr.train(data, **{**TINY, **options})


# before any work


def test_losses_without_sense_are_refused_before_a_download(refuse, data, monkeypatch, tmp_path):
    def download(*args, **kwargs):
        raise AssertionError("downloads")

    monkeypatch.setattr(keras.utils, "get_file", download)
    monkeypatch.setattr(source, "read_training", download)
    for loss in ("focal:gamma=-1", "focal:gama=1"):
        options = ["--classification-loss", loss, "--snapshot-path", tmp_path / "s"]
        assert "focal" in refuse(train.main, *options, *data)
    assert not (tmp_path / "s").exists()


def test_a_second_training_of_the_same_snapshots_is_refused(refuse_training, data, tmp_path):
    with locked(RunFolder(str(tmp_path / "snapshots"))):
        message = refuse_training(*data)
    assert f"{tmp_path / 'snapshots'} is being written" in message
