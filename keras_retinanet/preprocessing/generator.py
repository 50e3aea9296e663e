"""The overridable generator of the older keras-retinanet, for scripts that subclass it."""

import functools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_retinanet.parts import Inputs
from keras_retinanet.preprocessing.augmentation.sampling import transform_both
from keras_retinanet.preprocessing.box_faults import GOOD, box_states
from keras_retinanet.preprocessing.buckets import Size
from keras_retinanet.preprocessing.collate import Anchoring, compact_targets, stack_images
from keras_retinanet.preprocessing.dataset import Dataset
from keras_retinanet.preprocessing.epochs import Batching, batches_of, by_ratio
from keras_retinanet.preprocessing.examples import annotations_of
from keras_retinanet.preprocessing.image_info import image_info
from keras_retinanet.utils.anchors import AnchorParameters, anchor_targets_bbox, guess_shapes
from keras_retinanet.utils.config import parse_anchor_parameters, parse_pyramid_levels
from keras_retinanet.utils.image import (
    TransformParameters,
    choose,
    preprocess_image,
    read_image_bgr,
    resize_image,
)

GROUP_METHODS = {name: name for name in ("ratio", "random", "none")}

Annotations = dict[str, np.ndarray]  # "labels" (n,), "bboxes" (n, 4) xyxy px and more of n rows
Entry = tuple[np.ndarray, Annotations]  # an image (H, W, 3) and its boxes
Images = list[np.ndarray]
Rows = list[Annotations]
Group = tuple[Images, Rows]
Targets = tuple[np.ndarray, ...] | dict[str, np.ndarray]


class Generator(keras.utils.PyDataset):
    """Batches of a `Dataset`, or of the images that a subclass gives, as a Keras PyDataset.

    A subclass without a data set defines `size`, `num_classes`, `load_image`, `image_path` and
    `load_annotations`. Every step from a file to a batch is a method that it may override. The
    commands use `preprocessing.loader.Loader` instead.

    Args:
        dataset: as a reader of `preprocessing.readers` returns it.
        transform_generator: gives a 3x3 matrix for each image (`utils.transform`).
        visual_effect_generator: gives a function of BGR images for each image (`utils.image`).
        group_method: "ratio" (images of similar aspect ratio share a batch), "random" or "none".
        shuffle_groups: shuffle the batches of each epoch.
        image_min_side, image_max_side: px that images are resized to.
        transform_parameters: the fill and interpolation of transforms.
        compute_anchor_targets: makes the dense targets, see `anchor_targets_bbox`.
        compute_shapes: gives the feature shapes of an image shape (`utils.anchors.grid`).
        preprocess_image: applied to BGR images; None gives uint8 RGB, for models that normalize.
        config: INI configuration with anchor parameters and pyramid levels.
        compact: give {"boxes", "labels", "matches"} (`collate.compact_targets`) instead of the
            dense (regression (B, N, 5), classification (B, N, K + 1)).
        anchor_params, pyramid_levels: the model's anchors; `config` overrides them.
        seed: decides the order of images and batches.
        **kwargs: `workers`, `use_multiprocessing`, `max_queue_size` of Keras's PyDataset.

    Attributes:
        groups: the image indices of each batch of this epoch.
    """

    def __init__(
        self,
        dataset: Dataset | None = None,
        transform_generator: Iterator[np.ndarray] | None = None,
        visual_effect_generator: Iterator[Callable] | None = None,
        batch_size: int = 1,
        group_method: str = "ratio",
        shuffle_groups: bool = True,
        image_min_side: int = Inputs.image_min_side,
        image_max_side: int = Inputs.image_max_side,
        no_resize: bool = False,
        transform_parameters: TransformParameters | None = None,
        compute_anchor_targets: Callable = anchor_targets_bbox,
        compute_shapes: Callable = guess_shapes,
        preprocess_image: Callable | None = preprocess_image,
        config: Mapping | None = None,
        compact: bool = False,
        anchor_params: AnchorParameters | None = None,
        pyramid_levels: Sequence[int] | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        config = config or {}
        if "anchor_parameters" in config:
            anchor_params = parse_anchor_parameters(config)
        if "pyramid_levels" in config:
            pyramid_levels = parse_pyramid_levels(config)
        self.dataset = dataset
        self.transform_generator = transform_generator
        self.visual_effect_generator = visual_effect_generator
        self.batch_size = int(batch_size)
        self.group_method = choose(GROUP_METHODS, "group_method", group_method)
        self.shuffle_groups = shuffle_groups
        self.image_min_side = image_min_side
        self.image_max_side = image_max_side
        self.no_resize = no_resize
        self.transform_parameters = transform_parameters or TransformParameters()
        self.compute_anchor_targets = compute_anchor_targets
        self.preprocess_image = preprocess_image
        self.compact = compact
        self.anchoring = Anchoring(anchor_params, pyramid_levels, compute_shapes=compute_shapes)
        self.seed = seed
        self.epoch = 0
        self._sizes: dict[int, Size] = {}  # that were found in image files
        self.groups = self._groups()

    def size(self) -> int:
        return len(self._dataset().records)

    def num_classes(self) -> int:
        return len(self._dataset().class_names)

    def has_label(self, label: int) -> bool:
        return 0 <= label < self.num_classes()

    def has_name(self, name: str) -> bool:
        return name in self._dataset().class_names

    def name_to_label(self, name: str) -> int:
        return self._dataset().class_names.index(name)

    def label_to_name(self, label: int) -> str:
        return self._dataset().class_names[label]

    def image_path(self, image_index: int) -> str:
        return self._dataset().records[image_index].path

    def image_size(self, image_index: int) -> Size:
        """Return the (width, height) px of an image before resizing."""
        size = self.dataset and self.dataset.records[image_index].size
        size = size or self._sizes.get(image_index)
        if size is None:
            if self.dataset is not None and type(self).load_image is Generator.load_image:
                size = image_info(self.image_path(image_index)).size  # without decoding it
            else:
                size = self.load_image(image_index).shape[1::-1]
            self._sizes[image_index] = size
        return size

    def image_aspect_ratio(self, image_index: int) -> float:
        width, height = self.image_size(image_index)
        return width / height

    def load_image(self, image_index: int) -> np.ndarray:
        """Return an image (H, W, 3) uint8 BGR."""
        return read_image_bgr(self.image_path(image_index))

    def load_annotations(self, image_index: int) -> Annotations:
        """Return {"labels": (n,), "bboxes": (n, 4) xyxy px, "ignore": (n,) bool} of an image."""
        return annotations_of(self._dataset().records[image_index])

    def _dataset(self) -> Dataset:
        if self.dataset is None:
            raise NotImplementedError("Pass a data set, or override this method in a subclass.")
        return self.dataset

    def load_annotations_group(self, group: list[int]) -> Rows:
        annotations_group = [self.load_annotations(index) for index in group]
        for found in annotations_group:
            if missing := {"labels", "bboxes"} - set(found):
                raise ValueError(f"load_annotations must give labels and bboxes; lacks {missing}.")
        return annotations_group

    def filter_annotations(
        self, image_group: Images, annotations_group: Rows, group: list[int]
    ) -> Group:
        """Drop boxes that have no area or stick out of their image, with a warning."""
        for i, (image, found) in enumerate(zip(image_group, annotations_group, strict=True)):
            boxes = found["bboxes"]
            good = box_states(boxes, image.shape[1::-1], tolerance=0) == GOOD
            if not good.all():
                warnings.warn(
                    f"Dropped boxes without area or outside the image {self.image_path(group[i])} "
                    f"of shape {image.shape}: {boxes[~good].tolist()}",
                    UserWarning,
                    stacklevel=2,
                )
                annotations_group[i] = {key: rows[good] for key, rows in found.items()}
        return image_group, annotations_group

    def load_image_group(self, group: list[int]) -> Images:
        return [self.load_image(index) for index in group]

    def random_visual_effect_group_entry(
        self, image: np.ndarray, annotations: Annotations
    ) -> Entry:
        if self.visual_effect_generator is not None:
            image = next(self.visual_effect_generator)(image)
        return image, annotations

    def random_visual_effect_group(self, image_group: Images, annotations_group: Rows) -> Group:
        return _each(self.random_visual_effect_group_entry, image_group, annotations_group)

    def random_transform_group_entry(
        self, image: np.ndarray, annotations: Annotations, transform: np.ndarray | None = None
    ) -> Entry:
        """Apply `transform`, or the next one of the generator, to an image and its boxes."""
        if transform is None and self.transform_generator is not None:
            transform = next(self.transform_generator)
        if transform is None:
            return image, annotations
        return transform_both(image, annotations, transform, self.transform_parameters)

    def random_transform_group(self, image_group: Images, annotations_group: Rows) -> Group:
        return _each(self.random_transform_group_entry, image_group, annotations_group)

    def resize_image(self, image: np.ndarray) -> tuple[np.ndarray, float]:
        """Return (image fitted to the sides, scale)."""
        if self.no_resize:
            return image, 1
        return resize_image(image, self.image_min_side, self.image_max_side)

    def preprocess_group_entry(self, image: np.ndarray, annotations: Annotations) -> Entry:
        resized, _ = self.resize_image(image)
        scales = np.tile(np.divide(resized.shape[1::-1], image.shape[1::-1]), 2).astype("float32")
        annotations = {**annotations, "bboxes": annotations["bboxes"] * scales}
        if self.preprocess_image is not None:
            resized = keras.utils.img_to_array(self.preprocess_image(resized), "channels_last")
        return resized, annotations

    def preprocess_group(self, image_group: Images, annotations_group: Rows) -> Group:
        return _each(self.preprocess_group_entry, image_group, annotations_group)

    def compute_inputs(self, image_group: Sequence[np.ndarray]) -> np.ndarray:
        """Return the images of a group in one batch (B, H, W, 3), padded with zeros."""
        raw = self.preprocess_image is None
        size = _largest(image_group)[::-1]
        return stack_images(image_group, size, "uint8" if raw else "float32", swap=raw)

    def generate_anchors(self, image_shape: Sequence[int]) -> np.ndarray:
        """Return the anchors (N, 4) of a batch of `image_shape` (H, W, ...)."""
        return self.anchoring.grid(image_shape).anchors

    def compute_targets(self, image_group: Images, annotations_group: Rows) -> Targets:
        """Return the targets of a group, dense or compact."""
        shape = _largest(image_group)
        if self.compact:
            sizes = [image.shape[1::-1] for image in image_group]
            most = self._most_boxes
            return compact_targets(sizes, annotations_group, shape, self.anchoring, most)
        anchors = self.generate_anchors(shape)
        groups = image_group, annotations_group
        return self.compute_anchor_targets(anchors, *groups, self.num_classes())

    @functools.cached_property
    def _most_boxes(self) -> int:
        """The largest number of boxes of an image, at least 1."""
        return max([1, *(len(self.load_annotations(i)["bboxes"]) for i in range(self.size()))])

    def compute_input_output(self, group: list[int]) -> tuple[np.ndarray, Targets]:
        """Return (inputs, targets) of a group of image indices."""
        images = self.load_image_group(group)
        annotations = self.load_annotations_group(group)
        images, annotations = self.filter_annotations(images, annotations, group)
        images, annotations = self.random_visual_effect_group(images, annotations)
        images, annotations = self.random_transform_group(images, annotations)
        images, annotations = self.preprocess_group(images, annotations)
        targets = self.compute_targets(images, annotations)
        targets = targets if isinstance(targets, dict) else tuple(targets)  # Keras accepts no lists
        return self.compute_inputs(images), targets

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> tuple[np.ndarray, Targets]:
        return self.compute_input_output(self.groups[index])

    def on_epoch_end(self) -> None:
        self.epoch += 1
        if self.shuffle_groups:
            self.groups = self._groups()

    def _groups(self) -> list[list[int]]:
        batching = Batching(self.batch_size, self.group_method, self.shuffle_groups)
        lists = [np.arange(self.size())]
        if self.group_method == "ratio":
            lists = by_ratio([self.image_aspect_ratio(index) for index in lists[0].tolist()])
        return batches_of(lists, batching, np.random.default_rng((self.seed, self.epoch)))


def _largest(image_group: Sequence[np.ndarray]) -> tuple[int, int]:
    height, width = np.max([image.shape[:2] for image in image_group], axis=0)
    return int(height), int(width)


def _each(change: Callable, image_group: Images, annotations_group: Rows) -> Group:
    pairs = [change(*pair) for pair in zip(image_group, annotations_group, strict=True)]
    return [image for image, _ in pairs], [annotations for _, annotations in pairs]
