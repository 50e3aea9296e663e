"""Anchors of an image.

Anchors are ordered by level, row, column, ratio, scale; centres lie at (i + offset) · stride.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..parts import Pyramid
from .anchor_targets import anchor_targets_bbox as anchor_targets_bbox
from .anchor_targets import bbox_transform as bbox_transform
from .anchor_targets import compute_gt_annotations as compute_gt_annotations

if TYPE_CHECKING:
    import keras

PYRAMID_LEVELS = Pyramid.levels

Factors = Sequence[float] | np.ndarray
# (image shape, pyramid levels) -> (rows, columns) of each level
ShapesCallback = Callable[[Sequence[int], Sequence[int]], Sequence[Sequence[int]]]


@dataclass(eq=False)
class AnchorParameters:
    """The shapes and places of anchors on each pyramid level: ratios x scales anchors per place.

    Attributes:
        sizes: px, one for each level: the side of the square anchor of scale 1.
        strides: px, one for each level.
        ratios: height / width.
        scales: factors of the size.
        offset: the centre of an anchor in its cell, as a fraction of the stride.
        rounded: cut size x scale to whole px, and round the corners about the centre.
        fitted_strides: take image side // feature side of each axis as a level's stride.
    """

    default: ClassVar[AnchorParameters]

    sizes: Sequence[float] = (32, 64, 128, 256, 512)
    strides: Sequence[int] = (8, 16, 32, 64, 128)
    ratios: Factors = (0.5, 1, 2)
    scales: Factors = (2**0, 2 ** (1 / 3), 2 ** (2 / 3))
    offset: float = 0.5
    rounded: bool = False
    fitted_strides: bool = False

    def __post_init__(self) -> None:
        self.sizes = [float(size) for size in self.sizes]
        self.strides = [int(stride) for stride in self.strides]
        self.ratios = np.asarray(self.ratios, "float32")
        self.scales = np.asarray(self.scales, "float32")
        if len(self.sizes) != len(self.strides):
            raise ValueError(
                f"Give as many anchor strides as sizes, got {self.strides} for {self.sizes}."
            )

    @classmethod
    def of(cls, anchors: AnchorParameters | Mapping | None) -> AnchorParameters:
        """Return the parameters of a dict of arguments, or the defaults for None."""
        if isinstance(anchors, Mapping) or anchors is None:
            return cls(**(anchors or {}))
        return anchors

    def num_anchors(self) -> int:
        """Return the number of anchors at each place."""
        return len(self.ratios) * len(self.scales)

    def of_levels(self, pyramid_levels: Sequence[int]) -> list[tuple[float, int]]:
        """Return (size, stride) of each level; ValueError if there is not one for each."""
        if len(self.sizes) != len(pyramid_levels):
            raise ValueError(
                "Give an anchor size and stride for each of the pyramid levels "
                f"{list(pyramid_levels)}, got sizes={self.sizes}, strides={self.strides}."
            )
        return list(zip(self.sizes, self.strides, strict=True))

    def rows(self) -> dict[str, Any]:
        """Return {sizes, strides, ratios, scales} as lists, as a configuration file has them."""
        return {
            "sizes": list(self.sizes),
            "strides": list(self.strides),
            "ratios": np.asarray(self.ratios).tolist(),
            "scales": np.asarray(self.scales).tolist(),
        }

    def get_config(self) -> dict[str, Any]:
        """Return the parameters as plain values."""
        return {
            **self.rows(),
            "offset": self.offset,
            "rounded": self.rounded,
            "fitted_strides": self.fitted_strides,
        }

    def anchors_of(self, size: float) -> np.ndarray:
        """Return the anchors (A, 4) of one place, see `generate_anchors`."""
        return generate_anchors(size, self.ratios, self.scales, self.rounded)

    def strides_of(self, stride: int, shape: Any, image_shape: Any) -> tuple[Any, Any]:
        """Return the strides (y, x) px of a level of `shape` in an image of `image_shape`."""
        if not self.fitted_strides:
            return stride, stride
        return image_shape[0] // shape[0], image_shape[1] // shape[1]


AnchorParameters.default = AnchorParameters()


def square_anchors(pyramid_levels: Sequence[int], side: float) -> AnchorParameters:
    """Return the parameters of one square anchor at each place, `side` strides wide."""
    strides = [2**level for level in pyramid_levels]
    return AnchorParameters([side * stride for stride in strides], strides, [1.0], [1.0])


def generate_anchors(
    base_size: float = 16,
    ratios: Factors | None = None,
    scales: Factors | None = None,
    rounded: bool = False,
) -> np.ndarray:
    """Return the anchors of one place, centred at the origin: (R·S, 4), xyxy px.

    Width is size · scale / √ratio and height size · scale · √ratio, so the area depends only on
    size and scale; `rounded` as of `AnchorParameters`.
    """
    ratios = np.asarray(AnchorParameters.default.ratios if ratios is None else ratios, "float32")
    scales = np.asarray(AnchorParameters.default.scales if scales is None else scales, "float32")
    side = base_size * scales[None, :]  # (1, S)
    side = np.floor(side) if rounded else side
    root = np.sqrt(ratios)[:, None]  # (R, 1)
    half = np.stack([side / root, side * root], axis=-1).reshape(-1, 2) / 2  # (R·S, 2)
    half = np.round(half) if rounded else half
    return np.concatenate([-half, half], axis=1).astype("float32")


def shift(shape: Any, stride: Any, anchors: Any, xp: Any = np, offset: float = 0.5) -> Any:
    """Return anchors (A, 4) at every place of a map of `shape` (rows, columns): (R·C·A, 4).

    `stride` is in px, one for both axes or (in y, in x).
    """
    stride_y, stride_x = stride if isinstance(stride, (tuple, list)) else (stride, stride)
    x = (xp.arange(shape[1], dtype="float32") + offset) * xp.array(stride_x, "float32")  # (C,)
    y = (xp.arange(shape[0], dtype="float32") + offset) * xp.array(stride_y, "float32")  # (R,)
    x, y = xp.meshgrid(x, y)  # (R, C) each
    places = xp.reshape(xp.stack([x, y, x, y], axis=-1), (-1, 1, 4))  # (R·C, 1, 4)
    return xp.reshape(places + xp.array(anchors), (-1, 4))


def guess_shapes(image_shape: Any, pyramid_levels: Sequence[int]) -> list[list[Any]]:
    """Return an image's feature shapes: (H, W) halved as often as the level says, rounded up."""
    return [[-(-side // 2**level) for side in image_shape[:2]] for level in pyramid_levels]


def layer_shapes(image_shape: Sequence[int], model: keras.Model) -> dict[str, tuple]:
    """Return {layer name: output shape} of `model` for an image of `image_shape` (H, W, ...)."""
    import keras

    outputs = {
        layer.name: layer.output for layer in model.layers if not isinstance(layer, keras.Model)
    }  # the heads, models themselves, have an output for each level
    probe = keras.Model(model.inputs, outputs)
    channels = model.inputs[0].shape[-1]
    shapes = probe.compute_output_shape((None, *image_shape[:2], channels))
    return {name: tuple(shape) for name, shape in shapes.items()}


def make_shapes_callback(model: keras.Model) -> ShapesCallback:
    """Return a `shapes_callback` for `anchors_for_shape` that asks the layers P<n> of `model`."""

    def shapes_callback(
        image_shape: Sequence[int], pyramid_levels: Sequence[int]
    ) -> list[tuple[int, ...]]:
        shapes = layer_shapes(image_shape, model)
        return [shapes[f"P{level}"][1:3] for level in pyramid_levels]

    return shapes_callback


@dataclass(frozen=True, eq=False)
class Grid:
    """The anchors of an image: L levels, with the same A anchors at each place of a level.

    `shapes` (L, 2) are rows and columns, `strides` (L, 2) px in x and in y, `base` (L, A, 4) the
    anchors of a place, xyxy px from its centre, which lies at (i + offset) · stride.
    """

    shapes: np.ndarray
    strides: np.ndarray
    base: np.ndarray
    offset: float = 0.5

    @functools.cached_property
    def sizes(self) -> np.ndarray:
        """The width and height of the anchors of a place: (L, A, 2) px."""
        return self.base[..., 2:] - self.base[..., :2]

    @functools.cached_property
    def anchors(self) -> np.ndarray:
        """All anchors: (N, 4) float32, xyxy px."""
        strides = self.strides[:, ::-1].tolist()  # as of shapes: y, x
        levels = zip(self.shapes.tolist(), strides, self.base, strict=True)
        return np.concatenate([shift(*level, offset=self.offset) for level in levels], axis=0)

    def counts(self) -> list[int]:
        """Return the number of anchors on each level."""
        return [rows * columns * self.base.shape[1] for rows, columns in self.shapes.tolist()]

    def views(self, values: np.ndarray) -> list[np.ndarray]:
        """Return a view (rows, columns, A) of values (N,) of the anchors for each level."""
        parts = np.split(values, np.cumsum(self.counts())[:-1])
        return [
            part.reshape(*shape, self.base.shape[1])
            for part, shape in zip(parts, self.shapes.tolist(), strict=True)
        ]


def grid(
    image_shape: Sequence[int],
    pyramid_levels: Sequence[int] | None = None,
    anchor_params: AnchorParameters | None = None,
    shapes_callback: ShapesCallback | None = None,
) -> Grid:
    """Return the `Grid` of an image of `image_shape` (H, W, ...).

    `shapes_callback(image_shape, pyramid_levels)` gives the feature shapes of a backbone that does
    not simply round up (see `make_shapes_callback`).
    """
    levels = PYRAMID_LEVELS if pyramid_levels is None else pyramid_levels
    params = anchor_params or AnchorParameters.default
    shapes = (shapes_callback or guess_shapes)(image_shape, levels)
    rows = params.of_levels(levels)
    strides = [
        params.strides_of(stride, shape, image_shape)[::-1]
        for (_, stride), shape in zip(rows, shapes, strict=True)
    ]
    base = [params.anchors_of(size) for size, _ in rows]
    return Grid(np.array(shapes, int), np.array(strides), np.stack(base), params.offset)


def anchors_for_shape(
    image_shape: Any,
    pyramid_levels: Sequence[int] | None = None,
    anchor_params: AnchorParameters | None = None,
    shapes_callback: ShapesCallback | None = None,
    xp: Any = np,
) -> Any:
    """Return all anchors of an image (H, W, ...): (N, 4) float32, xyxy px; see `grid`.

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
