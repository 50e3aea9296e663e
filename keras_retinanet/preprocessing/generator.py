"""Batches for training: images with the anchors of each of them encoded."""

import warnings

import keras
import numpy as np

from .. import assigners
from ..assigners.iou import IGNORE
from ..errors import InputError
from ..utils.anchors import (
    anchor_targets_bbox,
    anchors_for_shape,
    anchors_per_level,
    guess_shapes,
    inside,
)
from ..utils.config import parse_anchor_parameters, parse_pyramid_levels
from ..utils.image import (
    TransformParameters,
    choose,
    preprocess_image,
    resize_image,
    resized_size,
)
from .augmentation import AUGMENTATIONS, augment, transform_both
from .grouping import GROUPINGS, canvases_for, groups, smallest
from .images import AnnotatedImages

__all__ = ["Generator"]

MOST_SHAPES = 8  # whose anchors are kept; canvases are fewer, groups by ratio have many


class Generator(AnnotatedImages, keras.utils.PyDataset):
    """Batches of a `Dataset`, or of a subclass's own images.

    A subclass without a data set defines `size`, `num_classes`, `load_image`, `image_path` and
    `load_annotations`, and for other groupings than "none" and "random" `image_aspect_ratio`.

    Args:
        dataset: what a reader of `preprocessing.readers` returns.
        transform_generator: gives a 3x3 matrix for each image (`utils.transform`).
        visual_effect_generator: gives a function of BGR images for each image (`utils.image`).
        group_method: "none", "random", "ratio" (images of like aspect ratio share a batch) or
            "canvas" (batches are padded to one of a few fixed sizes).
        no_resize: leaves images as they are instead of fitting them to `image_min_side` and
            `image_max_side` px; so does `image_min_side=None`.
        compute_anchor_targets, compute_shapes: make the dense targets, see `anchor_targets_bbox`.
        preprocess_image: applied to BGR images; None gives uint8 RGB, for models that normalise.
        config: INI configuration with anchor parameters and pyramid levels.
        compact: gives {boxes (B, M, 4), labels (B, M), matches (B, N)} instead of the dense
            (regression (B, N, 5), classification (B, N, K + 1)); M is the same in every batch.
        augmentation: a key of `AUGMENTATIONS` or a dict of arguments of `augment`.
        anchor_params, pyramid_levels: as of the model; `config` overrides them.
        assigner: a key of `ASSIGNERS`, or {"name": key, **arguments}.
        seed: with epoch and index, the source of all chance.
        strict: raise at an image that is broken instead of leaving it out with a warning.

    Attributes:
        groups: the image indices of each batch of this epoch.
        unreadable: the indices of images that turned out to be broken.
        failure: the InputError that ended a feed (`feed`), for TensorFlow hands on its text alone.
    """

    def __init__(
        self,
        dataset=None,
        transform_generator=None,
        visual_effect_generator=None,
        batch_size=1,
        group_method="ratio",
        shuffle_groups=True,
        image_min_side=800,
        image_max_side=1333,
        no_resize=False,
        transform_parameters=None,
        compute_anchor_targets=anchor_targets_bbox,
        compute_shapes=guess_shapes,
        preprocess_image=preprocess_image,
        config=None,
        compact=False,
        augmentation="none",
        anchor_params=None,
        pyramid_levels=None,
        assigner="iou",
        seed=0,
        strict=False,
        **kwargs,
    ):
        keras.utils.PyDataset.__init__(self, **kwargs)
        AnnotatedImages.__init__(self, dataset)
        self.transform_generator = transform_generator
        self.visual_effect_generator = visual_effect_generator
        self.batch_size = int(batch_size)
        choose(GROUPINGS, "group_method", group_method)
        self.group_method = group_method
        self.shuffle_groups = shuffle_groups
        self.image_min_side = image_min_side
        self.image_max_side = image_max_side
        self.no_resize = no_resize or image_min_side is None
        self.transform_parameters = transform_parameters or TransformParameters()
        self.compute_anchor_targets = compute_anchor_targets
        self.compute_shapes = compute_shapes
        self.preprocess_image = preprocess_image
        self.compact = compact
        if isinstance(augmentation, str):
            augmentation = choose(AUGMENTATIONS, "augmentation", augmentation)
        self.augmentation = dict(augmentation)
        config = config or {}
        if "anchor_parameters" in config:
            anchor_params = parse_anchor_parameters(config)
        if "pyramid_levels" in config:
            pyramid_levels = parse_pyramid_levels(config)
        self.anchor_params = anchor_params
        self.pyramid_levels = pyramid_levels
        self.assign = assigners.get(assigner)
        self.seed = seed
        self.strict = strict
        self.epoch = 0
        self._anchors = {}
        self._canvases = None
        self._most_boxes = None
        self.unreadable = set()
        self.failure = None
        self._groups = {}
        self.groups = self.groups_of(self.epoch)

    # from a group of indices to a batch

    def load_annotations_group(self, group):
        """The annotations of each image of a group."""
        annotations_group = [self.load_annotations(index) for index in group]
        for annotations in annotations_group:
            missing = {"labels", "bboxes"} - set(annotations)
            if missing:
                raise ValueError(
                    f"Expected load_annotations to give labels and bboxes. Missing: {missing}."
                )
        return annotations_group

    def filter_annotations(self, image_group, annotations_group, group):
        """Drops boxes without area or beyond their image, with a warning."""
        for i, (image, annotations) in enumerate(zip(image_group, annotations_group, strict=True)):
            height, width = image.shape[:2]
            x1, y1, x2, y2 = annotations["bboxes"].T
            good = (x2 > x1) & (y2 > y1) & (x1 >= 0) & (y1 >= 0) & (x2 <= width) & (y2 <= height)
            if not good.all():
                warnings.warn(
                    f"Dropped boxes without area or beyond the image {self.image_path(group[i])} "
                    f"of shape {image.shape}: {annotations['bboxes'][~good].tolist()}",
                    UserWarning,
                    stacklevel=2,
                )
                annotations_group[i] = {key: rows[good] for key, rows in annotations.items()}
        return image_group, annotations_group

    def load_image_group(self, group):
        """The images of a group."""
        return [self.load_image(index) for index in group]

    def random_visual_effect_group_entry(self, image, annotations):
        """An image after the next visual effect, and its annotations."""
        if self.visual_effect_generator is not None:
            image = next(self.visual_effect_generator)(image)
        return image, annotations

    def random_visual_effect_group(self, image_group, annotations_group):
        """A group after visual effects."""
        return _each(self.random_visual_effect_group_entry, image_group, annotations_group)

    def random_transform_group_entry(self, image, annotations, transform=None):
        """An image and its annotations after `transform` or the next one of the generator."""
        if transform is None and self.transform_generator is not None:
            transform = next(self.transform_generator)
        if transform is None:
            return image, annotations
        return transform_both(image, annotations, transform, self.transform_parameters)

    def random_transform_group(self, image_group, annotations_group):
        """A group after random transforms."""
        return _each(self.random_transform_group_entry, image_group, annotations_group)

    def resize_image(self, image):
        """(image fitted to the sides, scale)."""
        if self.no_resize:
            return image, 1
        return resize_image(image, self.image_min_side, self.image_max_side)

    def preprocess_group_entry(self, image, annotations):
        """An image resized and preprocessed, with its boxes scaled alike."""
        height, width = image.shape[:2]
        resized, _ = self.resize_image(image)
        scales = np.array([resized.shape[1] / width, resized.shape[0] / height] * 2, "float32")
        annotations = {**annotations, "bboxes": annotations["bboxes"] * scales}
        if self.preprocess_image is not None:
            resized = keras.utils.img_to_array(self.preprocess_image(resized), "channels_last")
        return resized, annotations

    def preprocess_group(self, image_group, annotations_group):
        """A group resized and preprocessed."""
        return _each(self.preprocess_group_entry, image_group, annotations_group)

    def compute_inputs(self, image_group, canvas=None):
        """The images of a group in one batch (B, H, W, 3), zeros at the right and bottom.

        uint8 RGB without `preprocess_image`, else float32 as that gives it.
        """
        height, width = np.max([image.shape[:2] for image in image_group], axis=0)
        width, height = canvas or (width, height)
        raw = self.preprocess_image is None
        batch = np.zeros((len(image_group), height, width, 3), "uint8" if raw else "float32")
        for row, image in zip(batch, image_group, strict=True):
            row[: image.shape[0], : image.shape[1]] = image[..., ::-1] if raw else image
        return batch

    def generate_anchors(self, image_shape):
        """The anchors (N, 4) of a batch of `image_shape` (H, W, ...), kept for the next time."""
        shape = tuple(image_shape[:2])
        anchors = self._anchors.get(shape)
        if anchors is None:
            anchors = anchors_for_shape(
                image_shape, self.pyramid_levels, self.anchor_params, self.compute_shapes
            )
            kept = list(self._anchors.items())[1 - MOST_SHAPES :]
            self._anchors = {**dict(kept), shape: anchors}
        return anchors

    def compute_targets(self, image_group, annotations_group, shape=None):
        """The targets of a group whose batch has `shape` (H, W), by default that of the largest."""
        if shape is None:
            shape = tuple(np.max([image.shape[:2] for image in image_group], axis=0))
        if self.compact:
            return self._compact_targets(shape, image_group, annotations_group)
        return self.compute_anchor_targets(
            self.generate_anchors(shape), image_group, annotations_group, self.num_classes()
        )

    def _compact_targets(self, shape, image_group, annotations_group):
        anchors = self.generate_anchors(shape)  # (N, 4)
        levels = anchors_per_level(
            shape, self.pyramid_levels, self.anchor_params, self.compute_shapes
        )
        count = len(image_group)
        boxes = np.zeros((count, self.most_boxes(), 4), "float32")  # (B, M, 4)
        labels = np.zeros((count, self.most_boxes()), "int32")  # (B, M)
        matches = np.full((count, len(anchors)), IGNORE, "int32")  # (B, N)
        for row, annotations in enumerate(annotations_group):
            found = len(annotations["bboxes"])
            boxes[row, :found] = annotations["bboxes"]
            labels[row, :found] = annotations["labels"]
            height, width = image_group[row].shape[:2]
            within = inside(anchors, width, height)
            ignore = annotations.get("ignore")
            assigned = self.assign(anchors, annotations["bboxes"], ignore, levels)
            matches[row] = np.where(within, assigned, IGNORE)
        return {"boxes": boxes, "labels": labels, "matches": matches}

    def compute_input_output(self, group):
        """(inputs, targets) of a group of image indices."""
        image_group = self.load_image_group(group)
        annotations_group = self.load_annotations_group(group)
        image_group, annotations_group = self.filter_annotations(
            image_group, annotations_group, group
        )
        image_group, annotations_group = self.random_visual_effect_group(
            image_group, annotations_group
        )
        image_group, annotations_group = self.random_transform_group(image_group, annotations_group)
        if self.augmentation:
            seeds = self._seeds(group, self.epoch)
            pairs = zip(image_group, annotations_group, seeds, strict=True)
            image_group, annotations_group = _unzipped([self._augment(*pair) for pair in pairs])
        image_group, annotations_group = self.preprocess_group(image_group, annotations_group)
        inputs = self.compute_inputs(image_group)
        return inputs, _as_targets(self.compute_targets(image_group, annotations_group))

    # batches on fixed canvases, each a function of (seed, epoch, index)

    def canvas(self, image_index):
        """The canvas (width, height) px that an image is padded to."""
        if self._canvases is None:
            self._canvases = canvases_for([self.resized_size(i) for i in range(self.size())])
        return smallest(self._canvases, self.resized_size(image_index))

    def resized_size(self, image_index):
        """(width, height) px of an image as the model sees it."""
        size = self.image_size(image_index)
        return (
            size if self.no_resize else resized_size(size, self.image_min_side, self.image_max_side)
        )

    def most_boxes(self):
        """The largest number of boxes in an image, at least 1."""
        if self._most_boxes is None:
            counts = [len(self.load_annotations(i)["bboxes"]) for i in range(self.size())]
            self._most_boxes = max([1, *counts])
        return self._most_boxes

    def batch_at(self, step):
        """The batch of a step counted from the start of the training, over all epochs."""
        epoch, index = divmod(step, len(self))
        return self._batch(self.groups_of(epoch)[index], epoch)

    def groups_of(self, epoch):
        """The groups of an epoch; those of two epochs are kept."""
        found = self._groups.get(epoch)
        if found is None:
            found = groups(self, epoch if self.shuffle_groups else 0)
            kept = dict(list(self._groups.items())[-1:])
            self._groups = {**kept, epoch: found}
        return found

    def inputs_of(self, group):
        """The inputs (B, H, W, 3) of a group as at inference: nothing random, no targets."""
        samples = [self._sample(index, None) for index in group]
        return self.compute_inputs([image for image, _ in samples], self._canvas_of(group))

    def _canvas_of(self, group):
        return tuple(np.max([self.canvas(index) for index in group], axis=0))

    def _batch(self, group, epoch):
        seeds = self._seeds(group, epoch)
        samples = [self._sample(index, seed) for index, seed in zip(group, seeds, strict=True)]
        images, annotations = _unzipped(samples)
        canvas = self._canvas_of(group)
        targets = self.compute_targets(images, annotations, canvas[::-1])
        return self.compute_inputs(images, canvas), _as_targets(targets)

    def _seeds(self, group, epoch):
        return [(self.seed, epoch, index, row) for row, index in enumerate(group)]

    def _sample(self, index, seed):
        annotations = self.load_annotations(index)
        try:
            image = self.load_image(index)
        except InputError as error:
            return self._blank(index, annotations, error)
        if seed is not None:
            image, annotations = self.random_visual_effect_group_entry(image, annotations)
            image, annotations = self.random_transform_group_entry(image, annotations)
            image, annotations = self._augment(image, annotations, seed)
        return self.preprocess_group_entry(image, annotations)

    def _augment(self, image, annotations, seed):
        return augment(image, annotations, np.random.default_rng(seed), **self.augmentation)

    def _blank(self, index, annotations, error):
        """An image without pixels, which leaves its canvas black and all its anchors ignored."""
        if self.strict:
            raise error
        known = index in self.unreadable
        self.unreadable.add(index)
        if len(self.unreadable) == self.size():
            raise InputError(
                f"Expected images. Received: {self.size()} images, all of them broken; "
                f"the last: {error}"
            )
        if not known:
            warnings.warn(
                f"Left out {len(self.unreadable)} of {self.size()} images that are broken; "
                f"the last: {error}.",
                UserWarning,
                stacklevel=2,
            )
        return np.zeros((0, 0, 3), "uint8"), annotations

    # keras.utils.PyDataset

    def __len__(self):
        return len(self.groups)

    def __getitem__(self, index):
        if self.group_method == "canvas":
            return self._batch(self.groups[index], self.epoch)
        inputs, targets = self.compute_input_output(self.groups[index])
        return inputs, _as_targets(targets)

    def on_epoch_end(self):
        """Shuffles the groups for the next epoch, if the generator shuffles."""
        self.epoch += 1
        self.groups = self.groups_of(self.epoch)


def _each(change, image_group, annotations_group):
    return _unzipped([change(*pair) for pair in zip(image_group, annotations_group, strict=True)])


def _unzipped(pairs):
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _as_targets(targets):
    """A dict as it is, anything else as a tuple: TensorFlow does not take lists."""
    return targets if isinstance(targets, dict) else tuple(targets)
