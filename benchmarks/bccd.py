"""Train on blood cells (BCCD, 205 images) and evaluate: MobileNet 0.25 at 320 px.

    python benchmarks/bccd.py BCCD mobilenet_2_5_224_tf_no_top.h5 --output /tmp/bccd

BCCD is the folder of https://github.com/Shenggan/BCCD_Dataset with Annotations, ImageSets and
JPEGImages; the weights are the file of keras.applications.

With seed 0: AP50 0.901 and AP 0.557 on val, 0.909 and 0.573 on test.
"""

import argparse
import json
from pathlib import Path

from commands import run

ANCHORS = """\
[anchor_parameters]
sizes = 16 32 64 128
strides = 8 16 32 64
ratios = 0.5 1 2
scales = 1 1.26 1.587

[pyramid_levels]
levels = 3 4 5 6
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--output", type=Path, default=Path("bccd"))
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--splits", nargs="+", default=["val"], help="to evaluate on (%(default)s)")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    config = args.output / "anchors.ini"
    config.write_text(ANCHORS)
    seconds = run(
        "train", "--backbone", "mobilenet224_0.25", "--weights", args.weights, "--config", config,
        "--image-min-side", 256, "--image-max-side", 320, "--batch-size", 4,
        "--feature-size", 64, "--head-depth", 2, "--box-loss", "giou", "--augment", "vertical_flip",
        "--epochs", args.epochs, "--seed", args.seed, "--no-evaluation",
        "--snapshot-path", args.output, "--run", "run", "pascal", args.data,
    )  # fmt: skip
    model = args.output / "detector.keras"
    run("convert_model", args.output / "run" / "last.keras", model)
    print(f"training took {seconds:.0f} s")
    for name in args.splits:
        figures = args.output / f"{name}.json"
        options = ["--batch-size", 8, "--json", figures]
        run("evaluate", *options, "pascal", "--split", name, args.data, model)
        metrics = json.loads(figures.read_text())
        print(f"{name}: AP50 {metrics['AP50']:.3f}, AP {metrics['AP']:.3f}")


if __name__ == "__main__":
    main()
