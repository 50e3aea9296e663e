"""Applying a matrix (3, 3) to the pixels and to the boxes."""

from collections.abc import Callable

import cv2
import numpy as np

from ...boxes import area, clip
from ...utils.image import TransformParameters, adjust_transform_for_image, apply_transform
from ...utils.transform import transform_aabb, translation

GREY = 114  # the value of px beside the image
KEPT_SHARE = 0.3  # share of a box's area that must stay in view
ROUNDING = 1e-6  # px
MIRRORS = {(True, False): 1, (False, True): 0, (True, True): -1}  # OpenCV's codes

Size = tuple[int, int]  # (width, height) px
Annotations = dict[str, np.ndarray]  # arrays of n rows, "bboxes" (n, 4) xyxy px among them
Example = tuple[np.ndarray, Annotations]
Change = Callable[[np.ndarray], np.ndarray]


def transform_both(
    image: np.ndarray,
    annotations: Annotations,
    matrix: np.ndarray,
    parameters: TransformParameters | None = None,
) -> Example:
    """Move an image and its annotations by `matrix` (3, 3); see `adjust_transform_for_image`.

    The boxes are moved as in `moved`.
    """
    parameters = parameters or TransformParameters()
    matrix = adjust_transform_for_image(matrix, image, parameters.relative_translation)
    image = apply_transform(matrix, image, parameters)
    return image, moved(annotations, matrix, image.shape[1::-1])


def moved(annotations: Annotations, matrix: np.ndarray, size: Size) -> Annotations:
    """Move annotations by `matrix` (3, 3) in px, in an image of `size` (width, height).

    Each box becomes the upright box around its moved corners, clipped to the image, and is dropped
    if nothing, or less than `KEPT_SHARE` of its area, stays in view.
    """
    boxes = transform_aabb(matrix, np.asarray(annotations["bboxes"], "float32").reshape(-1, 4))
    clipped = clip(boxes, *size)  # (n, 4)
    left = area(clipped)  # (n,)
    kept = (left > 0) & (left >= KEPT_SHARE * area(boxes))
    return only({**annotations, "bboxes": clipped}, kept)


def only(annotations: Annotations, kept: np.ndarray) -> Annotations:
    """Return the rows that a mask (n,) keeps."""
    return {key: np.asarray(rows)[kept] for key, rows in annotations.items()}


def blank(size: Size) -> np.ndarray:
    """Return a grey image (H, W, 3)."""
    return np.full((size[1], size[0], 3), GREY, "uint8")


def placed(
    image: np.ndarray, matrix: np.ndarray, size: Size, change: Change | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return a new image of `size`, made by a matrix, and the matrix used.

    `change` is applied to the old or to the new image, whichever has fewer px, but not to the grey.

    A matrix that neither rotates nor shears is altered by less than a px, so that whole px of the
    image fill whole px of the new one. This allows `cv2.resize`, which is three times faster than
    `cv2.warpAffine`.
    """
    if matrix[0, 1] or matrix[1, 0]:
        return turned(image, matrix, size, change), matrix
    matrix = np.array(matrix, "float64")
    windows = []
    for axis in (0, 1):
        used = whole(matrix[axis, axis], matrix[axis, 2], image.shape[1 - axis], size[axis])
        if used is None:
            return blank(size), matrix
        *window, matrix[axis, axis], matrix[axis, 2] = used
        windows.append(window)
    (columns, to_columns), (rows, to_rows) = windows
    result = blank(size)
    source, target = image[rows, columns], result[to_rows, to_columns]
    first = change is not None and source.size <= target.size
    fill(target, change(source) if first else source, (matrix[0, 0] < 0, matrix[1, 1] < 0))
    if change is not None and not first:
        target[:] = change(target)
    return result, matrix


def whole(
    factor: float, shift: float, length: int, target: int
) -> tuple[slice, slice, float, float] | None:
    """Return, for one axis, (px of the image in view, px that they fill, factor, shift).

    The first two are slices of whole px, rounded outwards. Returns None if nothing is in view.
    """
    start, end = np.clip(_outwards(shift, factor * length + shift), 0, target)
    if start == end:
        return None
    low, high = _outwards((start - shift) / factor, (end - shift) / factor)
    low = np.clip(low, 0, length - 1)
    high = np.clip(high, low + 1, length)
    size = (end - start) / (high - low)
    factor, shift = (size, start - size * low) if factor > 0 else (-size, end + size * low)
    return slice(low, high), slice(start, end), factor, shift


def _outwards(one: float, other: float) -> tuple[int, int]:
    low, high = sorted((one, other))
    return int(np.floor(low + ROUNDING)), int(np.ceil(high - ROUNDING))


def fill(target: np.ndarray, image: np.ndarray, mirrored: tuple[bool, bool]) -> None:
    """Draw an image into the whole of `target`, mirrored (left to right, top to bottom)."""
    code = MIRRORS.get(mirrored)
    small = image.size <= target.size
    if code is not None and small:
        image = cv2.flip(image, code)
    cv2.resize(image, target.shape[1::-1], dst=target, interpolation=cv2.INTER_LINEAR)
    if code is not None and not small:
        target[:] = cv2.flip(target, code)


def turned(
    image: np.ndarray, matrix: np.ndarray, size: Size, change: Change | None = None
) -> np.ndarray:
    """Return the image of `size` that any matrix gives; for `change` see `placed`."""
    first = change is not None and image.size <= 3 * size[0] * size[1]
    result = warped(change(image) if first else image, matrix, size)
    if change is not None and not first:
        result = change(result)
        height, width = image.shape[:2]
        corners = np.array([(0, 0), (width, 0), (width, height), (0, height)])
        outline = np.rint(corners @ matrix[:2, :2].T + matrix[:2, 2] - 0.5).astype("int32")
        beside = cv2.fillConvexPoly(np.ones(result.shape[:2], "uint8"), outline, 0)
        result[beside > 0] = GREY
    return result


def warped(image: np.ndarray, matrix: np.ndarray, size: Size) -> np.ndarray:
    """Return the image of `size` that any matrix gives."""
    matrix = translation((-0.5, -0.5)) @ matrix @ translation((0.5, 0.5))  # centres lie at 0
    return cv2.warpAffine(image, matrix[:2], tuple(size), borderValue=(GREY,) * 3)
