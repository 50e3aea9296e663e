"""What the backbones cost: parameters, work and time on this computer, as a table in markdown.

    python benchmarks/backbones.py [NAME ...]

Images are of 800x1344 px, the canvas of 800x1333. Work counts a multiplication and an addition of
convolutions and dense layers as two; time is the median of three after a first one, for one image,
from normalised pixels to C2..C5. The table of docs/backbones.md is what it prints.
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
# other sizes of the same network, and widths of ResNets without weights
LEFT_OUT = r"mobilenet(128|160|192)_.*|resnet(18|34)_.*|resnet10_(0\.50|1\.0)"


def names():
    return [name for name in backbone_names() if not re.fullmatch(LEFT_OUT, name)]


def tapped(name, sides):
    """(Backbone, model): its network as far as C2 to C5, on images of `sides` px."""
    made = backbone(name)
    network = made.network(keras.Input((*sides, 3)))
    return made, keras.Model(network.inputs, made.taps(network))


def multiplications(model):
    """How often the convolutions and dense layers of `model` multiply, for one image."""
    total = 0
    for layer in all_layers(model):
        if getattr(layer, "kernel", None) is not None:
            # a depthwise kernel (h, w, C, m) gives C·m values of h·w products, others (..., I, O)
            # give O values of as many products as there are entries for each
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            each = layer.kernel.shape[:2] if depthwise else layer.kernel.shape[:-1]
            total += math.prod(layer.output.shape[1:]) * math.prod(each)
    return total


def seconds(model, sides):
    """The median time of three calls after a first one, for one image."""
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
    parser.add_argument("names", nargs="*", metavar="NAME", help="of backbones (all)")
    args = parser.parse_args()
    print("| name | parameters, M | GFLOPs | CPU, s | ImageNet weights |")
    print("|---|---:|---:|---:|---|")
    for name in args.names or names():
        print(row(name), flush=True)
        keras.backend.clear_session()


if __name__ == "__main__":
    main()
