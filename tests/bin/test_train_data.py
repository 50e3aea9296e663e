"""The data of retinanet-train: anchors, mixtures, scales, threads, findings."""

import os
import signal
import subprocess
import sys

import pytest

from keras_retinanet.bin import train
from keras_retinanet.models.loading import load_retinanet


def test_anchors_are_fitted_and_kept_with_the_model(tiny, data, tmp_path, capsys):
    at = tiny.index("--config")
    options = [*tiny[:at], *tiny[at + 2 :], "--no-weights", "--snapshot-path", str(tmp_path)]
    options += ["--run", "fitted"]
    train.main([*options, "--fit-anchors", "--epochs=1", "--steps=1", *data])
    assert "fitted anchors reach " in capsys.readouterr().out
    model = load_retinanet(str(tmp_path / "fitted" / "last.keras"))
    assert model.anchor_params.sizes[0] < 32  # that of the defaults


def test_mixtures_scales_repetitions_and_threads_together(fit, data, capsys):
    more = ["--augment", "mosaic:chance=0.5", "--augment", "mixup:chance=0.5"]
    more += ["--multi-scale=48,64", "--repeat-threshold=0.9"]
    more += ["--multiprocessing", "--workers=2", "--max-queue-size=2"]
    folder = fit(*more, "--epochs=1", "--steps=2", *data)
    assert (folder / "last.keras").is_file()
    assert capsys.readouterr().out.count("multiprocessing has no effect") == 1


@pytest.mark.slow
def test_ctrl_c_ends_a_training_in_one_line(tiny, data):
    options = ["--no-weights", "--no-snapshots", "--epochs=99", "--workers=3"]
    process = subprocess.Popen(
        [sys.executable, "-m", "keras_retinanet.bin.train", *tiny, *options, *data],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        # a shell may have it ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    next(line for line in process.stdout if " 1/99 " in line)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert errors.endswith("\nretinanet-train: stopped\n")
    assert "Traceback" not in errors
    assert "Exception" not in errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fit-anchors", "--config", "x.ini"], "--fit-anchors and --config"),
        (["--fit-anchors", "--snapshot", "x.keras"], "--fit-anchors and --snapshot"),
        (["--multi-scale", "64", "--no-resize"], "--multi-scale and --no-resize"),
        (["--augment", "swirl"], "unknown name 'swirl'; known: flip, vertical_flip"),
        (["--augment", "blur=1"], "unknown name 'blur=1'; known: flip"),
    ],
)
def test_options_that_contradict_each_other_or_name_nothing(refuse, options, message):
    assert message in refuse(train.parse_args, *options, "coco", "x")


@pytest.mark.parametrize("wrong", ["chance=2", "strength=-1", "force=1", "chance=(1,2)"])
def test_operations_out_of_range_are_refused(refuse_training, data, wrong):
    assert "blur" in refuse_training("--augment", f"blur:{wrong}", *data)


def test_training_says_what_is_odd_about_its_data(csv_data, fit, capsys):
    rows = "a.jpg,8,8,40,40,ball\na.jpg,8,8,40,40,ball\nb.jpg,8,8,40,40,star\n"
    train_csv = csv_data(rows)
    csv_data("b.jpg,8,8,40,40,star\n", name="val.csv")
    val = train_csv[1].replace("boxes.csv", "val.csv")
    fit("--epochs=1", "--steps=1", *train_csv, "--val-annotations", val)
    out = capsys.readouterr().out
    assert "data, error: " in out
    assert "in more than one split" in out
    assert "data, warning: " in out
    assert "boxes written twice: 1 of 4 boxes; the first: " in out


def test_strict_stops_at_what_would_spoil_training(csv_data, refuse_training):
    train_csv = csv_data("a.jpg,8,8,40,40,ball\nb.jpg,8,8,40,40,star\n")
    csv_data("b.jpg,8,8,40,40,star\n", name="val.csv")
    val = train_csv[1].replace("boxes.csv", "val.csv")
    message = refuse_training("--strict", *train_csv, "--val-annotations", val)
    assert "in more than one split" in message
