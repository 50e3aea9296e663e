"""A generator of COCO data sets."""

import functools

from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.preprocessing.readers.coco import coco_paths, read_coco

__all__ = ["CocoGenerator", "read_coco"]


class CocoGenerator(Generator):
    """Batches of a COCO data set.

    Args:
        data_dir: folder with annotations/instances_<set_name>.json, and the images in
            images/<set_name> or <set_name>.
        set_name: such as "train2017".
        **kwargs: of `Generator`.
    """

    def __init__(self, data_dir, set_name, **kwargs):
        self.data_dir, self.set_name = data_dir, set_name
        self.annotations_json, images_dir = coco_paths(data_dir, set_name)
        dataset = read_coco(self.annotations_json, images_dir)
        self.image_ids = [record.image_id for record in dataset.records]
        self.coco_labels = dict(enumerate(dataset.category_ids))  # {label: category id}
        self.coco_labels_inverse = {c: label for label, c in self.coco_labels.items()}
        super().__init__(dataset=dataset, **kwargs)

    @functools.cached_property
    def coco(self):
        """The file as a `pycocotools.coco.COCO`, read when first asked for."""
        from pycocotools.coco import COCO

        return COCO(self.annotations_json)

    def coco_label_to_label(self, coco_label):
        """The label of a category id."""
        return self.coco_labels_inverse[coco_label]

    def coco_label_to_name(self, coco_label):
        """The class name of a category id."""
        return self.label_to_name(self.coco_label_to_label(coco_label))

    def label_to_coco_label(self, label):
        """The category id of a label."""
        return self.coco_labels[label]
