"""Measure the loader: JPEG of 640x480 px to 800x1333, 20 boxes, flips, 9 anchors per location.

    OMP_NUM_THREADS=1 python benchmarks/loading.py

In ms per image on one of two cores, with light augmentation: decode 1.7, with flip and resize 2.9,
match the 20 boxes 0.7, the whole batch 4.2 (240 images per second); with default augmentation 4.6,
with strong augmentation 7.1. Two threads load 374 images per second.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from keras_retinanet.preprocessing.dataset import Dataset, checked, make_record
from keras_retinanet.preprocessing.loader import Loader
from keras_retinanet.synthetic import draw_image
from keras_retinanet.utils.threads import prefetch

IMAGES, BOXES, SIZE = 64, 20, (640, 480)


def write_images(folder):
    """Write images with about the detail of photographs, 20 boxes on each, as a data set."""
    records = []
    for index in range(IMAGES):
        rng = np.random.default_rng(index)
        image, _ = draw_image(rng, SIZE[0])
        grain = rng.normal(0, 11, (SIZE[1], SIZE[0], 3))
        image = np.clip(image[: SIZE[1]] + grain, 0, 255).astype("uint8")
        path = Path(folder) / f"{index:03d}.jpg"
        Image.fromarray(image).save(path, quality=90)
        sides = 2 ** rng.uniform(3.5, 8.2, (BOXES, 2))  # 11 to 294 px
        corners = rng.uniform(0, 1, (BOXES, 2)) * (np.array(SIZE) - sides)
        boxes = np.concatenate([corners, corners + sides], axis=1)
        records.append(make_record(path, index, boxes, rng.integers(0, 80, BOXES)))
    names = [f"class {i}" for i in range(80)]
    return checked(Dataset(records, names, list(range(1, 81))))


def milliseconds(function):
    """Return the median time of `function(i)` over the images in ms."""
    times = []
    for i in range(IMAGES):
        start = time.perf_counter()
        function(i)
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def time_steps(loader):
    """Return {step: ms per image} on one core."""
    examples = [loader.example(i, (0, i)) for i in range(IMAGES)]
    shape = loader.bucket_of(0)[::-1]

    def match(i):
        image, annotations = examples[i]
        loader.anchoring.match(shape, annotations, image.shape[1::-1])

    match(0)  # computes the anchors of the shape
    return {
        "decode": milliseconds(loader.reader.read),
        "decode, augment, resize": milliseconds(lambda i: loader.example(i, (0, i))),
        "match": milliseconds(match),
        "the whole batch": milliseconds(loader.batch_at),
    }


def throughput(loader, workers, steps=8 * IMAGES):
    """Return the images per second of `workers` threads, after a quarter of the steps."""
    start, warm = None, steps // 4
    for done, _ in enumerate(prefetch(loader.batch_at, range(steps), workers, 2 * workers)):
        if done == warm:
            start = time.perf_counter()
    return (steps - 1 - warm) / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="(%(default)s)")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        dataset = write_images(folder)
        for level in ("light", "default", "strong"):
            loader = Loader(dataset, augmentation=level)
            print(f"{level} augmentation, ms per image on one core:")
            for step, ms in time_steps(loader).items():
                print(f"  {step:24} {ms:6.2f}")
            for workers in sorted({1, 2, args.workers}):
                print(f"  images per second, {workers} threads: {throughput(loader, workers):.0f}")


if __name__ == "__main__":
    main()
