"""Compact batches of images with their boxes and matched anchors. Imports no Keras, so that worker
processes start at once and stay small.
"""

import warnings

import cv2
import numpy as np

from .. import assigners
from ..errors import InputError
from ..utils.anchors import grid, guess_shapes
from ..utils.image import choose
from ..utils.resizing import RESIZES, stretched
from .augmentation import AUGMENTATIONS, augment, complete
from .grouping import GROUPINGS, canvases_for, groups, smallest
from .images import AnnotatedImages

MOST_SHAPES = 8  # whose anchors are kept; canvases are fewer, groups by ratio have many
OTHERS_IN = {"mosaic": 3, "mixup": 1}  # how many images come into one


def canvas_of_few(batches, group):
    """One of the few canvases of the data set: a backend that compiles does so a few times."""
    return batches.canvas_of(group)


def canvas_of_own(batches, group):
    """The largest sides of the group's own pictures: a compiling backend compiles for each."""
    pictures = [batches.fit_of(index).picture for index in group]
    return tuple(map(max, zip(*pictures, strict=True)))


# the canvas (width, height) px of a group at inference
CANVASES = {"few": canvas_of_few, "own": canvas_of_own}


class Batches(AnnotatedImages):
    """Batches of a data set on a few fixed canvases, each a function of (seed, epoch, index).

    A batch is `(images (B, H, W, 3) uint8 RGB, {boxes (B, M, 4), labels (B, M), matches (B, N)})`;
    M is the same in all of them.

    Args:
        dataset: what a reader of `preprocessing.readers` returns.
        group_method: a key of `GROUPINGS`, which images share a batch.
        image_min_side, image_max_side: px that images are fitted to; `image_min_side` None or
            `no_resize` leaves them as they are.
        multi_scale: short sides in px of which each batch takes one, with the long side in
            proportion, instead of `image_min_side`.
        augmentation: a key of `AUGMENTATIONS`, or {operation: {"chance", "strength"}}.
        repeat_threshold: images with a class that is in a smaller share of the images than this are
            repeated (`grouping.repeat_factors`); 0 for none.
        anchor_params, pyramid_levels, compute_shapes: the anchors, as of the model.
        assigner: a key of `ASSIGNERS`, or {"name": key, **arguments}.
        resize: a key of `RESIZES`, how images are brought to these sides at inference; in training
            it gives their sizes.
        canvases: a key of `CANVASES`, what a batch is padded to at inference. With "own" a single
            image is not padded; there are as many shapes as images, and JAX compiles for each.
        seed: with epoch and index, the source of all chance.
        strict: raise at an image that is broken instead of leaving it out with a warning.

    Attributes:
        unreadable: {index: why} of images that turned out to be broken.
    """

    def __init__(
        self,
        dataset=None,
        batch_size=1,
        group_method="canvas",
        shuffle_groups=True,
        image_min_side=800,
        image_max_side=1333,
        no_resize=False,
        multi_scale=(),
        augmentation="none",
        repeat_threshold=0,
        anchor_params=None,
        pyramid_levels=None,
        compute_shapes=guess_shapes,
        assigner="iou",
        seed=0,
        strict=False,
        resize="opencv",
        canvases="few",
    ):
        super().__init__(dataset)
        self.batch_size = int(batch_size)
        choose(GROUPINGS, "group_method", group_method)
        self.group_method = group_method
        self.shuffle_groups = shuffle_groups
        self.image_min_side = image_min_side
        self.image_max_side = image_max_side
        self.no_resize = no_resize or image_min_side is None
        self.multi_scale = tuple(multi_scale)
        if isinstance(augmentation, str):
            augmentation = choose(AUGMENTATIONS, "augmentation", augmentation)
        self.augmentation = complete(augmentation)
        self.repeat_threshold = repeat_threshold
        self.anchor_params = anchor_params
        self.pyramid_levels = pyramid_levels
        self.compute_shapes = compute_shapes
        self.assigner = assigner
        self.assign = assigners.get(assigner)
        self.seed = seed
        self.strict = strict
        self.resize = resize
        self.rule = choose(RESIZES, "resize", resize)
        self.canvases = canvases
        self.inference_canvas = choose(CANVASES, "canvases", canvases)
        self.unreadable = {}
        self.input_dtype = "uint8"
        self.raw = True  # images come to the batch as BGR 0..255
        self._anchors = {}
        self._canvas_sizes = {}
        self._most_boxes = None
        self._groups = {}

    def __len__(self):
        return len(self.groups_of(0))

    # which images make a batch, and its size

    def batch_at(self, step):
        """The batch of a step counted from the start of the training, over all epochs."""
        epoch, index = divmod(step, len(self))
        return self.batch_of(self.groups_of(epoch)[index], epoch, index)

    def groups_of(self, epoch):
        """The groups of an epoch, lists of image indices; those of two epochs are kept."""
        found = self._groups.get(epoch)
        if found is None:
            found = groups(self, epoch if self.shuffle_groups else 0)
            kept = dict(list(self._groups.items())[-1:])
            self._groups = {**kept, epoch: found}
        return found

    def side_of(self, epoch, index):
        """The short side in px of the images of a batch, None for `image_min_side`."""
        if not self.multi_scale:
            return None
        return int(np.random.default_rng((self.seed, epoch, index, 1)).choice(self.multi_scale))

    def fit_of(self, image_index, side=None):
        """The `Fit` of an image, how it lies in what the model sees."""
        size = self.image_size(image_index)
        if self.no_resize:
            return stretched(size, size)
        side = side or self.image_min_side
        max_side = round(self.image_max_side * side / self.image_min_side)
        return self.rule.fit(size, side, max_side)

    def resized_size(self, image_index, side=None):
        """(width, height) px of an image as the model sees it."""
        return self.fit_of(image_index, side).size

    def canvas(self, image_index, side=None):
        """The canvas (width, height) px that an image is padded to."""
        return smallest(self.canvas_sizes(side), self.fit_of(image_index, side).picture)

    def canvas_of(self, group, side=None):
        """The canvas (width, height) px that holds the images of a group."""
        return tuple(np.max([self.canvas(index, side) for index in group], axis=0))

    def canvas_sizes(self, side=None):
        """The canvases (width, height) px of all images, in ascending order of area."""
        if side not in self._canvas_sizes:
            pictures = [self.fit_of(i, side).picture for i in range(self.size())]
            self._canvas_sizes[side] = canvases_for(pictures)
        return self._canvas_sizes[side]

    def most_boxes(self):
        """The largest number of boxes that an image can come to have, at least 1."""
        if self._most_boxes is None:
            counts = [len(self.load_annotations(i)["bboxes"]) for i in range(self.size())]
            mixed = [
                others
                for name, others in OTHERS_IN.items()
                if name in self.augmentation and self.augmentation[name]["chance"] > 0
            ]
            self._most_boxes = max([1, *counts]) * (1 + sum(mixed))
        return self._most_boxes

    # from image files to a batch

    def batch_of(self, group, epoch, index=0):
        """The batch of the images of a group in an epoch."""
        side = self.side_of(epoch, index)
        seeds = [(self.seed, epoch, image, row) for row, image in enumerate(group)]
        samples = [self.sample(*pair, side) for pair in zip(group, seeds, strict=True)]
        images, annotations = [list(parts) for parts in zip(*samples, strict=True)]
        canvas = self.canvas_of(group, side)
        targets = self.compute_targets(images, annotations, canvas[::-1])
        return self.compute_inputs(images, canvas), targets

    def inputs_of(self, group):
        """The inputs (B, H, W, 3) of a group as at inference: nothing random, no targets."""
        samples = [self.sample(index) for index in group]
        dtype = self.input_dtype if self.rule.dtype == "uint8" else self.rule.dtype
        images = [image for image, _ in samples]
        return self.compute_inputs(images, self.inference_canvas(self, group), dtype)

    def sample(self, index, seed=None, side=None):
        """An image (H, W, 3) as the model sees it, and its annotations; augmented with a `seed`,
        without one as at inference.

        A broken image becomes one without pixels: its canvas stays black, and all of its anchors
        are ignored.
        """
        try:
            image, annotations = self.load(index)
        except InputError as error:
            self.leave_out(index, error)
            return np.zeros((0, 0, 3), "uint8"), self.load_annotations(index)
        fit = self.fit_of(index, side)
        if seed is None:
            return self.prepare(*fitted(image, annotations, self.rule, fit))
        rng = np.random.default_rng(seed)
        return self.prepare(*self.augment(image, annotations, rng, fit.size))

    def load(self, index):
        """An image (H, W, 3) uint8 BGR and its annotations, from the file."""
        return self.load_image(index), self.load_annotations(index)

    def prepare(self, image, annotations):
        """What is done to an image at last."""
        return image, annotations

    def augment(self, image, annotations, rng, size):
        """An image and its annotations after random changes, at `size` (width, height) px."""

        drawn = np.random.default_rng(rng.integers(2**63))  # apart from what the operations draw

        def other():
            index = int(drawn.integers(self.size()))
            try:
                return self.load(index)
            except InputError as error:
                self.leave_out(index, error)
                return image, annotations

        return augment(image, annotations, rng, size, other, **self.augmentation)

    def leave_out(self, index, error):
        """Notes that an image is broken: once a warning, under `strict` an InputError."""
        if self.strict:
            raise error
        known = index in self.unreadable
        self.unreadable[index] = str(error)
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
                stacklevel=3,
            )

    def compute_inputs(self, image_group, canvas=None, dtype=None):
        """The images of a group in one batch (B, H, W, 3), zeros at the right and bottom.

        Images of BGR 0..255 become RGB, others stay as `prepare` gives them. `canvas` is (width,
        height) px, by default just large enough.
        """
        height, width = np.max([image.shape[:2] for image in image_group], axis=0)
        width, height = canvas or (width, height)
        batch = np.zeros((len(image_group), height, width, 3), dtype or self.input_dtype)
        for row, image in zip(batch, image_group, strict=True):
            place = row[: image.shape[0], : image.shape[1]]
            if not self.raw or image.dtype != batch.dtype:
                place[...] = image
            elif image.size:
                cv2.cvtColor(image, cv2.COLOR_BGR2RGB, place)
        return batch

    def compute_targets(self, image_group, annotations_group, shape):
        """The compact targets of a group whose batch has `shape` (H, W)."""
        places = self.anchor_grid(shape)
        count = len(image_group)
        boxes = np.zeros((count, self.most_boxes(), 4), "float32")  # (B, M, 4)
        labels = np.zeros((count, self.most_boxes()), "int32")  # (B, M)
        matches = np.empty((count, len(places.anchors)), "int32")  # (B, N)
        for row, annotations in enumerate(annotations_group):
            found = len(annotations["bboxes"])
            boxes[row, :found] = annotations["bboxes"]
            labels[row, :found] = annotations["labels"]
            size = image_group[row].shape[1::-1]
            ignore = annotations.get("ignore")
            matches[row] = assigners.match(self.assign, places, annotations["bboxes"], ignore, size)
        return {"boxes": boxes, "labels": labels, "matches": matches}

    def anchor_grid(self, image_shape):
        """The `Grid` of a batch of `image_shape` (H, W, ...), kept for the next time."""
        shape = tuple(image_shape[:2])
        found = self._anchors.get(shape)
        if found is None:
            found = grid(image_shape, self.pyramid_levels, self.anchor_params, self.compute_shapes)
            kept = list(self._anchors.items())[1 - MOST_SHAPES :]
            self._anchors = {**dict(kept), shape: found}
        return found

    def generate_anchors(self, image_shape):
        """The anchors (N, 4) of a batch of `image_shape` (H, W, ...)."""
        return self.anchor_grid(image_shape).anchors


def fitted(image, annotations, rule, fit):
    """The picture of an image (H, W, 3) by a rule of `RESIZES`, and its annotations with it."""
    boxes = annotations["bboxes"] * np.tile(np.float32(fit.scale), 2)
    boxes = boxes + np.tile(np.float32(fit.offset), 2)
    return rule.resample(image, fit), {**annotations, "bboxes": boxes}
