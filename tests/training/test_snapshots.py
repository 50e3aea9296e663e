"""Snapshots: the best and the last, and what a failure leaves."""

import fcntl
import os
import signal

import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.training.snapshots import Snapshots, locked
from keras_retinanet.training.stopping import SIGNALS, Stopped, stopping


class Model:
    """A model that saves its number, and what it knows of its progress."""

    weights = variables = metrics_variables = ()

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
    known = {"start": "scratch", "epoch": 2, "step": 0, "best": 0.5, "metrics": [], "seeds": []}
    assert model.progress == known


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


class Full(Model):
    """A model that fills the disk with its second save, or with all from then on."""

    def __init__(self, forever=False, **progress):
        super().__init__(**progress)
        self.saves, self.forever = 0, forever

    def save(self, path):
        self.saves += 1
        if self.saves == 2 or (self.saves > 2 and self.forever):
            with open(path, "w") as file:
                file.write("half")
            raise OSError(28, "No space left on device", str(path))
        super().save(path)


def test_a_save_that_fails_leaves_the_old_snapshot_and_the_training_goes_on(prefix):
    with pytest.warns(UserWarning, match=r"last\.keras cannot be written: No space .* MB are free"):
        files = epochs(prefix, {}, {}, {}, model=Full())
    assert files == {"resnet50_csv_last.keras": "3 3"}


def test_a_training_whose_last_save_fails_tries_again_at_its_end(prefix):
    for forever in (False, True):
        callback = Snapshots(str(prefix))
        callback.set_model(Full(forever))
        callback.on_epoch_end(0, {})
        with pytest.warns(UserWarning, match="No space"):
            callback.on_epoch_end(1, {})
        if forever:
            with pytest.raises(InputError, match="No space"):
                callback.on_train_end()
        else:
            callback.on_train_end()
        last = prefix.parent / "resnet50_csv_last.keras"
        assert last.read_text() == f"0 {1 if forever else 2}"
        assert [path.name for path in prefix.parent.iterdir()] == [last.name]


def test_best_is_another_name_of_the_last(prefix):
    files = epochs(prefix, {"AP": 0.2})
    first, second = (prefix.parent / name for name in files)
    assert first.samefile(second)


def batches(prefix, count, *logs, model=None, **options):
    """Return the callback after `count` batches of the first epoch."""
    callback = Snapshots(str(prefix), steps=4, **options)
    callback.set_model(model or Model())
    callback.on_epoch_begin(0)
    for batch in range(count):
        callback.on_train_batch_end(batch, logs[0] if logs else None)
    return callback


def test_a_snapshot_is_saved_within_an_epoch_when_it_is_time(prefix):
    assert batches(prefix, 3, minutes=1e9).kept == []
    callback = batches(prefix, 3, minutes=0.0)
    assert callback.model.progress["step"] == 3
    assert callback.model.progress["epoch"] == 0
    assert (prefix.parent / "resnet50_csv_last.keras").read_text() == "0 0"


def test_a_snapshot_is_saved_before_an_evaluation(prefix):
    callback = batches(prefix, 4, minutes=1e9, before_end=True)
    assert callback.model.progress["step"] == 4
    assert callback.kept


def test_batches_of_an_earlier_run_count(prefix):
    callback = batches(prefix, 1, model=Model(epoch=0, step=2), minutes=0.0)
    assert callback.model.progress["step"] == 3


def test_batches_that_diverged_are_not_saved(prefix):
    assert batches(prefix, 4, {"loss": float("nan")}, minutes=0.0, before_end=True).kept == []


def test_a_signal_ends_a_training_once_it_is_saved(prefix):
    with stopping() as stop:
        callback = batches(prefix, 1, minutes=1e9, stop=stop)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped, match=r"in epoch 1, after 2 of 4 batches, and saved .*last"):
            callback.on_train_batch_end(1)
    assert callback.model.progress["step"] == 2


def test_a_signal_in_an_evaluation_ends_a_training_at_once(prefix):
    with stopping() as stop:
        batches(prefix, 4, minutes=1e9, before_end=True, stop=stop)
        with pytest.raises(Stopped, match="after 4 of 4 batches"):
            os.kill(os.getpid(), signal.SIGUSR1)


def test_a_second_signal_acts_as_ever(prefix):
    before = {number: signal.getsignal(number) for number in SIGNALS}
    with stopping() as stop:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert stop.asked
        assert {number: signal.getsignal(number) for number in SIGNALS} == before


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
