"""COCO's figures on a set of the size of COCO's: `evaluate_coco` and pycocotools, time and memory.

    python benchmarks/evaluation.py [--images 5000] [--boxes 36000] [--detections 500000]

Each runs in a process of its own, from the same `Detections` to the twelve figures, its input
built included. Prints seconds, the memory that it added, and whether all figures are equal.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

from keras_retinanet.detections import Detections
from keras_retinanet.evaluation.coco import FIGURES, evaluate_coco, ground_truth, results
from keras_retinanet.preprocessing.dataset import Dataset, Record

CLASSES = 80


def drawn(args: argparse.Namespace) -> tuple[Dataset, list[Detections]]:
    """Return random boxes, and detections of which about a third lie near one of them."""
    rng = np.random.default_rng(0)
    counts = rng.multinomial(args.boxes, np.full(args.images, 1 / args.images))
    found = rng.multinomial(args.detections, np.full(args.images, 1 / args.images))
    pairs = [
        drawn_image(rng, *each) for each in zip(range(args.images), counts, found, strict=True)
    ]
    records, detections = zip(*pairs, strict=True)
    names = [f"class {label}" for label in range(CLASSES)]
    return Dataset(list(records), names, list(range(1, CLASSES + 1))), list(detections)


def drawn_image(
    rng: np.random.Generator, index: int, boxes: int, found: int
) -> tuple[Record, Detections]:
    places, labels = drawn_boxes(rng, boxes), rng.integers(0, CLASSES, boxes)
    record = Record(
        path=f"{index}.jpg",
        image_id=index + 1,
        size=(640, 480),
        boxes=places,
        labels=labels,
        ignore=rng.random(boxes) < 0.02,
        area=(places[:, 2:] - places[:, :2]).prod(axis=1),
    )
    near = rng.integers(0, boxes, found // 3) if boxes else np.zeros(0, int)
    moved = places[near] + rng.normal(0, 4, (len(near), 4)).astype("float32")
    others = drawn_boxes(rng, found - len(near))
    scores = np.sort(rng.random(found).astype("float32"))[::-1]
    order = rng.permutation(found)
    each = np.concatenate([labels[near], rng.integers(0, CLASSES, len(others))])[order]
    return record, Detections(np.concatenate([moved, others])[order], scores, each)


def drawn_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corner = rng.uniform(0, 400, (count, 2))
    boxes = np.concatenate([corner, corner + 2 ** rng.uniform(3, 8, (count, 2))], axis=1)
    return boxes.astype("float32")


def by_pycocotools(dataset: Dataset, detections: list[Detections]) -> list[float]:
    """Return the twelve figures of pycocotools' own summary."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO()
    truth.dataset = ground_truth(dataset)
    truth.createIndex()
    evaluator = COCOeval(truth, truth.loadRes(results(dataset, detections)), "bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    return evaluator.stats.tolist()


def by_us(dataset: Dataset, detections: list[Detections]) -> list[float]:
    metrics = evaluate_coco(dataset, detections)
    return [metrics[name] for name in FIGURES]


WAYS = {"pycocotools": by_pycocotools, "evaluate_coco": by_us}


def measure(args: argparse.Namespace) -> None:
    """Print {"seconds", "MB", "figures"} of one way as the last line."""
    data = drawn(args)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    figures = WAYS[args.way](*data)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "MB": (after - before) / 1e3, "figures": figures}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--boxes", type=int, default=36_000)
    parser.add_argument("--detections", type=int, default=500_000)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        measure(args)
        return
    rows = {}
    for way in WAYS:
        words = [sys.executable, *sys.argv, "--way", way]
        output = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        rows[way] = json.loads(output.splitlines()[-1])
        print(f"{way:<14} {rows[way]['seconds']:7.2f} s {rows[way]['MB']:8.0f} MB")
    one, other = rows["pycocotools"], rows["evaluate_coco"]
    print(f"{one['seconds'] / other['seconds']:.1f} times as fast")
    print("equal" if one["figures"] == other["figures"] else "DIFFERENT", other["figures"])


if __name__ == "__main__":
    main()
