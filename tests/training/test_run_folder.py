"""The folder of a run: its name, its lock, its log and its arguments."""

import fcntl
import json
import os
from datetime import date

import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.source import DataSource, TrainingData
from keras_retinanet.training.arguments import (
    Arguments,
    changed,
    check_unchanged,
    read_arguments,
    recording,
    resumed,
    write_arguments,
)
from keras_retinanet.training.config import TrainConfig
from keras_retinanet.training.figures import as_csv
from keras_retinanet.training.run_folder import RunFolder, folder_of, locked


@pytest.fixture
def folder(tmp_path):
    return RunFolder(str(tmp_path / "new" / "run"))


def arguments(**options):
    return Arguments(None, ["one", None], TrainConfig.of(**options), sorted(options))


# its name


def test_a_run_is_named_by_date_backbone_and_data(tmp_path):
    name = f"{date.today().isoformat()}_resnet50_csv"
    for expected in (name, f"{name}_2", f"{name}_3"):
        found = folder_of(str(tmp_path), None, None, ["resnet50", "csv"])
        assert found.path == str(tmp_path / expected)
        os.mkdir(found.path)


def test_a_run_that_exists_is_not_replaced(tmp_path):
    (tmp_path / "cards").mkdir()
    assert folder_of(str(tmp_path), "cards", None, []).path == str(tmp_path / "cards")
    last = tmp_path / "cards" / "last.keras"
    last.write_text("")
    with pytest.raises(InputError, match="cards holds a training"):
        folder_of(str(tmp_path), "cards", None, [])
    assert folder_of(str(tmp_path), "cards", str(last), []).path == str(tmp_path / "cards")


def test_a_snapshot_goes_on_in_the_folder_of_its_run(tmp_path, folder):
    os.makedirs(folder.path)
    assert folder_of(str(tmp_path), None, folder.last, ["a"]).path != folder.path
    write_arguments(folder, arguments())
    assert folder_of(str(tmp_path), None, folder.last, ["a"]).path == folder.path
    assert folder_of(str(tmp_path), "b", folder.last, ["a"]).path == str(tmp_path / "b")


@pytest.mark.parametrize("name", ["", "a/b", ".."])
def test_a_run_has_the_name_of_a_folder(name):
    with pytest.raises(InputError, match="name of a folder"):
        TrainConfig.of(run=name)


# its lock


def test_a_second_training_in_a_folder_is_refused(folder):
    with locked(folder), pytest.raises(InputError, match=r"run is being written"):
        locked(folder).__enter__()
    with locked(folder):  # free again
        pass
    assert os.listdir(folder.path) == []


def test_what_a_killed_training_left_is_removed(folder):
    os.makedirs(folder.path)
    names = ".last.123.unfinished.keras", ".metrics.123.unfinished.csv", "last.keras"
    for name in names:
        open(os.path.join(folder.path, name), "w").close()
    with locked(folder):
        assert sorted(os.listdir(folder.path)) == [".lock", "last.keras"]


def test_a_lock_on_a_file_that_was_removed_is_taken_again(folder, monkeypatch):
    flock, removed = fcntl.flock, []

    def race(file, flags):
        """Let the holder of an earlier lock remove its file before this lock is taken."""
        if not removed:
            removed.append(os.remove(os.path.join(folder.path, ".lock")))
        flock(file, flags)

    monkeypatch.setattr(fcntl, "flock", race)
    with locked(folder), pytest.raises(InputError, match="another training"), locked(folder):
        pass


# its log


def test_what_a_run_prints_is_logged_without_colours_and_redrawn_lines(folder, capsys):
    with recording(folder, arguments()):
        print("\x1b[33mwarning:\x1b[0m careful")
        print("1 of 2\r2 of 2", end="")
        print()
    with recording(folder, arguments()):
        print("again")
    print("outside")
    with open(folder.log) as file:
        assert file.read() == "warning: careful\n2 of 2\nagain\n"
    assert "1 of 2\r2 of 2\nagain\noutside\n" in capsys.readouterr().out


def test_the_environment_names_versions_and_devices(folder):
    with recording(folder, arguments()), open(folder.environment) as file:
        found = json.load(file)
    assert found["backend"] in ("tensorflow", "jax", "torch")
    assert found["devices"]
    assert {"keras", "numpy"} <= set(found["versions"])


# its arguments


def test_arguments_are_read_as_they_were_written(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = DataSource("pascal", "VOC", images="VOC/images", options={"one_based": False})
    data = TrainingData(source, "train", val_path="held")
    options = {
        "multi_scale": "48,64",
        "augment": ({"name": "mosaic", "chance": 0.5},),
        "classification_loss": "focal:gamma=1,alpha=(0.2,0.5)",
        "prior_probability": "none",
        "tensorboard_freq": "3",
        "weights": "w.keras",
    }
    config = TrainConfig.of(**options)
    write_arguments(folder, Arguments(data.described(), ["a", "b"], config, sorted(options)))
    held = read_arguments(folder)
    paths = TrainConfig.of(**{**options, "weights": str(tmp_path / "w.keras")})
    assert held.config == paths
    found = TrainingData.from_description(held.data)
    assert found.val_path == str(tmp_path / "held")
    assert found.source.path == str(tmp_path / "VOC")
    assert found.source.options == {"one_based": False}
    assert (found.split, held.fingerprints) == ("train", ["a", "b"])


@pytest.mark.parametrize("text", [None, "{", "{}", "[]", '{"config": {"epoch": 3}}'])
def test_a_folder_that_is_no_run_is_refused(folder, text):
    os.makedirs(folder.path)
    if text is not None:
        with open(folder.arguments, "w") as file:
            file.write(text)
    with pytest.raises(InputError, match="run"):
        read_arguments(folder)


def test_a_resumed_run_changes_only_what_does_not_change_the_training():
    held = arguments(lr=0.01, epochs=3)
    found = changed(held, {"epochs": 5, "lr": "0.01"}, ("epochs",), "snapshots/cards")
    assert (found.config.epochs, found.config.lr) == (5, 0.01)
    with pytest.raises(InputError, match=r"lr is 0\.01 in snapshots/cards, got 0\.1"):
        changed(held, {"lr": 0.1}, ("epochs",), "snapshots/cards")


def test_a_run_without_a_snapshot_starts_again(folder):
    config = TrainConfig.of(no_weights=True, preflight=True)
    assert resumed(config, folder) == config
    os.makedirs(folder.path)
    open(folder.last, "w").close()
    found = resumed(config, folder)
    assert (found.snapshot, found.no_weights, found.preflight) == (folder.last, False, False)


def test_data_that_changed_are_refused(folder):
    check_unchanged(["a", None], ["a", None], folder)
    with pytest.raises(InputError, match="The validation data have changed"):
        check_unchanged(["a", None], ["a", "b"], folder)


def test_figures_become_columns():
    rows = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "AP": 0.125}]
    assert as_csv(rows) == "epoch,loss,AP\n1,0.5,\n2,0.25,0.125\n"
