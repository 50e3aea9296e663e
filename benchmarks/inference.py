"""Measure every installed runtime, image to boxes, in one interleaved run; print a table.

    python benchmarks/inference.py FOLDER [--int8] [--torch-python PATH] [--json FILE]

The model is ResNet-50 with 80 classes and random weights, the input one image of 512x512 px, the
time the median from an array to boxes, NMS included. FOLDER gets the model's files, and keeps them
for the next run. Each score is about 0.2, above the threshold, so NMS has 5,000 candidates.
torchvision's RetinaNet runs in an environment of its own, whose Python `--torch-python` names.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from keras_retinanet import Detector, nms_numpy
from keras_retinanet.engines import is_installed
from keras_retinanet.engines.choose import processor
from keras_retinanet.errors import InputError
from keras_retinanet.parts import PostProcess
from keras_retinanet.utils.threads import usable_threads

BACKBONE, SIDE, CLASSES, LEVELS, TOP_K = "resnet50", 512, 80, 5, 1000
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
DECODING = ("anchors_", "candidates/", "decoded_boxes", "clipped_boxes")  # layers after the heads
FILES = {  # name: what `retinanet-convert-model` adds
    "model.keras": [],
    "saved_model": [],
    "model.onnx": [],
    "model.xml": [],
    "int8.xml": ["--precision", "int8"],
}
RUNS = {  # name in the table: file, engine, precision
    "TensorFlow, .keras": ("model.keras", "keras", None),
    "TensorFlow, SavedModel": ("saved_model", "saved_model", None),
    "ONNX Runtime": ("model.onnx", "onnxruntime", None),
    "OpenVINO": ("model.xml", "openvino", None),
    "OpenVINO, bfloat16": ("model.xml", "openvino", "bfloat16"),
    "OpenVINO, int8": ("int8.xml", "openvino", None),
}
TORCHVISION = f"""
import sys, time, torch, torchvision
torch.set_num_threads({usable_threads()})
model = torchvision.models.detection.retinanet_resnet50_fpn(
    weights=None, weights_backbone=None, num_classes={CLASSES}, min_size={SIDE}, max_size={SIDE},
    score_thresh=0.0, detections_per_img={PostProcess.max_detections}).eval()
image = torch.rand(3, {SIDE}, {SIDE})
with torch.inference_mode():
    for _ in sys.stdin:
        start = time.perf_counter()
        model([image])
        print(time.perf_counter() - start, flush=True)
"""


def machine():
    """Return the processor's model, the instructions that matter here, and the cores."""
    held = Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""
    flags = set(held.partition("flags")[2].partition("\n")[0].split())
    return {
        "processor": processor(),
        "instructions": [flag for flag in FLAGS if flag in flags],
        "threads": usable_threads(),
    }


def write_files(folder, names):
    """Write the files of the model that `folder` lacks, without proof, from random weights."""
    from keras_retinanet.bin import convert_model
    from keras_retinanet.models import backbone
    from keras_retinanet.parts import Design, Heads, Inputs

    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "training.keras"
    if not source.exists():
        inputs = Inputs(image_min_side=SIDE, image_max_side=SIDE)
        design = Design(heads=Heads(prior_probability=0.2), inputs=inputs)
        classes = [f"class {index}" for index in range(CLASSES)]
        backbone(BACKBONE).detector(classes, design=design).save(source)
    for index in range(8):
        photo(index).save(folder / f"{index}.jpg", quality=90)
    for name in names:
        if not (folder / name).exists():
            more = ["--calibrate", str(folder / "*.jpg")] if "int8" in name else []
            options = [str(source), str(folder / name), "--no-verify", *FILES[name], *more]
            convert_model.main(options)


def photo(index):
    """Return an image of 640x480 px with about the detail of a photograph."""
    random = np.random.default_rng(index)
    coarse = Image.fromarray(random.integers(0, 256, (15, 20, 3), "uint8"))
    pixels = np.asarray(coarse.resize((640, 480), Image.Resampling.BICUBIC))
    grain = random.normal(0, 11, pixels.shape)
    return Image.fromarray(np.clip(pixels + grain, 0, 255).astype("uint8"))


def detectors(folder):
    """Return the detectors of the files in `folder`, and the reasons for those left out."""
    found, left_out = {}, {}
    for name, (file, engine, precision) in RUNS.items():
        if not is_installed(engine):
            left_out[name] = f"{engine} is not installed"
        elif not (folder / file).exists():
            left_out[name] = f"no {file}"
        else:
            try:
                found[name] = Detector.load(folder / file, engine, precision, score_threshold=0.05)
            except InputError as error:
                left_out[name] = str(error)
    return found, left_out


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def interleaved(calls, rounds):
    """Return the median seconds of each call; a round makes each once, after two that warm up."""
    times = {name: [] for name in calls}
    for index in range(rounds + 2):
        for name, call in calls.items():
            own = call()
            if index >= 2:
                times[name].append(own)
    return {name: statistics.median(values) for name, values in times.items()}


def torchvision(python):
    """Start torchvision's RetinaNet in another Python, and return a call that times it."""
    process = subprocess.Popen(
        [python, "-c", TORCHVISION], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def call():
        process.stdin.write("\n")
        process.stdin.flush()
        return float(process.stdout.readline())

    return process, call


def matrix_rate():
    """Return the GFLOP/s of NumPy's product of two float32 matrices of 2048x2048."""
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 2048, 2048)).astype("float32")
    return 2 * 2048**3 / 1e9 / statistics.median(timed(lambda: a @ b) for _ in range(9))


def gigaflops(model):
    """Return the GFLOP of the convolutions for one image, two for each multiplication."""
    from keras_retinanet.export.candidates import candidates_function

    graph = candidates_function(model, (SIDE, SIDE)).get_concrete_function().graph
    convolutions = [each for each in graph.get_operations() if each.type == "Conv2D"]
    return sum(2e-9 * multiplications(each) for each in convolutions)


def multiplications(convolution):
    """Return the multiplications of a convolution in a graph of static shapes."""
    kernel = convolution.inputs[1].shape  # (h, w, I, O)
    return math.prod(convolution.outputs[0].shape) * math.prod(kernel[:3])


def decoding_seconds(path):
    """Return the time that ONNX Runtime spends per image after the heads, the median of 9."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_threads()
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = os.path.join(folder, "run")
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        name, images = session.get_inputs()[0].name, np.zeros((1, SIDE, SIDE, 3), "float32")
        for _ in range(11):
            session.run(None, {name: images})
        events = json.loads(Path(session.end_profiling()).read_text())
    runs = [each for each in events if each["name"] == "model_run"]
    sums = []
    for run in runs[2:]:
        inside = range(run["ts"], run["ts"] + run["dur"])
        sums.append(
            sum(
                each["dur"]
                for each in events
                if each["name"].endswith("_kernel_time")
                and each["ts"] in inside
                and any(layer in each["name"] for layer in DECODING)
            )
        )
    return statistics.median(sums) / 1e6


def nms_seconds(detector, image, count):
    """Return the time of NMS in NumPy with `count` candidates above the threshold."""
    boxes, _, labels = (found[0] for found in detector.engine(image[None]))
    scores = np.full(len(boxes), 0.01, "float32")
    scores[:count] = np.linspace(0.99, 0.06, count)
    found = boxes, scores, labels
    call = partial(nms_numpy.detections, found, PostProcess(), (SIDE, SIDE))
    return statistics.median(timed(call) for _ in range(19))


def first_box(folder, file):
    """Return the seconds of a whole `retinanet-detect` on one image, the median of 3."""
    output = str(folder / "found.json")
    code = "import sys; from keras_retinanet.bin import detect; detect.main(sys.argv[1:])"
    command = [sys.executable, "-c", code, str(folder / file), str(folder / "0.jpg")]
    command += ["--json", output, *(["--engine=onnxruntime"] if file.endswith("onnx") else [])]
    run = partial(subprocess.run, command, check=True, capture_output=True)
    return statistics.median(timed(run) for _ in range(3))


def measure(args):
    """Return all figures as a dict."""
    found, left_out = detectors(args.folder)
    image = np.asarray(photo(0).resize((SIDE, SIDE)))
    calls = {name: partial(timed, partial(each, image)) for name, each in found.items()}
    process = None
    if args.torch_python:
        process, calls["torchvision"] = torchvision(args.torch_python)
    seconds = interleaved(calls, args.rounds)
    if process:
        process.stdin.close()
        process.wait()
    figures = {"machine": machine(), "seconds": seconds, "left_out": left_out}
    figures["matrix_gflops"] = matrix_rate()
    figures["gflop"] = gigaflops(found["TensorFlow, .keras"].model)
    if "ONNX Runtime" in found:
        figures.update(details(args, found["ONNX Runtime"], image, seconds["ONNX Runtime"]))
    return figures


def details(args, detector, image, seconds):
    """Return the shares of decoding, NMS and JPEG decoding of ONNX Runtime, and its start."""
    path = str(args.folder / "0.jpg")
    pixels = np.asarray(Image.open(path))
    files = {"file": partial(detector, path), "array": partial(detector, pixels)}
    files = interleaved({name: partial(timed, call) for name, call in files.items()}, args.rounds)
    decoding = decoding_seconds(str(args.folder / "model.onnx"))
    nms = {count: nms_seconds(detector, image, count) for count in (1000, LEVELS * TOP_K)}
    shares = {count: (decoding + each) / seconds for count, each in nms.items()}
    starts = {file: first_box(args.folder, file) for file in ("model.onnx", "model.keras")}
    return {
        "decoding_seconds": decoding,
        "nms_seconds": nms,
        "decoding_and_nms_share": shares,
        "file_over_array": files["file"] / files["array"],
        "first_box_seconds": starts,
    }


def report(figures):
    """Return the figures as a table in markdown and a few lines."""
    seconds, whole = figures["seconds"], figures["machine"]
    base = seconds.get("torchvision")
    lines = [
        f"{whole['processor']}, {whole['threads']} threads, {' '.join(whole['instructions'])}",
        "",
        "| runtime | s | of torchvision |",
        "|---|---:|---:|",
    ]
    for name, value in sorted(seconds.items(), key=lambda pair: pair[1]):
        lines.append(f"| {name} | {value:.3f} | {f'{value / base:.2f}' if base else ''} |")
    lines += [f"| {name} | | {reason} |" for name, reason in figures["left_out"].items()]
    rate, work = figures["matrix_gflops"], figures["gflop"]
    best = min(value for name, value in seconds.items() if "int8" not in name)
    lines += [
        "",
        f"work {work:.0f} GFLOP; matrix product {rate:.0f} GFLOP/s; "
        f"the best reaches {work / best / rate:.0%} of it",
    ]
    for count, share in figures.get("decoding_and_nms_share", {}).items():
        nms = figures["nms_seconds"][count]
        lines.append(
            f"{count} candidates: decoding {1e3 * figures['decoding_seconds']:.1f} ms and NMS "
            f"{1e3 * nms:.1f} ms, {share:.1%} of ONNX Runtime's time"
        )
    if "file_over_array" in figures:
        lines.append(f"JPEG file to boxes over array to boxes: {figures['file_over_array']:.2f}")
        for file, value in figures["first_box_seconds"].items():
            lines.append(f"retinanet-detect {file}, from start to end: {value:.2f} s")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="for the model's files")
    parser.add_argument("--int8", action="store_true", help="quantize too, which takes minutes")
    parser.add_argument("--torch-python", metavar="PATH", help="a Python with torchvision")
    parser.add_argument("--rounds", type=int, default=9, help="measured calls of each (9)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    args = parser.parse_args()
    write_files(args.folder, [name for name in FILES if args.int8 or name != "int8.xml"])
    figures = measure(args)
    print(report(figures))
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
