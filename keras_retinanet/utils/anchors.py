"""Anchors of an image and their targets.

Anchors are ordered by level, row, column, ratio, scale; centres lie at (i + offset) · stride.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import boxes as box_math
from .. import coders
from ..assigners.iou import BACKGROUND, IGNORE, assign

PYRAMID_LEVELS = (3, 4, 5, 6, 7)


@dataclass(eq=False)
class AnchorParameters:
    """What anchors stand on each pyramid level.

    `sizes` (px, one a level, the side of the square of scale 1), `strides` (px, one a level),
    `ratios` (height / width) and `scales` (factors of the size): ratios x scales anchors a place.

    The rest are the dialects of other detectors. `offset` is where in its cell of a stride an
    anchor is centred. `rounded` cuts size x scale to whole px and rounds the corners about the
    centre to whole px. With `fitted_strides` the stride of a level is that at which its features
    fill the image, image side // feature side, for each axis.
    """

    sizes: Sequence[float] = (32, 64, 128, 256, 512)
    strides: Sequence[int] = (8, 16, 32, 64, 128)
    ratios: Sequence[float] = (0.5, 1, 2)
    scales: Sequence[float] = (2**0, 2 ** (1 / 3), 2 ** (2 / 3))
    offset: float = 0.5
    rounded: bool = False
    fitted_strides: bool = False

    def __post_init__(self):
        self.sizes = [float(size) for size in self.sizes]
        self.strides = [int(stride) for stride in self.strides]
        self.ratios = np.asarray(self.ratios, "float32")
        self.scales = np.asarray(self.scales, "float32")
        if len(self.sizes) != len(self.strides):
            raise ValueError(
                "Expected as many anchor sizes as strides. "
                f"Received: sizes={self.sizes}, strides={self.strides}."
            )

    def num_anchors(self):
        """Anchors at each place."""
        return len(self.ratios) * len(self.scales)

    def of_levels(self, pyramid_levels):
        """(size, stride) of each level, or a ValueError where they are not as many."""
        if len(self.sizes) != len(pyramid_levels):
            raise ValueError(
                "Expected an anchor size and stride for each of the pyramid levels "
                f"{list(pyramid_levels)}. Received: sizes={self.sizes}, strides={self.strides}."
            )
        return list(zip(self.sizes, self.strides, strict=True))

    def rows(self):
        """{sizes, strides, ratios, scales} as plain lists: what a configuration file says."""
        return {
            "sizes": self.sizes,
            "strides": self.strides,
            "ratios": self.ratios.tolist(),
            "scales": self.scales.tolist(),
        }

    def get_config(self):
        """The parameters as plain values."""
        return {
            **self.rows(),
            "offset": self.offset,
            "rounded": self.rounded,
            "fitted_strides": self.fitted_strides,
        }

    def anchors_of(self, size):
        """The anchors of one place on the level of that size: (A, 4), see `generate_anchors`."""
        return generate_anchors(size, self.ratios, self.scales, self.rounded)

    def strides_of(self, stride, shape, image_shape):
        """The strides (in y, in x) px of a level of `shape` in an image of `image_shape`."""
        if not self.fitted_strides:
            return stride, stride
        return image_shape[0] // shape[0], image_shape[1] // shape[1]


AnchorParameters.default = AnchorParameters()


def square_anchors(pyramid_levels, side):
    """The parameters of one square anchor at each place, `side` strides wide."""
    strides = [2**level for level in pyramid_levels]
    return AnchorParameters([side * stride for stride in strides], strides, [1.0], [1.0])


def generate_anchors(base_size=16, ratios=None, scales=None, rounded=False):
    """The anchors of one place, centred at the origin: (R·S, 4), xyxy px.

    Width is size · scale / √ratio and height size · scale · √ratio, so the area keeps to the scale;
    `rounded` as of `AnchorParameters`.
    """
    ratios = np.asarray(AnchorParameters.default.ratios if ratios is None else ratios, "float32")
    scales = np.asarray(AnchorParameters.default.scales if scales is None else scales, "float32")
    side = base_size * scales[None, :]  # (1, S)
    side = np.floor(side) if rounded else side
    root = np.sqrt(ratios)[:, None]  # (R, 1)
    half = np.stack([side / root, side * root], axis=-1).reshape(-1, 2) / 2  # (R·S, 2)
    half = np.round(half) if rounded else half
    return np.concatenate([-half, half], axis=1).astype("float32")


def shift(shape, stride, anchors, xp=np, offset=0.5):
    """Anchors (A, 4) at every place of a feature map of `shape` (rows, columns): (R·C·A, 4).

    `stride` is in px, one for both axes or (in y, in x).
    """
    stride_y, stride_x = stride if isinstance(stride, (tuple, list)) else (stride, stride)
    x = (xp.arange(shape[1], dtype="float32") + offset) * xp.array(stride_x, "float32")  # (C,)
    y = (xp.arange(shape[0], dtype="float32") + offset) * xp.array(stride_y, "float32")  # (R,)
    x, y = xp.meshgrid(x, y)  # (R, C) each
    places = xp.reshape(xp.stack([x, y, x, y], axis=-1), (-1, 1, 4))  # (R·C, 1, 4)
    return xp.reshape(places + xp.array(anchors), (-1, 4))


def guess_shapes(image_shape, pyramid_levels):
    """Feature shapes of an image (H, W, ...) on each level: halved and rounded up, level times."""
    return [[-(-side // 2**level) for side in image_shape[:2]] for level in pyramid_levels]


def layer_shapes(image_shape, model):
    """{layer name: output shape} of `model` for an image of `image_shape` (H, W, ...)."""
    import keras

    outputs = {
        layer.name: layer.output for layer in model.layers if not isinstance(layer, keras.Model)
    }  # the heads, models themselves, have an output for each level
    probe = keras.Model(model.inputs, outputs)
    channels = model.inputs[0].shape[-1]
    shapes = probe.compute_output_shape((None, *image_shape[:2], channels))
    return {name: tuple(shape) for name, shape in shapes.items()}


def make_shapes_callback(model):
    """A `shapes_callback` for `anchors_for_shape` that asks `model` what its levels P<n> give."""

    def shapes_callback(image_shape, pyramid_levels):
        shapes = layer_shapes(image_shape, model)
        return [shapes[f"P{level}"][1:3] for level in pyramid_levels]

    return shapes_callback


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the anchors of an image stand: L levels, at each of their places the same A anchors.

    `shapes` (L, 2) are rows and columns, `strides` (L, 2) px in x and in y, `base` (L, A, 4) the
    anchors of a place, xyxy px from its centre, which lies at (i + offset) · stride.
    """

    shapes: np.ndarray
    strides: np.ndarray
    base: np.ndarray
    offset: float = 0.5

    @functools.cached_property
    def sizes(self):
        """Width and height of the anchors of a place: (L, A, 2) px."""
        return self.base[..., 2:] - self.base[..., :2]

    @functools.cached_property
    def anchors(self):
        """All anchors: (N, 4) float32, xyxy px."""
        strides = self.strides[:, ::-1].tolist()  # as of shapes: y, x
        levels = zip(self.shapes.tolist(), strides, self.base, strict=True)
        return np.concatenate([shift(*level, offset=self.offset) for level in levels], axis=0)

    def counts(self):
        """How many anchors stand on each level: a list of int."""
        return [rows * columns * self.base.shape[1] for rows, columns in self.shapes.tolist()]

    def views(self, values):
        """Values (N,) of the anchors as one view (rows, columns, A) for each level."""
        parts = np.split(values, np.cumsum(self.counts())[:-1])
        return [
            part.reshape(*shape, self.base.shape[1])
            for part, shape in zip(parts, self.shapes.tolist(), strict=True)
        ]


def grid(image_shape, pyramid_levels=None, anchor_params=None, shapes_callback=None):
    """The `Grid` of an image of `image_shape` (H, W, ...).

    `shapes_callback(image_shape, pyramid_levels)` gives the feature shapes where a backbone does
    not simply round up (see `make_shapes_callback`).
    """
    levels = PYRAMID_LEVELS if pyramid_levels is None else pyramid_levels
    params = anchor_params or AnchorParameters.default
    shapes = (shapes_callback or guess_shapes)(image_shape, levels)
    sizes, strides = zip(*params.of_levels(levels), strict=True)
    strides = [
        params.strides_of(stride, shape, image_shape)[::-1]
        for stride, shape in zip(strides, shapes, strict=True)
    ]
    base = [params.anchors_of(size) for size in sizes]
    return Grid(np.array(shapes, int), np.array(strides), np.stack(base), params.offset)


def anchors_for_shape(
    image_shape, pyramid_levels=None, anchor_params=None, shapes_callback=None, xp=np
):
    """All anchors of an image of `image_shape` (H, W, ...): (N, 4) float32, xyxy px; see `grid`.

    With `xp=keras.ops` the sides of the image may be tensors.
    """
    levels = PYRAMID_LEVELS if pyramid_levels is None else pyramid_levels
    params = anchor_params or AnchorParameters.default
    shapes = (shapes_callback or guess_shapes)(image_shape, levels)
    found = []
    for shape, (size, stride) in zip(shapes, params.of_levels(levels), strict=True):
        strides = params.strides_of(stride, shape, image_shape)
        found.append(shift(shape, strides, params.anchors_of(size), xp, params.offset))
    return xp.concatenate(found, axis=0)


def anchors_per_level(image_shape, pyramid_levels=None, anchor_params=None, shapes_callback=None):
    """How many of `anchors_for_shape`'s anchors stand on each level: a list of int."""
    return grid(image_shape, pyramid_levels, anchor_params, shapes_callback).counts()


def compute_gt_annotations(anchors, annotations, negative_overlap=0.4, positive_overlap=0.5):
    """Matches anchors (N, 4) with annotations (M, 4+): (positive (N,), ignore (N,), argmax (N,)).

    `positive` and `ignore` are bool; `argmax` is the row of the annotation of highest IoU.
    """
    overlaps = box_math.iou(anchors[:, None], np.asarray(annotations)[None, :, :4])  # (N, M)
    best = overlaps.max(axis=1)  # (N,)
    positive = best >= positive_overlap
    return positive, (best > negative_overlap) & ~positive, overlaps.argmax(axis=1)


def inside(anchors, width, height):
    """Which anchors (N, 4) have their centre within an image of width x height px: (N,) bool."""
    x = (anchors[:, 0] + anchors[:, 2]) / 2
    y = (anchors[:, 1] + anchors[:, 3]) / 2
    return (x < width) & (y < height) & (x >= 0) & (y >= 0)


def bbox_transform(anchors, gt_boxes, mean=None, std=None):
    """Corner targets (N, 4) of gt_boxes (N, 4) relative to anchors (N, 4); std defaults to 0.2."""
    arguments = {"mean": mean, "std": std}
    for name, value in arguments.items():
        if value is not None and not isinstance(value, (list, tuple, np.ndarray)):
            raise ValueError(
                f"Expected {name} to be a list, tuple or array. Received: {type(value)}."
            )
    coder = coders.corners(**{k: v for k, v in arguments.items() if v is not None})
    return coder.encode(np.asarray(anchors), np.asarray(gt_boxes))


def anchor_targets_bbox(
    anchors,
    image_group,
    annotations_group,
    num_classes,
    negative_overlap=0.4,
    positive_overlap=0.5,
    coder="corners",
):
    """Dense targets of a batch: (regression (B, N, 5), labels (B, N, K + 1)), float32.

    The last column of each is the state: -1 ignore, 0 background, 1 object. `annotations_group`
    holds dicts of `bboxes` (M, 4) px, `labels` (M,) and, if some boxes are to be left out of the
    training, `ignore` (M,) bool. Anchors centred outside their image (in the padding) are ignored.
    """
    if len(image_group) != len(annotations_group):
        raise ValueError(
            "Expected as many images as annotations. "
            f"Received: {len(image_group)} images, {len(annotations_group)} annotations."
        )
    if not len(annotations_group):
        raise ValueError("Expected at least one image. Received: an empty group.")
    coder = coders.get(coder)
    regression = np.zeros((len(image_group), len(anchors), 5), "float32")
    labels = np.zeros((len(image_group), len(anchors), num_classes + 1), "float32")
    for row, (image, annotations) in enumerate(zip(image_group, annotations_group, strict=True)):
        missing = {"bboxes", "labels"} - set(annotations)
        if missing:
            raise ValueError(f"Expected annotations with bboxes and labels. Missing: {missing}.")
        boxes = np.asarray(annotations["bboxes"], "float32").reshape(-1, 4)
        matches = assign(
            anchors,
            boxes,
            annotations.get("ignore"),
            positive_overlap=positive_overlap,
            negative_overlap=negative_overlap,
        )  # (N,)
        matches[~inside(anchors, image.shape[1], image.shape[0])] = IGNORE
        positive = matches > BACKGROUND
        state = np.where(positive, 1, np.where(matches == IGNORE, -1, 0))
        regression[row, :, 4] = labels[row, :, -1] = state
        regression[row, positive, :4] = coder.encode(anchors[positive], boxes[matches[positive]])
        classes = np.asarray(annotations["labels"], "int64")[matches[positive]]
        labels[row, np.flatnonzero(positive), classes] = 1
    return regression, labels
