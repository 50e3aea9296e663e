"""Batch size and workers that suit memory and data."""

import pytest

from keras_retinanet.preprocessing.dataset import Dataset, make_record
from keras_retinanet.training import machine
from keras_retinanet.training.config import TrainConfig

GB = 10**9


def images(count, size=(640, 480)):
    return Dataset([make_record(f"{i}.jpg", i, size=size) for i in range(count)], ["thing"], [0])


@pytest.mark.parametrize(
    ("memory", "count", "expected"),
    [
        # 320 x 240 px take 0.46 GB: half of 1 GB holds 1, of 4 GB 4.3, of 64 GB more than the most
        (1 * GB, 1000, 1),
        (4 * GB, 1000, 4),
        (64 * GB, 1000, 8),
        (64 * GB, 45, 4),  # ten batches in an epoch
        (64 * GB, 3, 1),
        (0, 1000, 1),
    ],
)
def test_a_batch_fits_memory_and_data(monkeypatch, capsys, memory, count, expected):
    monkeypatch.setattr(machine, "memory_bytes", lambda: (memory, "main"))
    config = TrainConfig(image_min_side=240, image_max_side=320)
    chosen = machine.suited(config, images(count))
    assert chosen.batch_size == expected
    assert f"batch size {expected}, " in capsys.readouterr().out


def test_the_largest_image_counts(monkeypatch):
    # 800 x 1067 px take 5.1 GB
    monkeypatch.setattr(machine, "memory_bytes", lambda: (21 * GB, "main"))
    mixed = Dataset(images(99, (64, 64)).records + images(1).records, ["thing"], [0])
    config = TrainConfig(no_resize=False)
    assert machine.suited(config, mixed).batch_size == 2


def test_what_is_given_stays(capsys):
    config = TrainConfig(batch_size=3, workers=0)
    assert machine.suited(config, images(100)) == config
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("processors", "expected"), [(1, 1), (2, 1), (8, 4), (64, 8)])
def test_half_of_the_processors_load(monkeypatch, processors, expected):
    monkeypatch.setattr(machine, "usable_threads", lambda: processors)
    assert machine.suited(TrainConfig(batch_size=1), images(9)).workers == expected


def test_this_machine_has_memory():
    memory, whose = machine.memory_bytes()
    assert memory > 2**28
    assert whose in ("GPU", "main", "assumed")
