"""Do the 95% intervals of `retinanet-evaluate` hold the truth in 95% of all cases?

    python benchmarks/intervals.py [--simulations 200] [--resamples 1000] [--images 200]

Draws many data sets of one kind with the detections of two simulated detectors, once with B better
than A and once with both equal. The true figures are means over other data sets of the same kind
and size. Prints how many intervals hold them, and what `compare` says of B.
"""

import argparse
from collections import Counter

import numpy as np

from keras_retinanet.evaluation.bootstrap import figures, intervals, over_classes, rankings
from keras_retinanet.evaluation.columns import columns_of
from keras_retinanet.evaluation.comparison import compare

CLASSES = 3
SIDE = 1000  # px of an image
SKILLS = {"B better": (0.0, 0.25), "equal": (0.0, 0.0)}  # of A and B


def simulated(rng, images, skills):
    """Return an "instances" dict and the rows of a detector for each skill."""
    count = images + rng.poisson(3 * images)  # objects
    owner = np.concatenate([np.arange(images), rng.integers(0, images, count - images)])
    boxes, labels = drawn_boxes(rng, count), rng.integers(1, CLASSES + 1, count)
    difficulty = rng.normal(size=images)[owner] + rng.normal(size=count)  # the same for all
    annotations = rows_of(owner, labels, boxes, area=(boxes[:, 2] * boxes[:, 3]).tolist())
    truth = {
        "images": [{"id": index} for index in range(images)],
        "categories": [{"id": label, "name": str(label)} for label in range(1, CLASSES + 1)],
        "annotations": [{**each, "id": id_} for id_, each in enumerate(annotations, start=1)],
    }
    return truth, [detected(rng, images, owner, labels, boxes, difficulty - s) for s in skills]


def detected(rng, images, owner, labels, boxes, difficulty):
    """Return the rows of a detector: moved boxes of the objects that it finds, and false ones."""
    chance = 1 / (1 + np.exp(difficulty))
    found = np.flatnonzero(rng.random(len(owner)) < 0.3 + 0.7 * chance)
    sides = np.tile(boxes[found, 2:], 2)
    moved = boxes[found] + sides * rng.normal(0, 0.1, (len(found), 4)) * (1.2 - chance[found, None])
    false = rng.poisson(2 * images)
    everyone = np.concatenate([owner[found], rng.integers(0, images, false)])
    names = np.concatenate([labels[found], rng.integers(1, CLASSES + 1, false)])
    scores = np.concatenate([rng.normal(chance[found], 0.2), rng.normal(0.2, 0.2, false)])
    places = np.concatenate([np.maximum(moved, 1), drawn_boxes(rng, false)])
    return rows_of(everyone, names, places, score=scores.tolist())


def drawn_boxes(rng, count):
    return np.concatenate([rng.uniform(0, SIDE, (count, 2)), rng.uniform(20, 200, (count, 2))], 1)


def rows_of(images, labels, boxes, **more):
    columns = {"image_id": images.tolist(), "category_id": labels.tolist(), "bbox": boxes.tolist()}
    columns |= more
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def average_precisions(rng, images, skills):
    """Return the AP of each detector on a data set of its own."""
    truth, detectors = simulated(rng, images, skills)
    once = np.ones((1, images), np.int32)
    return [
        over_classes(figures(rankings(columns_of(truth, rows)), once))[0, 0] for rows in detectors
    ]


def simulate(skills, simulations, resamples, images, references, seed=0):
    """Return the true APs of A and B, the shares of intervals of the difference and of A's AP that
    hold them, and how often each verdict was given.
    """
    rng = np.random.default_rng(seed)
    true = np.mean([average_precisions(rng, images, skills) for _ in range(references)], axis=0)
    holds, verdicts = [], Counter()
    for number in range(simulations):
        truth, detectors = simulated(rng, images, skills)
        found = compare(truth, *detectors, resamples, number).of_all["AP"]
        low, high = intervals(truth, detectors[0], resamples, number)["AP"]
        verdicts[found.verdict] += 1
        holds.append((found.low <= true[1] - true[0] <= found.high, low <= true[0] <= high))
    return true, np.mean(holds, axis=0), verdicts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--references", type=int, default=1000, help="sets that give the truth")
    args = parser.parse_args()
    for name, skills in SKILLS.items():
        true, held, verdicts = simulate(skills, **vars(args))
        print(f"{name}: AP of A {true[0]:.4f}, of B {true[1]:.4f}", flush=True)
        print(f"  intervals that hold the difference {held[0]:.1%}, AP of A {held[1]:.1%}")
        print(f"  B is {dict(verdicts)}", flush=True)


if __name__ == "__main__":
    main()
