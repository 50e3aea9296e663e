"""Images and their annotations by index: what a generator makes its batches from."""

from ..utils.image import read_image_bgr
from .measure import image_size


class AnnotatedImages:
    """The images of `dataset`, or of a subclass's own that defines these methods.

    `image_sizes` keeps the sizes that were found by loading an image.
    """

    def __init__(self, dataset=None):
        self.dataset = dataset
        self.image_sizes = {}

    def size(self):
        """The number of images."""
        return len(self._dataset().records)

    def num_classes(self):
        """The number of classes."""
        return len(self._dataset().class_names)

    def has_label(self, label):
        """Whether `label` is one of 0 to K - 1."""
        return 0 <= label < self.num_classes()

    def has_name(self, name):
        """Whether there is a class of that name."""
        return name in self._dataset().class_names

    def name_to_label(self, name):
        """The label of a class name."""
        return self._dataset().class_names.index(name)

    def label_to_name(self, label):
        """The class name of a label."""
        return self._dataset().class_names[label]

    def image_path(self, image_index):
        """The path of an image file."""
        return self._dataset().records[image_index].path

    def image_size(self, image_index):
        """(width, height) px of an image before resizing."""
        size = self.dataset and self.dataset.records[image_index].size
        size = size or self.image_sizes.get(image_index)
        if size is None:
            size = self.image_sizes[image_index] = self._find_size(image_index)
        return size

    def _find_size(self, image_index):
        if self.dataset is not None and type(self).load_image is AnnotatedImages.load_image:
            return image_size(self.image_path(image_index))  # without decoding it
        return self.load_image(image_index).shape[1::-1]

    def image_aspect_ratio(self, image_index):
        """Width over height of an image."""
        width, height = self.image_size(image_index)
        return width / height

    def load_image(self, image_index):
        """An image (H, W, 3) uint8 BGR."""
        return read_image_bgr(self.image_path(image_index))

    def load_annotations(self, image_index):
        """{"labels": (n,), "bboxes": (n, 4) xyxy px, "ignore": (n,) bool} of an image."""
        record = self._dataset().records[image_index]
        return {
            "labels": record.labels.copy(),
            "bboxes": record.boxes.copy(),
            "ignore": record.ignore.copy(),
        }

    def _dataset(self):
        if self.dataset is None:
            raise NotImplementedError(
                "Expected a data set, or a subclass that defines this method."
            )
        return self.dataset
