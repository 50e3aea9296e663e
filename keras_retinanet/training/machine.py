"""What suits the machine: the batch size and the threads that load batches."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace

from ..preprocessing.dataset import Dataset
from ..preprocessing.examples import Sizing
from ..utils.threads import usable_threads
from .config import TrainConfig
from .devices import total

BYTES_PER_PIXEL = 6000  # of a step in float32: 3,100 for a ResNet-50, 4,900 for a ResNet-152
LARGEST_BATCH = 8  # the one for which the learning rate was chosen
LEAST_BATCHES = 10  # in an epoch
MOST_WORKERS = 8


def suited(config: TrainConfig, train: Dataset) -> TrainConfig:
    """Return a config with a batch size and workers, and print those that were chosen.

    The batch is the largest power of 2, up to `LARGEST_BATCH`, whose training step takes at most
    half of the memory and that leaves an epoch `LEAST_BATCHES` batches, times the devices.
    """
    chosen = {}
    if config.batch_size is None:
        memory, of = memory_bytes()
        most = memory / 2 / (BYTES_PER_PIXEL * largest_pixels(config, train))
        devices = total(config.devices)
        most = min(most, len(train.records) / LEAST_BATCHES / devices, LARGEST_BATCH)
        chosen["batch_size"] = 2 ** int(max(1, most)).bit_length() // 2 * devices
        print(f"batch size {chosen['batch_size']}, chosen for {memory / 1e9:.0f} GB of {of} memory")
    if config.workers is None:
        chosen["workers"] = max(1, min(usable_threads() // 2, MOST_WORKERS))
    return replace(config, **chosen)


def largest_pixels(config: TrainConfig, train: Dataset) -> int:
    """Return the number of px of the largest image as it is trained on."""
    sizing = Sizing(*config.sides)
    sides = config.multi_scale or (None,)
    sizes = {record.size for record in train.records if record.size}
    areas = [sizing.fit(size, side).size for size in sizes for side in sides]
    return max([1, *(int(width) * int(height) for width, height in areas)])


def memory_bytes() -> tuple[int, str]:
    """Return the memory of the smallest GPU in use, else of this machine, and whose it is."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") != "-1" and shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
        answer = subprocess.run(query, capture_output=True, text=True, check=False).stdout
        if found := [int(line) for line in answer.split() if line.isdigit()]:
            return min(found) * 2**20, "GPU"
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "main"
    except (AttributeError, ValueError):  # Windows
        return 8 * 2**30, "assumed"
