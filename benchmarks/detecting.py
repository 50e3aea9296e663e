"""Images per second of `retinanet-detect`, and of one image after the other through `predict`.

    python benchmarks/detecting.py FOLDER [--images 1000]

FOLDER gets JPEG images of 640x480 px and a MobileNet detector with random weights, and keeps them
for the next run. Each way runs in a process of its own; its time begins after the first image. The
memory is that of the process after a quarter of the images and at the end.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

BACKBONE, SIZE = "mobilenet224_0.25", (640, 480)


def prepare(folder: Path, count: int) -> None:
    """Write the images and the model, unless they are there."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for index in range(count):
        path = images / f"{index:04d}.jpg"
        if not path.exists():
            coarse = rng.integers(0, 255, (24, 32, 3), "uint8")
            Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC).save(path, quality=90)
    if not (folder / "model.keras").exists():
        from keras_retinanet.models import backbone
        from keras_retinanet.parts import Design, Inputs

        design = Design(inputs=Inputs(image_min_side=320, image_max_side=427))
        built = backbone(BACKBONE).detector([str(label) for label in range(20)], design=design)
        built.save(folder / "model.keras")


class Watch:
    """The time since the first image, and the memory at a quarter and at the end."""

    def __init__(self, count: int) -> None:
        self.count, self.done, self.start, self.memory = count, 0, 0.0, []

    def step(self) -> None:
        self.done += 1
        if self.done == 1:
            self.start = time.perf_counter()
        if self.done in (self.count // 4, self.count):
            self.memory.append(resident())

    def figures(self) -> dict:
        seconds = time.perf_counter() - self.start
        return {"rate": (self.done - 1) / seconds, "MB": self.memory}


def resident() -> float:
    """Return the MB of memory that this process holds (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmRSS"))


def one_by_one(folder: Path, count: int) -> dict:
    """Read, resize and predict one image after the other with the Keras model."""
    from keras_retinanet.detector_options import DetectorOptions
    from keras_retinanet.engines.keras import inference_model
    from keras_retinanet.models.loading import load_retinanet

    model = load_retinanet(folder / "model.keras", compile=False)
    model = inference_model(model, DetectorOptions())
    watch = Watch(count)
    for path in sorted((folder / "images").iterdir())[:count]:
        image = Image.open(path).convert("RGB").resize((427, 320), Image.Resampling.BILINEAR)
        padded = np.zeros((1, 320, 448, 3), "float32")
        padded[0, :, :427] = np.asarray(image)
        boxes, scores, labels = model.predict(padded, verbose=0)[:3]
        kept = scores[0] > 0.5
        json.dumps([boxes[0][kept].tolist(), scores[0][kept].tolist(), labels[0][kept].tolist()])
        watch.step()
    return watch.figures()


def command(folder: Path, count: int) -> dict:
    """Run `retinanet-detect` with JSON lines."""
    from keras_retinanet.bin import detect
    from keras_retinanet.detection_files import WRITERS, json_lines

    watch = Watch(count)

    def counting(path):
        writer = json_lines(path)
        return Counted(writer, watch)

    WRITERS["jsonl"] = counting
    sources = list(map(str, sorted((folder / "images").iterdir())[:count]))
    detect.main([str(folder / "model.keras"), *sources, "--jsonl", str(folder / "found.jsonl")])
    return watch.figures()


class Counted:
    """A writer that tells a `Watch` of each image."""

    def __init__(self, writer, watch: Watch) -> None:
        self.writer, self.watch = writer, watch

    def __enter__(self):
        add = self.writer.__enter__()

        def counted(frame, found):
            add(frame, found)
            self.watch.step()

        return counted

    def __exit__(self, *error):
        return self.writer.__exit__(*error)


WAYS = {"predict": one_by_one, "retinanet-detect": command}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        print(json.dumps(WAYS[args.way](args.folder, args.images)))
        return
    prepare(args.folder, args.images)
    rates = {}
    for way in WAYS:
        words = [sys.executable, *sys.argv, "--way", way]
        output = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
        figures = json.loads(output.splitlines()[-1])
        rates[way] = figures["rate"]
        first, last = figures["MB"]
        print(
            f"{way:<17} {figures['rate']:6.1f} images/s, {first:.0f} MB, {last:.0f} MB at the end"
        )
    print(f"{rates['retinanet-detect'] / rates['predict']:.2f} times as many images a second")


if __name__ == "__main__":
    main()
