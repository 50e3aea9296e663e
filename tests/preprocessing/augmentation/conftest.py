"""Images whose pixels tell where their objects are."""

import numpy as np
import pytest

SIZE = (160, 120)  # width, height
BOXES = [(20, 20, 60, 50), (90, 30, 130, 100), (30, 70, 70, 110), (100, 5, 120, 20)]
COLOURS = np.array([(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1)], bool)
BRIGHT = 230


@pytest.fixture(scope="session")
def scene():
    """Draws a black image with a rectangle in each box, in the colour of its label."""

    def draw(boxes=BOXES, labels=None, size=SIZE):
        image = np.zeros((size[1], size[0], 3), "uint8")
        labels = np.arange(len(boxes)) if labels is None else np.array(labels, int)
        for label, (x1, y1, x2, y2) in zip(labels, boxes, strict=True):
            image[y1:y2, x1:x2] = BRIGHT * COLOURS[label]
        annotations = {
            "bboxes": np.array(boxes, "float32").reshape(-1, 4),
            "labels": labels,
            "ignore": labels == 1,
            "weights": labels.astype("float32") / 2,
        }
        return image, annotations

    return draw


@pytest.fixture(scope="session")
def shown():
    """Gives the mask of the pixels in the colour of a label."""

    def mask(image, label, threshold=BRIGHT / 2):
        lit, dark = image[..., COLOURS[label]], image[..., ~COLOURS[label]]
        return lit.min(axis=-1) > dark.max(axis=-1) + threshold

    return mask


@pytest.fixture(scope="session")
def seen(shown):
    """Gives the box around the pixels in the colour of a label, None without any."""

    def find(image, label, **kwargs):
        rows, columns = np.nonzero(shown(image, label, **kwargs))
        if not len(rows):
            return None
        return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])

    return find


@pytest.fixture(scope="session")
def sound():
    """Asserts what holds of every result of `augment`; gives its boxes."""

    def check(image, annotations, size=SIZE):
        boxes = annotations["bboxes"]
        assert (image.shape, image.dtype) == ((size[1], size[0], 3), np.uint8)
        assert (boxes.dtype, boxes.shape[1:]) == (np.float32, (4,))
        assert (boxes[:, :2] < boxes[:, 2:]).all()
        assert (boxes >= 0).all()
        assert (boxes <= (*size, *size)).all()
        assert {len(rows) for rows in annotations.values()} == {len(boxes)}
        assert annotations["labels"].dtype == np.int64
        assert annotations["weights"].dtype == np.float32
        assert (annotations["ignore"] == (annotations["labels"] == 1)).all()
        assert (annotations["weights"] == annotations["labels"] / 2).all()
        return boxes

    return check
