"""Measure a training step of ResNet-50 per backend and precision, beside torchvision's; print a
table.

    python benchmarks/train_step.py --backend jax --precision float32 mixed_bfloat16
    python benchmarks/train_step.py --backend tensorflow torch=PYTHON --torch-python PYTHON

Each row runs in a process of its own, and all take a step in turn, so that other work on the
machine slows all of them; a figure is the median. A step is forward, backward and update by SGD of
all weights, batch norm frozen, with 80 classes and random images, on the device that the backend
chooses, and ends when its loss is known. torchvision matches boxes with anchors in its step; ours
are matched beforehand, in the loader. `--torch-python` names the Python of an environment with
torchvision, and `torch=PYTHON` of one with Keras and torch; TensorFlow is not needed for other
backends.

The share of peak is that of three times the forward pass's convolutions in the peak of the GPU's
data sheet (dense; TF32 for float32), or for a CPU in NumPy's product of two float32 matrices.
Memory is the peak that the backend reports for a GPU, and the process's resident peak for a CPU.

Figures in docs/training.md come from two CPU cores that other work kept busy, with one measured
step of each row; no GPU has been measured.
"""

import argparse
import json
import math
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

CLASSES, BOXES = 80, 8
# FLOP/s of NVIDIA's data sheets, dense: TF32, and bfloat16 or float16
PEAKS = {
    "H200": (494.7e12, 989.4e12),
    "H100": (494.7e12, 989.4e12),
    "A100": (156e12, 312e12),
    "L4": (60e12, 121e12),
}
TORCHVISION = """
import json, resource, sys, time, torch, torchvision
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.detection.retinanet import RetinaNet
from torchvision.ops.feature_pyramid_network import LastLevelP6P7
from torchvision.ops.misc import FrozenBatchNorm2d
side, batch, threads, precision, classes, count = json.loads(sys.argv[1])
torch.set_num_threads(threads)
gpu = torch.cuda.is_available()
device = torch.device("cuda" if gpu else "cpu")
network = torchvision.models.resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
extra = LastLevelP6P7(2048, 256)
backbone = _resnet_fpn_extractor(network, 5, returned_layers=[2, 3, 4], extra_blocks=extra)
model = RetinaNet(backbone, classes, min_size=side, max_size=side).to(device).train()
optimizer = torch.optim.SGD(model.parameters(), 1e-4, momentum=0.9, weight_decay=1e-4)
images = [torch.rand(3, side, side, device=device) for _ in range(batch)]
corners = torch.rand(count, 2, device=device) * side / 2
boxes = torch.cat([corners, corners + side / 4], 1)
targets = [{"boxes": boxes, "labels": torch.arange(count, device=device)} for _ in range(batch)]
kind = {"mixed_bfloat16": torch.bfloat16, "mixed_float16": torch.float16}.get(precision)

def step():
    start = time.perf_counter()
    optimizer.zero_grad()
    with torch.autocast(device.type, kind, kind is not None):
        loss = sum(model(images, targets).values())
    loss.backward()
    optimizer.step()
    loss.item()
    if gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - start

print(torch.cuda.get_device_name() if gpu else "CPU", flush=True)
for line in sys.stdin:
    print(step(), flush=True)
peak = torch.cuda.max_memory_allocated() if gpu else 0
print(peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, flush=True)
"""


def make_model(side, precision="float32", jit=True):
    """Return a compiled training model of ResNet-50 for images of `side` px."""
    from keras_retinanet import losses
    from keras_retinanet.models import backbone
    from keras_retinanet.models.precision import set_precision
    from keras_retinanet.optimizers import SGD
    from keras_retinanet.parts import Design, Freeze, Inputs

    design = Design(inputs=Inputs(image_min_side=side, image_max_side=side))
    names = [f"class {index}" for index in range(CLASSES)]
    model = backbone("resnet50").detector(names, design=design, freeze=Freeze(batch_norm=True))
    set_precision(model, precision)
    chosen = {"regression": losses.l1(), "classification": losses.focal(from_logits=True)}
    optimizer = SGD(1e-4, momentum=0.9, weight_decay=1e-4)
    model.compile(optimizer, chosen, jit_compile="auto" if jit else False)
    return model


def make_batch(side, batch):
    """Return random images and the compact targets of random boxes."""
    from keras_retinanet.preprocessing.collate import Anchoring, compact_targets

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch, side, side, 3), "uint8")
    corners = random.uniform(0, side / 2, (batch, BOXES, 2))
    boxes = np.concatenate([corners, corners + side / 4], axis=-1).astype("float32")
    rows = [{"bboxes": each, "labels": np.arange(BOXES)} for each in boxes]
    return images, compact_targets([(side, side)] * batch, rows, (side, side), Anchoring(), BOXES)


def forward_flops(model, shape):
    """Return the FLOP of the convolutions for images of `shape`, two for each multiplication."""
    import keras

    total, output_shape = 0, keras.layers.Conv2D.compute_output_shape

    def counted(layer, input_shape):
        nonlocal total
        made = output_shape(layer, input_shape)
        total += 2 * math.prod(made) * math.prod(layer.kernel.shape[:3])
        return made

    keras.layers.Conv2D.compute_output_shape = counted
    try:
        model.compute_output_spec(keras.KerasTensor(shape, "uint8"))
    finally:
        del keras.layers.Conv2D.compute_output_shape
    return total


def device_and_memory():
    """Return the name of the backend's device, and the most bytes that it held so far."""
    import keras

    backend = keras.backend.backend()
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if backend == "jax":
        import jax

        device = jax.devices()[0]
        if device.platform != "cpu":
            return device.device_kind, device.memory_stats()["peak_bytes_in_use"]
    elif backend == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name(), torch.cuda.max_memory_allocated()
    else:
        import tensorflow as tf

        for device in tf.config.list_physical_devices("GPU"):
            details = tf.config.experimental.get_device_details(device)
            peak = tf.config.experimental.get_memory_info("GPU:0")["peak"]
            return details.get("device_name", "GPU"), peak
    return "CPU", resident


def work(side, batch, precision, jit):
    """Train a step for each line of the standard input; print device, seconds and memory."""
    model, data = make_model(side, precision, jit), make_batch(side, batch)
    print(device_and_memory()[0], flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        loss = float(np.ravel(model.train_on_batch(*data))[0])
        print(time.perf_counter() - start, flush=True)
    if not math.isfinite(loss):
        sys.exit(f"loss {loss}")
    print(device_and_memory()[1], flush=True)


class Row:
    """A process that takes a step when asked."""

    def __init__(self, command, **environment):
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        self.device = self.process.stdout.readline().strip()
        if not self.device:
            sys.exit(f"cannot start: {' '.join(command[:4])[:200]}")
        self.seconds = []

    def step(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.seconds.append(float(self.process.stdout.readline()))

    def end(self):
        """End the process and return its peak of memory in bytes."""
        self.process.stdin.close()
        memory = float(self.process.stdout.readline())
        self.process.wait()
        return memory


def start_rows(args):
    """Return the rows by name."""
    from keras_retinanet.utils.threads import usable_threads

    rows = {}
    frugal = {  # several processes share a GPU
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    for precision in args.precision:
        for word in args.backend:
            backend, _, python = word.partition("=")
            command = [python or sys.executable, __file__, "--worker", precision]
            command += ["--side", str(args.side), "--batch", str(args.batch)]
            for jit in (True, False) if args.no_jit and backend == "tensorflow" else (True,):
                name = f"{backend}{'' if jit else ' without XLA'}, {precision}"
                more = [] if jit else ["--no-jit"]
                rows[name] = Row([*command, *more], KERAS_BACKEND=backend, **frugal)
        if args.torch_python:
            numbers = [args.side, args.batch, usable_threads(), precision, CLASSES, BOXES]
            command = [args.torch_python, "-c", TORCHVISION, json.dumps(numbers)]
            rows[f"torchvision, {precision}"] = Row(command)
    return rows


def matrix_rate():
    """Return the FLOP/s of NumPy's product of two float32 matrices of 2048x2048."""
    a, b = np.random.default_rng(0).normal(size=(2, 2048, 2048)).astype("float32")

    def seconds():
        start = time.perf_counter()
        a @ b
        return time.perf_counter() - start

    return 2 * 2048**3 / statistics.median(seconds() for _ in range(9))


def peak_of(device, precision, cpu):
    """Return the peak FLOP/s of a device, `cpu` for a CPU, None if it is not known."""
    if device == "CPU":
        return cpu
    known = [rates for name, rates in PEAKS.items() if name in re.split(r"[ -]", device)]
    return known[0][precision != "float32"] if known else None


def measure(args):
    """Return the figures of each row."""
    flop = 3 * forward_flops(make_model(args.side), (args.batch, args.side, args.side, 3))
    rows = start_rows(args)
    for _ in range(args.rounds + 2):  # two warm up
        for row in rows.values():
            row.step()
    cpu, figures = matrix_rate(), []
    for name, row in rows.items():
        seconds = statistics.median(row.seconds[2:])
        peak = peak_of(row.device, name.rpartition(" ")[2], cpu)
        share = None if peak is None else flop / seconds / peak
        values = {"row": name, "device": row.device, "seconds": seconds, "share": share}
        figures.append({**values, "images": args.batch / seconds, "memory": row.end()})
    return {"flop": flop, "cpu_rate": cpu, "rows": figures}


def report(figures):
    """Return the figures as a table in markdown."""
    bases = {
        each["row"].rpartition(" ")[2]: each["seconds"]
        for each in figures["rows"]
        if each["row"].startswith("torchvision")
    }
    lines = [
        f"{figures['flop'] / 1e9:.0f} GFLOP in a step",
        "",
        "| row | device | images/s | s | of torchvision | memory, GiB | share of peak |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for each in sorted(figures["rows"], key=lambda each: each["seconds"]):
        base = bases.get(each["row"].rpartition(" ")[2])
        ratio = "" if base is None else f"{each['seconds'] / base:.2f}"
        share = "" if each["share"] is None else f"{each['share']:.0%}"
        lines.append(
            f"| {each['row']} | {each['device']} | {each['images']:.2f} | {each['seconds']:.3f} | "
            f"{ratio} | {each['memory'] / 2**30:.1f} | {share} |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    own = os.environ.get("KERAS_BACKEND", "tensorflow")
    parser.add_argument("--backend", nargs="+", default=[own], metavar="NAME[=PYTHON]")
    parser.add_argument("--precision", nargs="+", default=["float32"])
    parser.add_argument("--side", type=int, default=512, help="px (512)")
    parser.add_argument("--batch", type=int, default=2, help="images in a batch (2)")
    parser.add_argument("--rounds", type=int, default=5, help="measured steps of each (5)")
    parser.add_argument("--no-jit", action="store_true", help="also TensorFlow without XLA")
    parser.add_argument("--torch-python", metavar="PYTHON", help="a Python with torchvision")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    parser.add_argument("--worker", metavar="PRECISION", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return work(args.side, args.batch, args.worker, not args.no_jit)
    figures = measure(args)
    print(report(figures))
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
