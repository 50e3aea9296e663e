"""Plant errors into the labels of a data set, and find them in the rankings of label_errors.

    python benchmarks/label_errors.py BCCD detector.keras --split val

Of the labels, 5% are removed, or shifted by half their size, or get another class; one run for each
kind and one for a third of each. The curve is the share of the errors among the first rows of the
ranking: of the detections without a label for removed labels, of all labels for the others.

Blood cells (BCCD), val, with the last snapshot of benchmarks/bccd.py, 5 seeds:

    errors   first    1%     2%     5%    10%    20%
    removed        47.0%  63.5%  77.2%  89.1%  95.8%
    shifted        21.1%  40.0%  89.1%  98.6%  99.6%
    swapped        21.1%  40.0%  90.5%  98.2%  100.0%
    all three      38.6%  61.8%  91.2%  97.5%  100.0%
    rows: 6811 without a label, 1137 labels
"""

import argparse
import dataclasses

import numpy as np

from keras_retinanet import boxes as box_math
from keras_retinanet.detector import Detector
from keras_retinanet.evaluation.detections import detect_dataset
from keras_retinanet.evaluation.label_errors import missing_labels, wrong_labels
from keras_retinanet.evaluation.matching import match
from keras_retinanet.preprocessing.source import open_dataset

KINDS = ("removed", "shifted", "swapped")
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2)


def plant(dataset, kinds, rng, share=0.05):
    """Return a data set with errors, and [(kind, image, row or None, true box)] of them."""
    places = [
        (image, row)
        for image, record in enumerate(dataset.records)
        for row in np.flatnonzero(~record.ignore).tolist()
    ]
    chosen = rng.choice(len(places), round(share * len(places)), replace=False)
    wanted = {places[index]: kinds[i % len(kinds)] for i, index in enumerate(chosen)}
    records, errors = [], []
    for image, record in enumerate(dataset.records):
        mine = {row: kind for (where, row), kind in wanted.items() if where == image}
        changed, kept = changed_record(record, mine, dataset.num_classes, rng)
        records.append(changed)
        for row, kind in mine.items():
            now = None if kind == "removed" else int(kept[:row].sum())
            errors.append((kind, image, now, record.boxes[row]))
    return dataclasses.replace(dataset, records=records), errors


def changed_record(record, kinds, num_classes, rng):
    """Return a record with the errors {row: kind}, and the mask of the labels that it keeps."""
    boxes, labels = record.boxes.copy(), record.labels.copy()
    kept = np.ones(len(boxes), bool)
    for row, kind in kinds.items():
        if kind == "removed":
            kept[row] = False
        elif kind == "shifted":
            angle = rng.uniform(0, 2 * np.pi)
            shift = 0.5 * (boxes[row, 2:] - boxes[row, :2]) * [np.cos(angle), np.sin(angle)]
            boxes[row] += np.tile(shift, 2)
        else:
            labels[row] = (labels[row] + rng.integers(1, num_classes)) % num_classes
    new = dataclasses.replace(
        record,
        boxes=boxes[kept],
        labels=labels[kept],
        ignore=record.ignore[kept],
        area=record.area[kept],
        entries=(),
    )
    return new, kept


def places_in_rankings(matching, errors):
    """Return for each error its place in its ranking as a share, 1 if it is not in there."""
    missing, wrong = missing_labels(matching), wrong_labels(matching)
    found, objects = matching.found, matching.objects
    first = np.searchsorted(objects.image, np.arange(matching.num_images))
    rank = np.empty(len(objects.label))
    rank[wrong.object] = np.arange(len(wrong))
    places = []
    for _, image, row, box in errors:
        if row is not None:
            places.append(rank[first[image] + row] / len(wrong))
            continue
        here = np.flatnonzero(found.image[missing.detection] == image)
        boxes = found.box[missing.detection[here]]
        close = here[box_math.iou(boxes, box[None]) >= 0.5]
        places.append(close[0] / len(missing) if len(close) else 1.0)
    return np.array(places)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("model")
    parser.add_argument("--split", default="val")
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    detector = Detector.load(args.model, score_threshold=0.05, batch_size=8)
    dataset = open_dataset(args.data, split=args.split, classes=detector.class_names)
    dataset, detections = detect_dataset(detector, detector.labelled(dataset), progress="detect")
    print("errors   first " + "  ".join(f"{share:>5.0%}" for share in SHARES))
    for kinds in [*((kind,) for kind in KINDS), KINDS]:
        places = []
        for seed in range(args.seeds):
            planted, errors = plant(dataset, kinds, np.random.default_rng(seed))
            places.append(places_in_rankings(match(planted, detections), errors))
        joined = np.concatenate(places)
        shares = "  ".join(f"{(joined < share).mean():>5.1%}" for share in SHARES)
        print(f"{'all three' if len(kinds) > 1 else kinds[0]:<14} {shares}")
    matching = match(dataset, detections)
    counts = len(missing_labels(matching)), len(wrong_labels(matching))
    print("rows: {} without a label, {} labels".format(*counts))


if __name__ == "__main__":
    main()
