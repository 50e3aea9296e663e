"""Measure the parameters, work and time of the backbones, and print a table in markdown.

    python benchmarks/backbones.py [NAME ...]

Images are of 800x1344 px, the padding bucket of 800x1333. Work counts a multiplication and an
addition in convolutions and dense layers as two operations. Time is the median of three calls after
a first one, for one image, from normalized pixels to C2..C5. docs/backbones.md has the table.
"""

import argparse
import math
import re
import statistics
import time

import keras
import numpy as np

from keras_retinanet.models import backbone, backbone_names
from keras_retinanet.utils.model import all_layers

SIDES = (800, 1344)
# the same network for other sizes, and widths of ResNets without weights
LEFT_OUT = r"mobilenet(128|160|192)_.*|resnet(18|34)_.*|resnet10_(0\.50|1\.0)"


def names():
    return [name for name in backbone_names() if not re.fullmatch(LEFT_OUT, name)]


def tapped(name, sides):
    """Return a Backbone and the model from images of `sides` px to its C2 to C5."""
    made = backbone(name)
    network = made.network(keras.Input((*sides, 3)))
    return made, keras.Model(network.inputs, made.taps(network))


def multiplications(model):
    """Return the multiplications in convolutions and dense layers of `model`, for one image."""
    total = 0
    for layer in all_layers(model):
        if getattr(layer, "kernel", None) is not None:
            # a depthwise kernel (h, w, C, m) has h·w products for each output value, any other
            # kernel (..., I, O) the product of all sides but O
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            each = layer.kernel.shape[:2] if depthwise else layer.kernel.shape[:-1]
            total += math.prod(layer.output.shape[1:]) * math.prod(each)
    return total


def seconds(model, sides):
    """Return the median time in s of three calls after a first one, for one image."""
    images = np.random.default_rng(0).normal(size=(1, *sides, 3)).astype("float32")
    times = []
    for _ in range(4):
        start = time.perf_counter()
        model.predict_on_batch(images)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def row(name):
    made, model = tapped(name, SIDES)
    cells = [
        f"`{name}`",
        f"{model.count_params() / 1e6:.1f}",
        f"{2 * multiplications(model) / 1e9:.1f}",
        f"{seconds(model, SIDES):.2f}",
        made.imagenet_source() or "none",
    ]
    return f"| {' | '.join(cells)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="backbones (all)")
    args = parser.parse_args()
    print("| name | parameters, M | GFLOPs | CPU, s | ImageNet weights |")
    print("|---|---:|---:|---:|---|")
    for name in args.names or names():
        print(row(name), flush=True)
        keras.backend.clear_session()


if __name__ == "__main__":
    main()
