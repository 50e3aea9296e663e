"""Several pictures of a data set in one, with the boxes of all.

A picture is a pair: its own size (width, height) px, and a function that gives its image and
annotations at another size.
"""

import cv2
import numpy as np

from .sampling import blank


def mosaic(picture, another, rng, strength, size):
    """The picture and three others around a centre 0.3 to 0.7 from the sides, at strength 1.

    Each is fitted whole into its quarter and touches the centre; the rest is grey. Bochkovskiy et
    al. 2020, arXiv 2004.10934. `another(rng)` gives a picture; `size` is that of the mosaic.
    """
    reach = min(0.2 * strength, 0.5)
    centre = np.rint(rng.uniform(0.5 - reach, 0.5 + reach, 2) * size).astype(int)
    pictures = [picture, *(another(rng) for _ in range(3))]
    image, parts = blank(size), []
    for place, (own, render) in zip(rng.permutation(4), pictures, strict=True):
        behind = np.array(divmod(place, 2)) > 0  # the centre: at the right, at the bottom
        room = np.where(behind, size - centre, centre)
        if room.min() < 1:
            continue
        sides = fitted(own, room)
        left, top = np.where(behind, centre, centre - sides)
        part, annotations = render(sides)
        image[top : top + sides[1], left : left + sides[0]] = part
        parts.append(shifted(annotations, left, top))
    return image, joined(parts)


def mixup(image, annotations, another, rng, strength):
    """Another picture drawn on the image, at a random place, with a share of 0.3 to 0.5.

    Zhang et al. 2018, arXiv 1710.09412.
    """
    share = rng.uniform(0.3, 0.5) * min(strength, 1)
    own, render = another(rng)
    room = image.shape[1::-1]
    width, height = fitted(own, room)
    left, top = rng.integers(np.subtract(room, (width, height)) + 1)
    other, others = render((width, height))
    part = image[top : top + height, left : left + width]
    cv2.addWeighted(part, 1 - share, other, share, 0, dst=part)
    return image, joined([annotations, shifted(others, left, top)])


def fitted(size, room):
    """The largest (width, height) in whole px of the ratio of `size` within `room`."""
    factor = np.divide(room, size).min()
    sides = np.minimum(np.rint(np.multiply(size, factor)), room)
    return tuple(np.maximum(sides, 1).astype(int).tolist())


def shifted(annotations, right, down):
    """Annotations with their boxes moved, in px."""
    by = np.array([right, down, right, down], "float32")
    return {**annotations, "bboxes": annotations["bboxes"] + by}


def joined(parts):
    """One dict of annotations of several with the same keys."""
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
