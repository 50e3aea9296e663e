"""The objects found in one image, and their conversion for other programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.utils.visualization import draw_detections


@dataclasses.dataclass(frozen=True, eq=False)
class Detections:
    """The n objects found in an image, best first.

    Args:
        boxes: (n, 4) float32 xyxy px of the original image.
        scores: (n,) float32 in 0..1, descending.
        labels: (n,) int, indices into `class_names`.
        class_names: the detector's class names; None if it has none.
        image: the image (H, W, 3) uint8 RGB, upright; None once it is dropped.
        path: the path of the image file; None for an image in memory.
        index: the position of the image among the images given to the detector.
        tracks: (n,) int, the same for one object in all frames; None without tracking.

    >>> found = Detections(np.array([[2, 3, 12, 8]], "float32"), np.array([0.5]), np.array([1]),
    ...     class_names=["cat", "dog"], image=np.zeros((10, 20, 3), "uint8"))
    >>> len(found), found.names
    (1, ['dog'])
    >>> found.to_coco()
    [{'image_id': 1, 'category_id': 2, 'bbox': [2.0, 3.0, 10.0, 5.0], 'score': 0.5}]
    >>> found.plot().size
    (20, 10)
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    class_names: Sequence[str] | None = None
    image: np.ndarray | None = dataclasses.field(default=None, repr=False)
    path: str | None = None
    index: int = 0
    tracks: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def names(self) -> list[str]:
        """The class name of each object, its label as text if there are no names."""
        return [self.name_of(label) for label in self.labels]

    def name_of(self, label: int) -> str:
        """Return the class name of a label, the label as text if there are no names."""
        return str(label) if self.class_names is None else str(self.class_names[int(label)])

    def plot(self) -> Image.Image:
        """Return the image with its boxes, names and scores.

        Raises:
            InputError: the detections have dropped their image.
        """
        if self.image is None:
            raise InputError(
                "These detections have dropped their image; call the detector on it again."
            )
        image = self.image[..., ::-1].copy()  # BGR, as `label_color` is
        draw_detections(
            image,
            self.boxes,
            self.scores,
            self.labels,
            label_to_name=self.name_of,
            score_threshold=0.0,
        )
        return Image.fromarray(image[..., ::-1])

    def to_coco(
        self, image_id: int | None = None, category_ids: Sequence[int] | None = None
    ) -> list[dict]:
        """Return the rows of a COCO results file; boxes are [x, y, width, height] px, rounded to a
        thousandth.

        Padding rows (label -1) and rows that are not finite are left out: JSON has no NaN, and
        pycocotools counts a box of NaN as a perfect match.

        Args:
            image_id: `index` + 1 by default.
            category_ids: the category id of each label, by default label + 1.
        """
        image_id = self.index + 1 if image_id is None else image_id
        return coco_rows([self], [image_id], category_ids)

    def to_supervision(self) -> Any:
        """Return `supervision.Detections`, with `class_name` among its data.

        Raises:
            ImportError: supervision is not installed.
        """
        try:
            import supervision
        except ImportError:
            raise ImportError("supervision is missing; run `pip install supervision`.") from None
        return supervision.Detections(
            xyxy=self.boxes,
            confidence=self.scores,
            class_id=self.labels.astype(int),
            data={"class_name": np.array(self.names, dtype=str)},
        )

    def to_dataframe(self) -> Any:
        """Return a pandas `DataFrame` with the columns x1, y1, x2, y2, score, label, name.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ImportError("pandas is missing; run `pip install pandas`.") from None
        columns = dict(zip(("x1", "y1", "x2", "y2"), self.boxes.T, strict=True))
        return pandas.DataFrame(
            {**columns, "score": self.scores, "label": self.labels, "name": self.names}
        )


def coco_rows(
    detections: Sequence[Detections],
    image_ids: Sequence[int],
    category_ids: Sequence[int] | None = None,
) -> list[dict]:
    """Return the rows of a COCO results file for several images, see `Detections.to_coco`."""
    boxes = np.concatenate([np.zeros((0, 4)), *(found.boxes for found in detections)])
    scores = np.concatenate([[], *(found.scores for found in detections)])
    labels = np.concatenate([[], *(found.labels for found in detections)]).astype(int)
    counts = [len(found) for found, _ in zip(detections, image_ids, strict=True)]
    images = np.repeat(np.asarray(image_ids, int), counts)
    kept = np.isfinite(boxes).all(axis=-1) & np.isfinite(scores) & (labels >= 0)
    ids = labels + 1 if category_ids is None else np.asarray([*category_ids, 0])[labels]
    columns = images[kept].tolist(), ids[kept].tolist(), xywh(boxes[kept]), scores[kept].tolist()
    return [
        {"image_id": image_id, "category_id": category_id, "bbox": bbox, "score": score}
        for image_id, category_id, bbox, score in zip(*columns, strict=True)
    ]


def xywh(boxes: np.ndarray) -> list[list[float]]:
    """Return boxes (n, 4) xyxy as lists [x, y, width, height], to a thousandth of a pixel."""
    boxes = np.asarray(boxes, np.float64)
    corner, size = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    return np.round(np.concatenate([corner, size], axis=1), 3).tolist()
