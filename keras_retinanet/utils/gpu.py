"""Choose the GPUs of this process."""

from __future__ import annotations

import os
import sys
import warnings
from types import ModuleType

from keras_retinanet.errors import InputError


def setup_gpu(gpu_id: int | str) -> None:
    """Use only these GPUs: an int, a string like "0,1", or "cpu" (also -1) for none.

    Call it before the backend starts: it then sets `CUDA_VISIBLE_DEVICES`. If TensorFlow is the
    backend and already imported, its visible devices are set, and it takes memory as needed.

    Raises:
        InputError: if the ids cannot be read, or TensorFlow sees GPUs but not these.
    """
    text = str(gpu_id).strip().lower()
    try:
        wanted = [] if text in ("cpu", "-1") else [int(part) for part in text.split(",")]
    except ValueError:
        wanted = [-1]
    if any(index < 0 for index in wanted):
        raise InputError(f"gpu must be ids such as 0 or 0,1, or cpu, got {gpu_id!r}.")
    tensorflow, keras = sys.modules.get("tensorflow"), sys.modules.get("keras")
    if tensorflow is not None and (keras is None or keras.config.backend() == "tensorflow"):
        restrict_tensorflow(tensorflow, wanted)
    else:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, wanted)) or "-1"
        os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"


def restrict_tensorflow(tensorflow: ModuleType, wanted: list[int]) -> None:
    gpus = tensorflow.config.list_physical_devices("GPU")
    if wanted and not gpus:
        warnings.warn("TensorFlow sees no GPU, so the CPU is used.", stacklevel=3)
        return
    if any(index >= len(gpus) for index in wanted):
        raise InputError(f"GPU ids must be below {len(gpus)}, got {wanted}.")
    try:
        tensorflow.config.set_visible_devices([gpus[index] for index in wanted], "GPU")
        for index in wanted:
            tensorflow.config.experimental.set_memory_growth(gpus[index], True)
    except RuntimeError as error:  # TensorFlow has started its devices
        raise InputError(f"Choose GPUs before TensorFlow uses one. {error}") from error
