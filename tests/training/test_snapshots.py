"""Snapshots: the best and the last, and what a failure leaves."""

import os
import signal

import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.training.run_folder import RunFolder
from keras_retinanet.training.snapshots import Snapshots
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
def folder(tmp_path):
    return tmp_path / "new" / "run"


def epochs(folder, *logs, model=None, **options):
    """Return the folder after epochs with these logs: {file name: content}."""
    model = model or Model()
    callback = Snapshots(RunFolder(str(folder)), **options)
    callback.set_model(model)
    for epoch, values in enumerate(logs):
        model.number += 1
        callback.on_epoch_end(epoch, values)
    if not folder.exists():
        return {}
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_best_and_the_last_are_kept(folder):
    files = epochs(folder, {"AP": 0.2}, {"AP": 0.5}, {"AP": 0.5}, {"AP": 0.4})
    assert files == {"best.keras": "2 2", "last.keras": "4 4"}


def test_without_a_figure_there_is_only_a_last(folder):
    assert epochs(folder, {"loss": 1.0}, None) == {"last.keras": "2 2"}


def test_a_figure_that_comes_late_counts(folder):
    files = epochs(folder, {}, {"AP": 0.0}, {})
    assert files == {"best.keras": "2 2", "last.keras": "3 3"}


def test_the_model_learns_its_epoch_and_its_best(folder):
    model = Model(start="scratch")
    epochs(folder, {"AP": 0.5}, {"AP": 0.25}, model=model)
    known = {"start": "scratch", "epoch": 2, "step": 0, "best": 0.5, "metrics": [], "seeds": []}
    assert model.progress == known


def test_a_resumed_training_does_not_replace_a_better_best(folder):
    files = epochs(folder, {"AP": 0.5}, model=Model(epoch=4, best=0.6))
    assert files == {"last.keras": "1 1"}


def test_another_figure_may_decide(folder):
    files = epochs(folder, {"mAP": 0.3, "AP": 0.1}, {"mAP": 0.2, "AP": 0.9}, monitor="mAP")
    assert files["best.keras"] == "1 1"


def test_an_epoch_that_diverged_is_not_saved(folder):
    nan, infinite = {"loss": float("nan"), "AP": 0.9}, {"loss": float("inf"), "AP": 0.9}
    files = epochs(folder, {"loss": 1.0, "AP": 0.1}, nan, infinite)
    assert files == {"best.keras": "1 1", "last.keras": "1 1"}


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


def test_a_save_that_fails_leaves_the_old_snapshot_and_the_training_goes_on(folder):
    with pytest.warns(UserWarning, match=r"last\.keras cannot be written: No space .* MB are free"):
        files = epochs(folder, {}, {}, {}, model=Full())
    assert files == {"last.keras": "3 3"}


def test_a_training_whose_last_save_fails_tries_again_at_its_end(folder):
    for forever in (False, True):
        callback = Snapshots(RunFolder(str(folder)))
        callback.set_model(Full(forever))
        callback.on_epoch_end(0, {})
        with pytest.warns(UserWarning, match="No space"):
            callback.on_epoch_end(1, {})
        if forever:
            with pytest.raises(InputError, match="No space"):
                callback.on_train_end()
        else:
            callback.on_train_end()
        last = folder / "last.keras"
        assert last.read_text() == f"0 {1 if forever else 2}"
        assert [path.name for path in folder.iterdir()] == [last.name]


def test_best_is_another_name_of_the_last(folder):
    files = epochs(folder, {"AP": 0.2})
    first, second = (folder / name for name in files)
    assert first.samefile(second)


def batches(folder, count, *logs, model=None, **options):
    """Return the callback after `count` batches of the first epoch."""
    callback = Snapshots(RunFolder(str(folder)), steps=4, **options)
    callback.set_model(model or Model())
    callback.on_epoch_begin(0)
    for batch in range(count):
        callback.on_train_batch_end(batch, logs[0] if logs else None)
    return callback


def test_a_snapshot_is_saved_within_an_epoch_when_it_is_time(folder):
    batches(folder, 3, minutes=1e9)
    assert not folder.exists()
    callback = batches(folder, 3, minutes=0.0)
    assert callback.model.progress["step"] == 3
    assert callback.model.progress["epoch"] == 0
    assert (folder / "last.keras").read_text() == "0 0"


def test_a_snapshot_is_saved_before_an_evaluation(folder):
    callback = batches(folder, 4, minutes=1e9, before_end=True)
    assert callback.model.progress["step"] == 4
    assert (folder / "last.keras").exists()


def test_batches_of_an_earlier_run_count(folder):
    callback = batches(folder, 1, model=Model(epoch=0, step=2), minutes=0.0)
    assert callback.model.progress["step"] == 3


def test_batches_that_diverged_are_not_saved(folder):
    batches(folder, 4, {"loss": float("nan")}, minutes=0.0, before_end=True)
    assert not folder.exists()


def test_a_signal_ends_a_training_once_it_is_saved(folder):
    with stopping() as stop:
        callback = batches(folder, 1, minutes=1e9, stop=stop)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped, match=r"in epoch 1, after 2 of 4 batches, and saved .*last"):
            callback.on_train_batch_end(1)
    assert callback.model.progress["step"] == 2


def test_a_signal_in_an_evaluation_ends_a_training_at_once(folder):
    with stopping() as stop:
        batches(folder, 4, minutes=1e9, before_end=True, stop=stop)
        with pytest.raises(Stopped, match="after 4 of 4 batches"):
            os.kill(os.getpid(), signal.SIGUSR1)


def test_a_second_signal_acts_as_ever(folder):
    before = {number: signal.getsignal(number) for number in SIGNALS}
    with stopping() as stop:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert stop.asked
        assert {number: signal.getsignal(number) for number in SIGNALS} == before
