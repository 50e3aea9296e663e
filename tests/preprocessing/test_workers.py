"""Worker processes: the same batches as in this process, and what becomes of their troubles."""

import os
import signal
from multiprocessing.shared_memory import SharedMemory

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing import workers
from keras_retinanet.preprocessing.batches import Batches
from keras_retinanet.preprocessing.dataset import Dataset, make_record
from keras_retinanet.preprocessing.feed import prefetch
from keras_retinanet.utils.anchors import AnchorParameters

pytestmark = pytest.mark.slow


@pytest.fixture
def batches(tmp_path):
    rng = np.random.default_rng(0)
    records = []
    for index, size in enumerate([(64, 48), (48, 64), (64, 48), (32, 32)]):
        path = tmp_path / f"{index}.png"
        Image.fromarray(rng.integers(0, 255, (*size[::-1], 3), "uint8")).save(path)
        records.append(make_record(path, index, [(8, 8, 24, 24)][: index % 2], [0][: index % 2]))
    return Batches(
        Dataset(records, ["cat"], [1]),
        batch_size=2,
        no_resize=True,
        augmentation="default",
        anchor_params=AnchorParameters((16,), (8,), (1,), (1,)),
        pyramid_levels=[3],
    )


def test_processes_make_the_same_batches_in_order_and_give_their_memory_back(batches, monkeypatch):
    names = []

    def kept(*args, **kwargs):
        memory = SharedMemory(*args, **kwargs)
        names.append(memory.name)
        return memory

    monkeypatch.setattr(workers, "SharedMemory", kept)
    with workers.worker_processes(batches, 2, 3) as make:
        made = list(prefetch(make, range(8), workers=3, ahead=3))
    for step, (images, targets) in enumerate(made):
        expected, wanted = batches.batch_at(step)
        assert images.dtype == np.uint8
        assert np.array_equal(images, expected)
        assert targets.keys() == wanted.keys()
        for name, values in wanted.items():
            assert targets[name].dtype == values.dtype
            assert np.array_equal(targets[name], values)
    assert len(names) == 3
    for name in names:
        with pytest.raises(FileNotFoundError):
            SharedMemory(name)


def test_what_a_worker_leaves_out_is_told_here(batches):
    broken = batches.dataset.records[1].path
    size = os.path.getsize(broken)
    with open(broken, "r+b") as file:
        file.seek(size // 2)
        file.write(bytes(size // 4))
    with (
        workers.worker_processes(batches, 1, 1) as make,
        pytest.warns(UserWarning, match=r"1 of 4 images that are broken.*1\.png"),
    ):
        [make(step) for step in range(len(batches))]
    assert set(batches.unreadable) == {1}


def test_the_end_of_a_worker_is_one_sentence(batches):
    with workers.worker_processes(batches, 1, 1) as make:
        make(0)
        [child] = [pid for pid in children(os.getpid()) if "spawn_main" in command(pid)]
        os.kill(child, signal.SIGKILL)
        with pytest.raises(InputError, match="worker processes to last"):
            [make(step) for step in range(1, 50)]


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def command(pid):
    with open(f"/proc/{pid}/cmdline") as file:
        return file.read()


def test_the_largest_batch_fits_its_slot(batches):
    most = 0
    for step in range(8):
        images, targets = batches.batch_at(step)
        most = max(most, sum(array.nbytes + 64 for array in (images, *targets.values())))
    assert most <= workers.largest(batches) < 4 * most
