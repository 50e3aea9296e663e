"""A generator of Pascal VOC data sets."""

import os
from collections.abc import Sequence
from typing import Any

from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.preprocessing.readers.pascal_voc import read_pascal, voc_classes


class PascalVocGenerator(Generator):
    """Batches of a Pascal VOC data set, see `read_pascal`; **kwargs go to `Generator`."""

    def __init__(
        self,
        data_dir: str | os.PathLike,
        set_name: str,
        classes: Sequence[str] | dict[str, int] = voc_classes,
        image_extension: str = ".jpg",
        skip_truncated: bool = False,
        skip_difficult: bool = False,
        one_based: bool = True,
        **kwargs: Any,
    ) -> None:
        skips = skip_truncated, skip_difficult
        dataset = read_pascal(data_dir, set_name, classes, image_extension, *skips, one_based)
        super().__init__(dataset=dataset, **kwargs)
