"""What a training prints while it runs: its line, its table and the speeds in them."""

import io
from types import SimpleNamespace

import pytest

from keras_retinanet.training import console
from keras_retinanet.training.console import Console, Live, Speed, by_class


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """The time in seconds, which a test sets; a terminal of 80 columns."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(console.time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(console.shutil, "get_terminal_size", lambda: SimpleNamespace(columns=80))
    for name in ("SLURM_JOB_ID", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return clock


# the line


def test_a_line_is_drawn_over_the_one_before_and_removed_for_others(clock):
    terminal = Terminal()
    live = Live(terminal)
    for text in ("first", "2nd"):
        clock.now += 1
        live.draw([text])
    assert terminal.getvalue() == "\rfirst\r\r2nd  \r"
    live.replace("done")
    assert terminal.getvalue().endswith(f"\r{' ' * 3}\rdone\n")


def test_a_narrow_terminal_loses_the_last_fields(clock):
    terminal = Terminal()
    live = Live(terminal)
    clock.now += 1
    live.draw(["a" * 60, "b" * 18, "c" * 2])
    assert terminal.getvalue() == f"\r{'a' * 60} {'b' * 18}\r"
    clock.now += 1
    live.draw(["d" * 90])
    assert terminal.getvalue().endswith(f"\r{'d' * 79}\r")


@pytest.mark.parametrize("where", ["file", "slurm", "dumb"])
def test_a_file_gets_a_plain_line_every_30_seconds(clock, monkeypatch, where):
    if where == "slurm":
        monkeypatch.setenv("SLURM_JOB_ID", "7")
    if where == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    stream = io.StringIO() if where == "file" else Terminal()
    live = Live(stream)
    for second in range(1, 91):
        clock.now = 100.0 + second
        live.draw(["loss", str(second)])
    assert stream.getvalue() == "loss 30\nloss 60\nloss 90\n"


# speeds


def test_speed_is_measured_between_readings():
    speed = Speed()
    speed.batch(waited=5.0)  # the first batch compiles the step
    speed.read(now=60.0, took=0.0)
    assert speed.rate is None
    for _ in range(4):
        speed.batch(waited=0.25)
    speed.read(now=62.0, took=0.01)
    assert speed.rate == 2
    assert speed.waiting == 0.5


def test_a_device_that_is_busy_has_not_waited():
    speed = Speed()
    speed.batch(waited=0.0)
    speed.read(now=0.0, took=0.0)
    for _ in range(4):
        speed.batch(waited=0.25)
    speed.read(now=2.0, took=0.75)  # longer than a batch of 0.5 s
    assert speed.waiting == 0


# the table


class Optimizer:
    learning_rate = 4.2e-4


def training(clock, stream, epochs=2, figures=("AP", "AP50"), saved=None):
    """Print 2 epochs of 4 batches of 3 images, a batch in each 2 s, half of it waiting for data."""
    model = SimpleNamespace(
        optimizer=Optimizer(), progress={}, output_names=["regression", "classification"]
    )
    losses = SimpleNamespace(just_read=True, took=0.0, latest={})
    loader = SimpleNamespace(arrival=lambda: clock.now - 1, batching=SimpleNamespace(batch_size=3))
    snapshots = SimpleNamespace(saved=saved)
    shown = Console(losses, loader, 4, epochs, figures, snapshots, Live(stream))
    shown.set_model(model)
    for epoch in range(2):
        shown.on_epoch_begin(epoch)
        losses.latest = {"loss": 1.5, "regression_loss": 0.5, "classification_loss": 1.0}
        for batch in range(4):
            shown.on_train_batch_begin(batch)
            clock.now += 2
            shown.on_train_batch_end(batch)
        clock.now += 10  # an evaluation
        rows = [{"AP": 0.25}, {"AP": 0.125}][: epoch + 1]
        model.progress["figures"] = rows
        logs = {**losses.latest, **rows[-1], "AP50": 0.5, "AP b": 0.5, "AP a": 0.125}
        shown.on_epoch_end(epoch, logs)
    shown.on_train_end()
    return stream.getvalue()


def test_the_line_has_losses_rate_speed_waiting_and_what_is_left(clock, monkeypatch):
    monkeypatch.setattr(console, "memory_in_use", lambda: 1_230_000_000)
    drawn = training(clock, Terminal(), epochs=3).split("\r")
    line = "    1/3 1.500 0.500 1.000 4.2e-4 75% 1.5 img/s wait 50% left 2s/"
    # then two epochs of 8 s; the time between epochs is not known yet
    assert f"{line}18s 1.2GB" in [text.rstrip() for text in drawn]
    # in the second epoch it is: the end of this one and all of the next
    assert any(text.startswith("    2/3") and "left 2s/20s" in text for text in drawn)
    assert all(len(row) < 80 for text in drawn for row in text.split("\n"))


def test_the_table_has_figures_the_best_so_far_and_what_was_saved(clock):
    printed = training(clock, io.StringIO(), saved="last")
    assert printed.splitlines() == [
        "  epoch  loss   box class     lr    AP  AP50  best  saved  time",
        "    1/2 1.500 0.500 1.000 4.2e-4 0.250 0.500 0.250  last    18s",
        "       AP by class: a 0.125, b 0.500",
        "    2/2 1.500 0.500 1.000 4.2e-4 0.125 0.500 0.250  last    18s",
        "       AP by class: a 0.125, b 0.500",
    ]


def test_colours_are_for_terminals_that_want_them(clock, monkeypatch):
    assert "\x1b[32mbest" in training(clock, Terminal(), saved="best")
    assert "\x1b" not in training(clock, io.StringIO(), saved="best")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in training(clock, Terminal(), saved="best")


def test_without_figures_there_are_losses_only(clock):
    head, *_ = training(clock, io.StringIO(), figures=["val_loss"]).splitlines()
    assert head == "  epoch  loss   box class     lr   val  saved  time"


def test_the_classes_are_a_line_of_80_columns_the_worst_first():
    logs = {"AP": 0.5, **{f"AP class {number}": 1 - number / 100 for number in range(90)}}
    line = by_class(logs)
    assert line.startswith("       AP by class: class 89 0.110, class 88 0.120, ")
    assert len(line) == 79
    assert by_class({"AP": 0.5, "AP ball": 0.5}) is None
