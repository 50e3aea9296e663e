"""A generator of Open Images data sets."""

from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.preprocessing.readers.open_images import read_open_images

__all__ = ["OpenImagesGenerator", "read_open_images"]


class OpenImagesGenerator(Generator):
    """Batches of a subset of Open Images.

    Args:
        main_dir, subset, version, labels_filter, parent_label: see `read_open_images`; a version
            chooses between files only where there are those of several.
        annotation_cache_dir: not used, for reading needs no cache.
        **kwargs: of `Generator`.
    """

    def __init__(
        self,
        main_dir,
        subset,
        version="v4",
        labels_filter=None,
        annotation_cache_dir=".",
        parent_label=None,
        **kwargs,
    ):
        dataset = read_open_images(main_dir, subset, version, labels_filter, parent_label)
        super().__init__(dataset=dataset, **kwargs)
