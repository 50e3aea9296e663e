"""Choosing the accelerators of this process."""

import os
import sys
import warnings

from keras_retinanet.errors import InputError


def setup_gpu(gpu_id):
    """Use these GPUs alone: an int, a string like "0,1", or "cpu" (also -1) for none.

    Call it before the backend starts: it then works through `CUDA_VISIBLE_DEVICES`. A TensorFlow
    that is the backend and already imported is told directly, and takes memory as it needs it.

    Raises:
        InputError: when the ids cannot be read, or TensorFlow sees GPUs but not these.
    """
    text = str(gpu_id).strip().lower()
    try:
        wanted = [] if text in ("cpu", "-1") else [int(part) for part in text.split(",")]
    except ValueError:
        wanted = [-1]
    if any(index < 0 for index in wanted):
        raise InputError(f"Expected GPU ids such as 0 or 0,1, or cpu. Received: {gpu_id!r}")
    tensorflow, keras = sys.modules.get("tensorflow"), sys.modules.get("keras")
    if tensorflow is not None and (keras is None or keras.config.backend() == "tensorflow"):
        restrict_tensorflow(tensorflow, wanted)
    else:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, wanted)) or "-1"
        os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"


def restrict_tensorflow(tensorflow, wanted):
    gpus = tensorflow.config.list_physical_devices("GPU")
    if wanted and not gpus:
        warnings.warn("TensorFlow sees no GPU; the CPU is used", stacklevel=3)
        return
    if any(index >= len(gpus) for index in wanted):
        raise InputError(f"Expected GPU ids below {len(gpus)}. Received: {wanted}")
    try:
        tensorflow.config.set_visible_devices([gpus[index] for index in wanted], "GPU")
        for index in wanted:
            tensorflow.config.experimental.set_memory_growth(gpus[index], True)
    except RuntimeError as error:  # TensorFlow has started its devices
        raise InputError(f"Expected to choose GPUs before TensorFlow uses one. {error}") from error
