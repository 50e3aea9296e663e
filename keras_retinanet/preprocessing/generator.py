"""Batches for `fit`: images with the anchors of each of them encoded."""

import inspect
import warnings

import keras
import numpy as np

from ..utils.anchors import anchor_targets_bbox, guess_shapes
from ..utils.config import parse_anchor_parameters, parse_pyramid_levels
from ..utils.image import TransformParameters, preprocess_image, resize_image
from .augmentation import transform_both
from .batches import Batches
from .images import AnnotatedImages

__all__ = ["Generator"]


class Generator(Batches, keras.utils.PyDataset):
    """Batches of a `Dataset`, or of a subclass's own images, as a Keras PyDataset.

    A subclass without a data set defines `size`, `num_classes`, `load_image`, `image_path` and
    `load_annotations`, and for other groupings than "none" and "random" `image_aspect_ratio`.

    Args:
        dataset: what a reader of `preprocessing.readers` returns.
        transform_generator: gives a 3x3 matrix for each image (`utils.transform`).
        visual_effect_generator: gives a function of BGR images for each image (`utils.image`).
        group_method: "none", "random", "ratio" (images of like aspect ratio share a batch) or
            "canvas" (batches are padded to one of a few fixed sizes).
        compute_anchor_targets: makes the dense targets, see `anchor_targets_bbox`.
        preprocess_image: applied to BGR images; None gives uint8 RGB, for models that normalise.
        config: INI configuration with anchor parameters and pyramid levels.
        compact: gives {boxes (B, M, 4), labels (B, M), matches (B, N)} instead of the dense
            (regression (B, N, 5), classification (B, N, K + 1)).
        anchor_params, pyramid_levels: as of the model; `config` overrides them.
        workers, use_multiprocessing, max_queue_size: of Keras's PyDataset.
        **options: further ones of `Batches`.

    Attributes:
        groups: the image indices of each batch of this epoch.
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
        anchor_params=None,
        pyramid_levels=None,
        workers=1,
        use_multiprocessing=False,
        max_queue_size=10,
        **options,
    ):
        keras.utils.PyDataset.__init__(self, workers, use_multiprocessing, max_queue_size)
        config = config or {}
        if "anchor_parameters" in config:
            anchor_params = parse_anchor_parameters(config)
        if "pyramid_levels" in config:
            pyramid_levels = parse_pyramid_levels(config)
        Batches.__init__(
            self,
            dataset,
            batch_size,
            group_method,
            shuffle_groups,
            image_min_side,
            image_max_side,
            no_resize,
            compute_shapes=compute_shapes,
            anchor_params=anchor_params,
            pyramid_levels=pyramid_levels,
            **options,
        )
        self.transform_generator = transform_generator
        self.visual_effect_generator = visual_effect_generator
        self.transform_parameters = transform_parameters or TransformParameters()
        self.compute_anchor_targets = compute_anchor_targets
        self.preprocess_image = preprocess_image
        self.raw = preprocess_image is None
        self.input_dtype = "uint8" if self.raw else "float32"
        self.compact = compact
        self.epoch = 0
        self.failure = None
        self.groups = self.groups_of(self.epoch)

    def without_keras(self):
        """The same batches as plain `Batches`, for worker processes; None for a generator with
        methods or functions of its own.
        """
        steps = {**vars(AnnotatedImages), **vars(Batches), **vars(Generator)}
        own = any(
            getattr(type(self), name) is not getattr(Generator, name)
            for name, step in steps.items()
            if inspect.isfunction(step) and name != "__init__"
        )
        used = self.transform_generator, self.visual_effect_generator, self.preprocess_image
        if own or any(used) or not self.compact:
            return None
        names = inspect.signature(Batches).parameters
        return Batches(**{name: getattr(self, name) for name in names})

    def prepare(self, image, annotations):
        """An image preprocessed, its annotations as they are."""
        if self.preprocess_image is not None:
            image = keras.utils.img_to_array(self.preprocess_image(image), "channels_last")
        return image, annotations

    def augment(self, image, annotations, rng, size):
        """An image and its annotations after the generators' and the random changes."""
        image, annotations = self.random_visual_effect_group_entry(image, annotations)
        image, annotations = self.random_transform_group_entry(image, annotations)
        return super().augment(image, annotations, rng, size)

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

    def compute_targets(self, image_group, annotations_group, shape=None):
        """The targets of a group whose batch has `shape` (H, W), by default that of the largest."""
        if shape is None:
            shape = tuple(np.max([image.shape[:2] for image in image_group], axis=0))
        if self.compact:
            return super().compute_targets(image_group, annotations_group, shape)
        return tuple(
            self.compute_anchor_targets(
                self.generate_anchors(shape), image_group, annotations_group, self.num_classes()
            )
        )

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
            image_group, annotations_group = self._augment_group(
                group, image_group, annotations_group
            )
        image_group, annotations_group = self.preprocess_group(image_group, annotations_group)
        inputs = self.compute_inputs(image_group)
        return inputs, _as_targets(self.compute_targets(image_group, annotations_group))

    def _augment_group(self, group, image_group, annotations_group):
        """A group after the random changes of `augmentation`, each image at its own size."""
        changed = []
        for row, (index, image, annotations) in enumerate(
            zip(group, image_group, annotations_group, strict=True)
        ):
            rng = np.random.default_rng((self.seed, self.epoch, index, row))
            changed.append(super().augment(image, annotations, rng, image.shape[1::-1]))
        return _unzipped(changed)

    # keras.utils.PyDataset

    def __len__(self):
        return len(self.groups)

    def __getitem__(self, index):
        if self.group_method == "canvas":
            inputs, targets = self.batch_of(self.groups[index], self.epoch, index)
        else:
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
