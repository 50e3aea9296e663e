"""Check that loaded weights are finite, and variances not negative."""

from __future__ import annotations

import keras
import numpy as np

from ..errors import InputError
from ..typing import StrPath


def check_finite(path: StrPath, model: keras.Model) -> None:
    """Raise an InputError if a loaded weight is not finite, or a variance is negative."""
    for weight in model.weights:
        value = keras.ops.convert_to_numpy(weight).astype("float32")
        if not np.isfinite(value).all():
            raise InputError(f"{path}: {weight.path} is not finite; use an earlier snapshot.")
        if weight.path.endswith("variance") and (value < 0).any():
            raise InputError(f"{path}: {weight.path} is below 0; the file is damaged.")
