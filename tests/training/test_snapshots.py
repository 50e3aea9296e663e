"""Snapshots: the best and the last, and what a failure leaves."""

import fcntl
import os

import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.training.snapshots import Snapshots, locked


class Model:
    """A model that saves its number, and what it knows of its progress."""

    def __init__(self, **progress):
        self.progress = progress
        self.number = 0

    def save(self, path):
        with open(path, "w") as file:
            file.write(f"{self.number} {self.progress['epoch']}")


@pytest.fixture
def prefix(tmp_path):
    return tmp_path / "new" / "resnet50_csv"


def epochs(prefix, *logs, model=None, **options):
    """Return the folder after epochs with these logs: {file name: content}."""
    model = model or Model()
    callback = Snapshots(str(prefix), **options)
    callback.set_model(model)
    for epoch, values in enumerate(logs):
        model.number += 1
        callback.on_epoch_end(epoch, values)
    if not prefix.parent.exists():
        return {}
    return {path.name: path.read_text() for path in prefix.parent.iterdir()}


def test_the_best_and_the_last_are_kept(prefix):
    files = epochs(prefix, {"AP": 0.2}, {"AP": 0.5}, {"AP": 0.5}, {"AP": 0.4})
    assert files == {"resnet50_csv_best.keras": "2 2", "resnet50_csv_last.keras": "4 4"}


def test_without_a_figure_there_is_only_a_last(prefix):
    assert epochs(prefix, {"loss": 1.0}, None) == {"resnet50_csv_last.keras": "2 2"}


def test_a_figure_that_comes_late_counts(prefix):
    files = epochs(prefix, {}, {"AP": 0.0}, {})
    assert files == {"resnet50_csv_best.keras": "2 2", "resnet50_csv_last.keras": "3 3"}


def test_the_model_learns_its_epoch_and_its_best(prefix):
    model = Model(start="scratch")
    epochs(prefix, {"AP": 0.5}, {"AP": 0.25}, model=model)
    assert model.progress == {"start": "scratch", "epoch": 2, "best": 0.5}


def test_a_resumed_training_does_not_replace_a_better_best(prefix):
    files = epochs(prefix, {"AP": 0.5}, model=Model(epoch=4, best=0.6))
    assert files == {"resnet50_csv_last.keras": "1 1"}


def test_another_figure_may_decide(prefix):
    files = epochs(prefix, {"mAP": 0.3, "AP": 0.1}, {"mAP": 0.2, "AP": 0.9}, monitor="mAP")
    assert files["resnet50_csv_best.keras"] == "1 1"


def test_an_epoch_that_diverged_is_not_saved(prefix):
    nan, infinite = {"loss": float("nan"), "AP": 0.9}, {"loss": float("inf"), "AP": 0.9}
    files = epochs(prefix, {"loss": 1.0, "AP": 0.1}, nan, infinite)
    assert files == {"resnet50_csv_best.keras": "1 1", "resnet50_csv_last.keras": "1 1"}


def test_a_save_that_fails_leaves_the_old_snapshot(prefix):
    class Fails(Model):
        def save(self, path):
            if self.number == 2:
                with open(path, "w") as file:
                    file.write("half")
                raise OSError(28, "No space left on device", str(path))
            super().save(path)

    model = Fails()
    with pytest.raises(InputError, match=r"last\.keras cannot be written: No space"):
        epochs(prefix, {}, {}, model=model)
    last = prefix.parent / "resnet50_csv_last.keras"
    assert last.read_text() == "1 1"
    assert [path.name for path in prefix.parent.iterdir()] == [last.name]


def test_what_earlier_trainings_left_is_moved_and_kept(prefix, capsys):
    def begun(**progress):
        callback = Snapshots(str(prefix))
        callback.set_model(Model(**progress))
        callback.on_train_begin()
        return sorted((path.name, path.read_text()) for path in prefix.parent.iterdir())

    prefix.parent.mkdir()
    last, moved = "resnet50_csv_last.keras", "resnet50_csv_last.previous"
    (prefix.parent / last).write_text("first")
    assert begun(epoch=3) == [(last, "first")]  # it goes on
    assert begun() == [(f"{moved}.keras", "first")]
    printed = f"moved {prefix.parent / last}, of an earlier training, to "
    assert printed + f"{prefix.parent / moved}.keras\n" in capsys.readouterr().out
    (prefix.parent / last).write_text("second")
    assert begun() == [(f"{moved}.keras", "first"), (f"{moved}2.keras", "second")]


def test_a_second_training_of_the_same_snapshots_is_refused(prefix):
    with locked(str(prefix)), pytest.raises(InputError, match=r"resnet50_csv_last\.keras"):
        locked(str(prefix)).__enter__()
    with locked(str(prefix)):  # free again
        pass
    assert list(prefix.parent.iterdir()) == []


def test_other_snapshots_of_the_folder_may_be_written(prefix):
    with locked(str(prefix)), locked(f"{prefix}2"):
        pass


def test_what_a_killed_training_left_is_removed(prefix):
    prefix.parent.mkdir()
    left = prefix.parent / ".resnet50_csv_last.123.unfinished.keras"
    kept = prefix.parent / ".resnet18_csv_last.123.unfinished.keras"
    for path in (left, kept):
        path.write_text("half")
    with locked(str(prefix)):
        assert not left.exists()
        assert kept.exists()


def test_a_lock_on_a_file_that_was_removed_is_taken_again(prefix, monkeypatch):
    flock, removed = fcntl.flock, []

    def race(file, flags):
        """Let the holder of an earlier lock remove its file before this lock is taken."""
        if not removed:
            removed.append(os.remove(f"{prefix}.lock"))
        flock(file, flags)

    monkeypatch.setattr(fcntl, "flock", race)
    with locked(str(prefix)):
        assert os.path.exists(f"{prefix}.lock")
        with pytest.raises(InputError, match="another training"), locked(str(prefix)):
            pass
