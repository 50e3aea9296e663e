"""A generator of Open Images data sets."""

import os
from collections.abc import Sequence
from typing import Any

from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.preprocessing.readers.open_images import read_open_images


class OpenImagesGenerator(Generator):
    """Batches of a subset of Open Images.

    Args:
        main_dir, subset, version, labels_filter, parent_label: see `read_open_images`; `version`
            matters only if the folder has files of several versions.
        annotation_cache_dir: not used, because reading needs no cache.
        **kwargs: arguments of `Generator`.
    """

    def __init__(
        self,
        main_dir: str | os.PathLike,
        subset: str,
        version: str | None = "v4",
        labels_filter: Sequence[str] | None = None,
        annotation_cache_dir: str | os.PathLike = ".",
        parent_label: str | None = None,
        **kwargs: Any,
    ) -> None:
        dataset = read_open_images(main_dir, subset, version, labels_filter, parent_label)
        super().__init__(dataset=dataset, **kwargs)
