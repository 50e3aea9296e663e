"""A generator of KITTI data sets."""

import os
from collections.abc import Sequence
from typing import Any

from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.preprocessing.readers.kitti import kitti_classes, read_kitti


class KittiGenerator(Generator):
    """Batches of a KITTI data set.

    Args:
        base_dir: folder with <subset>/labels and <subset>/images, or in KITTI's layout.
        subset: such as "train".
        classes: names in the order of their labels, or {name: label}.
        **kwargs: arguments of `Generator`.
    """

    def __init__(
        self,
        base_dir: str | os.PathLike,
        subset: str = "train",
        classes: Sequence[str] | dict[str, int] = kitti_classes,
        **kwargs: Any,
    ) -> None:
        super().__init__(dataset=read_kitti(base_dir, subset, classes), **kwargs)
