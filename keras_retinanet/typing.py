"""Names for the types that most modules share. Imports nothing heavy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Tensor = Any  # of the running backend, symbolic or not, or a NumPy array
ArrayModule = Any  # `numpy` on the host, `keras.ops` in a graph
Shape = tuple[int | None, ...]  # None where the size is open
StrPath = str | os.PathLike
ClassNames = Sequence[str] | None  # in the order of the labels; None if unknown
Tensors = dict[str, "np.ndarray"]  # of a weight file, by name
