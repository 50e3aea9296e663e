"""How fast pictures become batches: COCO-like JPEG of 640x480 px to 800x1333, flipped, 9 anchors a
place.

    OMP_NUM_THREADS=1 python benchmarks/input_pipeline.py

On 2 cores, ms an image on one: decode 1.7, flip and resize 1.2, pad 0.2, encode its 20 boxes
0.7, also at 800x1344; the whole 4.2 (240 images a second), with the default augmentation 4.6, with
the strong one 7.1. With two workers 374 images a second in threads and 220 in processes, whose
batches the third process has to copy. Resident memory: 345 MB after 2 epochs, 349 MB after 20.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from keras_retinanet.preprocessing.batches import Batches, fit
from keras_retinanet.preprocessing.dataset import Dataset, checked, make_record
from keras_retinanet.preprocessing.feed import prefetch
from keras_retinanet.preprocessing.sample import draw_sample
from keras_retinanet.preprocessing.workers import worker_processes

IMAGES, BOXES, SIZE = 64, 20, (640, 480)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=20, help="for the memory (%(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="(%(default)s)")
    return parser.parse_args()


def write_images(folder):
    """A data set of drawn pictures with about the detail of photographs, 20 boxes on each."""
    records = []
    for index in range(IMAGES):
        rng = np.random.default_rng(index)
        image, _, _ = draw_sample(rng, SIZE[0])
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


def milliseconds(function, count=IMAGES):
    """The median time of `function(i)` in ms."""
    times = []
    for i in range(count):
        start = time.perf_counter()
        function(i)
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def time_steps(batches):
    """{step: ms an image} on one core."""
    images = [batches.load(i) for i in range(IMAGES)]
    sizes = [batches.resized_size(i) for i in range(IMAGES)]
    samples = [batches.sample(i, (0, i)) for i in range(IMAGES)]
    shape = batches.canvas(0)[::-1]

    def augmented(i):
        return batches.augment(*images[i], np.random.default_rng(i), sizes[i])

    def encoded(i):
        return batches.compute_targets([samples[i][0]], [samples[i][1]], shape)

    encoded(0)  # the anchors of the canvas are made once
    return {
        "decode": milliseconds(batches.load),
        "resize": milliseconds(lambda i: fit(*images[i], sizes[i])),
        "flip and resize": milliseconds(augmented),
        "pad": milliseconds(lambda i: batches.compute_inputs([samples[i][0]], shape[::-1])),
        "encode": milliseconds(encoded),
        "encode 800x1344": milliseconds(lambda i: encode_largest(batches, i)),
        "whole": milliseconds(batches.batch_at),
    }


def encode_largest(batches, index):
    """The targets of an image of 800x1333 px on a canvas of 800x1344: 201,600 anchors."""
    boxes = batches.dataset.records[index].boxes * np.float32((1333 / 640, 800 / 480) * 2)
    annotations = {"bboxes": boxes, "labels": np.zeros(BOXES, int)}
    batches.compute_targets([np.empty((800, 1333, 3), "uint8")], [annotations], (800, 1344))


def throughput(make, workers, steps=16 * IMAGES):
    """Images a second, after the first few."""
    start, warm = None, steps // 4
    for done, _ in enumerate(prefetch(make, range(steps), workers, 2 * workers)):
        if done == warm:
            start = time.perf_counter()
    return (steps - 1 - warm) / (time.perf_counter() - start)


def resident():
    """The memory of this process in MB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main():
    args = parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        dataset = write_images(folder)
        kilobytes = np.mean([os.path.getsize(record.path) for record in dataset.records]) / 1024
        print(f"{IMAGES} pictures of {SIZE[0]}x{SIZE[1]} px, {kilobytes:.0f} KB each")
        batches = Batches(dataset, augmentation="light")
        print("ms an image on one core, and images a second:")
        for step, ms in time_steps(batches).items():
            print(f"  {step:16} {ms:6.2f} {1e3 / ms:8.1f}")
        for level in ("default", "strong"):
            ms = milliseconds(Batches(dataset, augmentation=level).batch_at)
            print(f"  whole, {level:9} {ms:6.2f} {1e3 / ms:8.1f}")
        print(f"images a second with {args.workers} workers:")
        print(f"  threads          {throughput(batches.batch_at, args.workers):8.1f}")
        with worker_processes(batches, args.workers, 2 * args.workers) as make:
            print(f"  processes        {throughput(make, 2 * args.workers):8.1f}")
        print(f"resident MB over {args.epochs} epochs of {IMAGES} images:")
        sizes = []
        for epoch in range(args.epochs):
            for _ in prefetch(batches.batch_at, range(epoch * IMAGES, (epoch + 1) * IMAGES), 2, 4):
                pass
            sizes.append(resident())
        print(f"  after epoch 2 {sizes[1]:.0f}, after epoch {args.epochs} {sizes[-1]:.0f}")


if __name__ == "__main__":
    multiprocessing.freeze_support()
    main()
