"""How many of a data set's boxes the anchors reach."""

import numpy as np

from ..boxes import iou
from ..utils.anchors import inside

MOST_IMAGES = 500  # a sample of this many tells the shares to a few percent


def anchor_coverage(generator, overlap=0.5):
    """{class name: (number of boxes, share that an anchor reaches at IoU `overlap`)}.

    Measured at the size at which the model sees the images, on a sample of them where they are more
    than `MOST_IMAGES`. Ignored boxes do not count; the share is None for a class without boxes.
    """
    step = max(1, generator.size() // MOST_IMAGES)
    counts = np.zeros(generator.num_classes(), int)
    sampled, reached = counts.copy(), counts.copy()
    for index in range(generator.size()):
        annotations = generator.load_annotations(index)
        counted = ~annotations.get("ignore", np.zeros(len(annotations["labels"]), bool))
        labels = annotations["labels"][counted]
        np.add.at(counts, labels, 1)
        if index % step or not len(labels):
            continue
        width, height = generator.image_size(index)
        resized = generator.resized_size(index)
        scale = np.array([resized[0] / width, resized[1] / height] * 2, "float32")
        anchors = generator.generate_anchors(generator.canvas(index)[::-1])  # (N, 4)
        anchors = anchors[inside(anchors, *resized)]  # those in the padding are not trained
        boxes = annotations["bboxes"][counted] * scale  # (M, 4)
        best = np.array([iou(anchors, box).max() for box in boxes])  # (M,)
        np.add.at(sampled, labels, 1)
        np.add.at(reached, labels, best >= overlap)
    shares = [r / s if s else None for r, s in zip(reached, sampled, strict=True)]
    names = [generator.label_to_name(label) for label in range(generator.num_classes())]
    return dict(zip(names, zip(counts.tolist(), shares, strict=True), strict=True))
