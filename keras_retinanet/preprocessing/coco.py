"""A generator of COCO data sets."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.preprocessing.readers.coco import coco_paths, read_coco

if TYPE_CHECKING:
    from pycocotools.coco import COCO


class CocoGenerator(Generator):
    """Batches of a COCO data set.

    Args:
        data_dir: folder with annotations/instances_<set_name>.json, and the images in
            images/<set_name> or <set_name>.
        set_name: such as "train2017".
        **kwargs: arguments of `Generator`.
    """

    def __init__(self, data_dir: str | os.PathLike, set_name: str, **kwargs: Any) -> None:
        self.data_dir, self.set_name = data_dir, set_name
        self.annotations_json, images_dir = coco_paths(data_dir, set_name)
        dataset = read_coco(self.annotations_json, images_dir)
        self.image_ids = [record.image_id for record in dataset.records]
        self.coco_labels = dict(enumerate(dataset.category_ids))  # {label: category id}
        self.coco_labels_inverse = {c: label for label, c in self.coco_labels.items()}
        super().__init__(dataset=dataset, **kwargs)

    @functools.cached_property
    def coco(self) -> COCO:
        """The file as a `pycocotools.coco.COCO`, read on first use."""
        from pycocotools.coco import COCO

        return COCO(self.annotations_json)

    def coco_label_to_label(self, coco_label: int) -> int:
        """Return the label of a category id."""
        return self.coco_labels_inverse[coco_label]

    def coco_label_to_name(self, coco_label: int) -> str:
        """Return the class name of a category id."""
        return self.label_to_name(self.coco_label_to_label(coco_label))

    def label_to_coco_label(self, label: int) -> int:
        """Return the category id of a label."""
        return self.coco_labels[label]
