"""Several images of a data set joined into one, with all their boxes."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from .sampling import Annotations, Example, Size, blank

# the size of an image, and the function that returns it and its annotations at another size
Source = tuple[Size, Callable[[Size], Example]]


def mosaic(
    source: Source,
    another: Callable[[np.random.Generator], Source],
    rng: np.random.Generator,
    strength: float,
    size: Size,
) -> Example:
    """Put an image and three others around a centre 0.3 to 0.7 from the sides, at strength 1.

    Each image is fitted whole into its quarter and touches the centre; the rest is grey. `size` is
    the size of the mosaic. Bochkovskiy et al. 2020, arXiv 2004.10934.
    """
    reach = min(0.2 * strength, 0.5)
    centre = np.rint(rng.uniform(0.5 - reach, 0.5 + reach, 2) * size).astype(int)
    sources = [source, *(another(rng) for _ in range(3))]
    image, parts = blank(size), []
    for place, (whole, render) in zip(rng.permutation(4), sources, strict=True):
        behind = np.array(divmod(place, 2)) > 0  # the centre: at the right, at the bottom
        room = np.where(behind, size - centre, centre)
        if room.min() < 1:
            continue
        sides = fitted(whole, room)
        left, top = np.where(behind, centre, centre - sides)
        part, annotations = render(sides)
        image[top : top + sides[1], left : left + sides[0]] = part
        parts.append(shifted(annotations, left, top))
    return image, joined(parts)


def mixup(
    image: np.ndarray,
    annotations: Annotations,
    another: Callable[[np.random.Generator], Source],
    rng: np.random.Generator,
    strength: float,
) -> Example:
    """Blend another image into the image, at a random place, with a weight of 0.3 to 0.5.

    Zhang et al. 2018, arXiv 1710.09412.
    """
    share = rng.uniform(0.3, 0.5) * min(strength, 1)
    whole, render = another(rng)
    room = image.shape[1::-1]
    width, height = fitted(whole, room)
    left, top = rng.integers(np.subtract(room, (width, height)) + 1)
    other, others = render((width, height))
    part = image[top : top + height, left : left + width]
    cv2.addWeighted(part, 1 - share, other, share, 0, dst=part)
    return image, joined([annotations, shifted(others, left, top)])


def fitted(size: Size, room: Size | np.ndarray) -> tuple[int, int]:
    """Return the largest (width, height) in px that has the ratio of `size` and fits `room`."""
    factor = np.divide(room, size).min()
    sides = np.minimum(np.rint(np.multiply(size, factor)), room)
    return tuple(np.maximum(sides, 1).astype(int).tolist())


def shifted(annotations: Annotations, right: int, down: int) -> Annotations:
    """Return annotations with their boxes moved, in px."""
    by = np.array([right, down, right, down], "float32")
    return {**annotations, "bboxes": annotations["bboxes"] + by}


def joined(parts: Sequence[Annotations]) -> Annotations:
    """Join annotations with the same keys into one dict."""
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
