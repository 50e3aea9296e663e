"""Compare losses, samplers, assigners and detectors on the same data, over several seeds.

    python benchmarks/loss_ablation.py --output ablation

The script draws a data set, trains a small RetinaNet from scratch once for each row and seed, and
writes `results.jsonl`, a line for each training as it ends, and `table.md`. If it is stopped, run
it again and it continues. `--rows` chooses rows. The sizes are arguments, so the same script can
use a GPU: `--size 512 --images 20000 --width 256 --backbone resnet50`.

With the defaults a training takes about 85 s of one core. docs/losses.md has the table.
"""

import argparse
import contextlib
import json
import logging
import multiprocessing
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

FOCAL = "--classification-loss focal"
CE = "--classification-loss cross_entropy"
GFL = "--detector gfl"
BOX = "--box-loss"

# The options of each row; by default it trains the paper's focal loss with smooth L1. The values of
# alpha are the ones that the focal loss paper pairs with gamma.
CORE = {
    "cross entropy": CE,
    "cross entropy, α 0.75": f"{CE}:alpha=0.75",
    "focal, γ 0.5, α 0.5": f"{FOCAL}:gamma=0.5,alpha=0.5",
    "focal, γ 1, α 0.25": f"{FOCAL}:gamma=1,alpha=0.25",
    "focal, γ 2, α 0.25": "",
    "focal, γ 5, α 0.25": f"{FOCAL}:gamma=5,alpha=0.25",
    "OHEM": f"{CE} --selector ohem:count=64",
    "OHEM 1:3": f"{CE} --selector ohem:count=64,ratio=3",
    "smooth L1": "",
    "GIoU": f"{BOX} giou",
    "CIoU": f"{BOX} ciou",
    "QFL": f"{GFL} --coder distances {BOX} gfl:dfl=0",
    "DFL": f"{GFL} {FOCAL}",
    "GFL": GFL,
}
CLASSIFICATION = {
    "cross entropy, α 0.25": f"{CE}:alpha=0.25",
    "cross entropy, α 0.5": f"{CE}:alpha=0.5",
    "cross entropy, α 0.9": f"{CE}:alpha=0.9",
    "focal, γ 0, α 0.75": f"{CE}:alpha=0.75",  # the same
    "hard negatives 3:1 (SSD)": f"{CE} --selector hard_negative",
    "GHM-C": "--classification-loss ghm_classification",
}
BOXES = {
    "IoU": f"{BOX} iou",
    "DIoU": f"{BOX} diou",
    "GHM-R": f"{BOX} ghm_regression",
}
QUALITY = {
    "ATSS, neither QFL nor DFL": f"{GFL} --coder distances {FOCAL} {BOX} gfl:dfl=0",
    "ATSS, IoU branch": f"{GFL} --coder distances {FOCAL} {BOX} gfl:dfl=0 --iou-branch",
    "GFL without GIoU": f"{GFL} {BOX} gfl:giou=0",
}
CLAIMS = {
    "softmax focal": "--classification-loss softmax_focal",
    "FL*, γ 2, β 1": "--classification-loss focal_star",
    "focal, no prior": "--prior-probability none",
    "focal, π 0.1": "--prior-probability 0.1",
    "focal, π 0.001": "--prior-probability 0.001",
    "noise band 0.3..0.5": "--assigner iou:negative_overlap=0.3",
    "warm-up with cross entropy": "--warmup-loss cross_entropy --warmup-loss-epochs 2",
}
MORE = {
    "GHM-C, 10 bins": "--classification-loss ghm_classification:bins=10",
    "GHM-R, μ 0.2": f"{BOX} ghm_regression:mu=0.2",
    "RetinaNet, GIoU, ATSS": f"{BOX} giou --assigner atss",
    "DFL, focal without α": f"{GFL} {FOCAL}:alpha=None",
    "focal, γ 2, without α": f"{FOCAL}:alpha=None",
    "cross entropy, no prior": f"{CE} --prior-probability none",
    "varifocal": "--classification-loss varifocal",
    "L1": f"{BOX} l1",
    "OHEM smooth L1": f"{BOX} ohem_smooth_l1",
    "distributions without DFL": f"{GFL} {BOX} gfl:dfl=0",
    "softmax cross entropy": "--classification-loss softmax_focal:gamma=0,alpha=None",
    "cross entropy, α inverse frequency": f"{CE}:alpha=inverse_frequency",
}
ROWS = CORE | CLASSIFICATION | BOXES | QUALITY | CLAIMS | MORE
# the options of all rows
SAME = "--no-weights --augmentation light --no-evaluation"
ANCHORS = """\
[anchor_parameters]
sizes = {sizes}
strides = 8 16 32
ratios = 1
scales = {scales}

[pyramid_levels]
levels = 3 4 5
"""
SIDES = (12, 24, 48)  # of the anchors, px, in images of 128 px


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("ablation"))
    parser.add_argument("--size", type=int, default=128, help="px of the images (%(default)s)")
    parser.add_argument("--images", type=int, default=400, help="to train on (%(default)s)")
    parser.add_argument("--held-out", type=int, default=150, help="to evaluate on (%(default)s)")
    parser.add_argument("--epochs", type=int, default=20, help="(%(default)s)")
    parser.add_argument("--batch-size", type=int, default=8, help="(%(default)s)")
    parser.add_argument("--backbone", default="resnet10_0.25", help="(%(default)s)")
    parser.add_argument("--width", type=int, default=32, help="pyramid features (%(default)s)")
    parser.add_argument("--depth", type=int, default=1, help="of the heads (%(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of a row (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once (%(default)s)")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), metavar="ROW", help=str([*ROWS]))
    return parser.parse_args()


def main():
    args = parse_args()
    folder = args.output
    draw(args)
    results = folder / "results.jsonl"
    rows = {name: ROWS[name] for name in args.rows or ROWS}
    done = read(results)
    jobs = dict.fromkeys((options, seed) for options in rows.values() for seed in range(args.seeds))
    left = [job for job in jobs if key(args, *job) not in done]
    print(f"{len(jobs) - len(left)} trainings are done, {len(left)} are left", flush=True)
    spawn = multiprocessing.get_context("spawn")
    # a new process after 8 trainings, because Keras keeps memory of past models
    options = {"initializer": one_thread, "max_tasks_per_child": 8}
    with ProcessPoolExecutor(args.jobs, spawn, **options) as pool:
        for future in as_completed([pool.submit(measure, args, *job) for job in left]):
            figures = future.result()
            with results.open("a") as file:
                file.write(json.dumps(figures) + "\n")
            print(
                f"AP {figures['AP']:.3f} after {figures['seconds']} s: {figures['key']}", flush=True
            )
            write_table(args, read(results))


def one_thread():
    """Limit each training to one core, so that one training runs on each core."""
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[name] = "1"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    logging.getLogger("tensorflow").setLevel(
        logging.ERROR
    )  # no warning that functions are traced again


def draw(args):
    """Draw the data set, unless it exists, and write the anchors."""
    from keras_retinanet.synthetic import write_synthetic

    data = args.output / "data"
    if not (data / "classes.csv").exists():
        write_synthetic(data, args.images, args.held_out, args.size)
    sizes = " ".join(str(side * args.size // 128) for side in SIDES)
    several = ANCHORS.format(sizes=sizes, scales="1 1.26 1.587")
    one_square = ANCHORS.format(sizes="64 128 256", scales="1")  # 8 strides, as in GFL
    (args.output / "anchors.ini").write_text(several)
    (args.output / "one_square.ini").write_text(one_square)


def key(args, options, seed):
    """Return a text that identifies the training in the results."""
    size = [args.size, args.images, args.held_out, args.epochs, args.batch_size]
    return " ".join(map(str, [options, *size, args.backbone, args.width, args.depth, seed]))


def read(results):
    """Return {key: figures} of the results."""
    lines = results.read_text().splitlines() if results.exists() else []
    return {line["key"]: line for line in map(json.loads, lines)}


def measure(args, options, seed):
    """Train and evaluate once, and return the figures."""
    import keras

    from keras_retinanet.bin import evaluate, train

    keras.backend.clear_session()
    start = time.perf_counter()
    folder = args.output / "snapshots" / str(os.getpid())
    data, classes = args.output / "data", args.output / "data" / "classes.csv"
    config = "one_square.ini" if GFL in options else "anchors.ini"
    arguments = [
        *SAME.split(), *options.split(), "--config", args.output / config,
        "--backbone", args.backbone, "--feature-size", args.width, "--head-depth", args.depth,
        "--image-min-side", args.size, "--image-max-side", args.size,
        "--batch-size", args.batch_size, "--epochs", args.epochs, "--seed", seed,
        "--snapshot-path", folder, "--run", "run", "csv", data / "train.csv", classes,
    ]  # fmt: skip
    snapshot = folder / "run" / "last.keras"
    with quiet():
        train.run(train.parse_args([str(argument) for argument in arguments]))
        arguments = ["--batch-size", 10, "csv", data / "val.csv", classes]
        arguments = [str(argument) for argument in (*arguments, snapshot)]
        metrics = evaluate.run(evaluate.parse_args(arguments))
    figures = {name: round(metrics[name], 4) for name in ("AP", "AP50", "AP75")}
    seconds = round(time.perf_counter() - start)
    return {"key": key(args, options, seed), **figures, "seconds": seconds}


@contextlib.contextmanager
def quiet():
    """Discard the output of the commands."""
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def write_table(args, done):
    """Write table.md: the mean and the standard deviation of each row over its seeds."""
    lines = ["| row | AP | AP50 | AP75 | trainings |", "|---|---|---|---|---|"]
    for name, options in ROWS.items():
        found = [done.get(key(args, options, seed)) for seed in range(args.seeds)]
        found = [figures for figures in found if figures]
        if found:
            cells = [spread([figures[metric] for figures in found]) for metric in METRICS]
            lines.append(f"| {name} | {' | '.join(cells)} | {len(found)} |")
    (args.output / "table.md").write_text("\n".join(lines) + "\n")


METRICS = ("AP", "AP50", "AP75")


def spread(values):
    """Return mean and standard deviation as text."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} ± {deviation:.3f}"


if __name__ == "__main__":
    main()
