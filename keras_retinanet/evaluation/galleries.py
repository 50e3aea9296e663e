"""Images of a report with the boxes that matter: worst images and suspicious labels."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from keras_retinanet.evaluation.explanation import Explanation
from keras_retinanet.evaluation.label_errors import CLASS, MISSING, PLACE, UNSEEN, Suspects
from keras_retinanet.evaluation.matching import NOTHING
from keras_retinanet.utils.text import counted
from keras_retinanet.utils.threads import in_threads
from keras_retinanet.utils.thumbnails import Layer, thumbnail

MOST = 16  # images of a gallery
SIZE = (640, 480)  # px at most, so that a page of 5,000 images stays small
GREEN, AMBER, RED, BLUE = (22, 150, 90), (240, 150, 0), (214, 40, 40), (30, 120, 220)
KEYS = {  # colour: its meaning
    GREEN: "label, found",
    AMBER: "label, missed or in question",
    BLUE: "detection, right",
    RED: "detection, wrong or in question",
}
WORDS = {
    MISSING: "{detected} {score:.2f} without a label",
    CLASS: "labelled {label}, detected as {detected} {score:.2f}",
    PLACE: "{label}: the detection of {score:.2f} is at another place",
    UNSEEN: "{label}: little or nothing is detected",
}


@dataclasses.dataclass(frozen=True)
class CaptionedImage:
    """An image with its boxes, a JPEG in a data URL, and a sentence on it."""

    data: str
    caption: str


def draw_worst(explanation: Explanation) -> list[CaptionedImage]:
    """Return the images with most errors at the thresholds."""
    tasks = []
    for image, missed, wrong in explanation.worst[:MOST].tolist():
        caption = f"{counted(missed, 'object')} missed, {counted(wrong, 'wrong detection')}"
        tasks.append((image, _layers(explanation, image), (), caption))
    return _captioned(explanation, tasks)


def draw_suspects(explanation: Explanation, suspects: Suspects) -> list[CaptionedImage]:
    """Return the most suspicious labels or detections, the part of the image around them."""
    found, objects = explanation.matching.found, explanation.matching.objects
    names = explanation.matching.class_names
    tasks = []
    rows = suspects.first(MOST)
    columns = rows.kind, rows.object.tolist(), rows.detection.tolist()
    for kind, target, by in zip(*columns, strict=True):
        image = found.image[by] if target == NOTHING else objects.image[target]
        label = objects.box[[target]] if target != NOTHING else np.zeros((0, 4))
        seen = found.box[[by]] if by != NOTHING else np.zeros((0, 4))
        caption = WORDS[kind].format(
            label=names[objects.label[target]] if target != NOTHING else "",
            detected=names[found.label[by]] if by != NOTHING else "",
            score=found.score[by] if by != NOTHING else 0,
        )
        layers = [Layer(objects.box[objects.image == image], GREEN, 1)]
        layers += [Layer(seen, RED, 3), Layer(label, AMBER, 3)]
        tasks.append((int(image), layers, np.concatenate([label, seen]), caption))
    return _captioned(explanation, tasks)


def _layers(explanation: Explanation, image: int) -> list[Layer]:
    """Return all labels and shown detections of an image."""
    matching, least = explanation.matching, explanation.least
    found, objects = matching.found, matching.objects
    of_image = (found.image == image) & (found.score >= least[found.label])
    labels = (objects.image == image) & ~objects.ignored
    reached = matching.found_at(least)
    return [
        Layer(objects.box[labels & reached], GREEN, 1),
        Layer(found.box[of_image & found.right], BLUE, 1),
        Layer(objects.box[labels & ~reached], AMBER, 3),
        Layer(found.box[of_image & found.wrong], RED, 3),
    ]


def _captioned(explanation: Explanation, tasks: Sequence[tuple]) -> list[CaptionedImage]:
    """Draw (image, layers, focus, caption) in threads; images that cannot be read are left out."""
    paths = [explanation.dataset.records[image].path for image, *_ in tasks]

    def draw(task: tuple) -> str | None:
        path, (_, layers, focus, _) = task
        return thumbnail(path, layers, focus, SIZE)

    drawn = in_threads(draw, zip(paths, tasks, strict=True))
    return [
        CaptionedImage(data, f"{caption} ({os.path.basename(path)})")
        for path, data, (*_, caption) in zip(paths, drawn, tasks, strict=True)
        if data
    ]
