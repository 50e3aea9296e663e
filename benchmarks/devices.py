"""Train on 1, 2 and 4 virtual devices of the CPU, and compare the loss of each step and the AP.

    KERAS_BACKEND=jax python benchmarks/devices.py [--steps 50] [--devices 1 2 4]

The data are synthetic, the model is small and trained with SGD. Each epoch is one step, so that the
figures of the epochs are the losses of the steps; the last step is followed by an evaluation.
Prints the largest difference from the first number of devices, and ends with status 1 if a loss
differs by more than 1e-4 of itself or an AP by more than 1e-4.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

SHARE = 1e-4  # of a loss, that may differ
OPTIONS = {
    **{"feature_size": 16, "head_depth": 1, "backbone": "resnet10_0.25", "no_weights": True},
    **{"image_min_side": 64, "image_max_side": 64, "batch_size": 8, "augmentation": "light"},
    **{"optimizer": "sgd", "lr": 0.05, "steps": 1, "snapshots": False, "workers": 1},
}


def virtual_devices(count: int) -> None:
    """Divide the CPU into devices, before the backend starts."""
    if os.environ.get("KERAS_BACKEND") == "jax":
        flag = f"--xla_force_host_platform_device_count={count}"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}"
        return
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * count
    tf.config.set_logical_device_configuration(cpu, parts)


def trained(data: Path, devices: int, steps: int) -> tuple[list[float], float]:
    """Return the loss of each step, and the AP at the end."""
    from keras_retinanet.preprocessing.source import DataSource, TrainingData
    from keras_retinanet.training.config import TrainConfig
    from keras_retinanet.training.run import run

    options = {**OPTIONS, "devices": devices, "epochs": steps, "evaluate_every": steps}
    source = TrainingData(DataSource("csv", str(data / "train.csv")), None, None, data / "val.csv")
    rows = run(TrainConfig.of(**options), options, source).model.progress["figures"]
    return [row["loss"] for row in rows], rows[-1]["AP"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 2, 4])
    args = parser.parse_args()
    virtual_devices(max(args.devices))
    from keras_retinanet.synthetic import write_synthetic

    with tempfile.TemporaryDirectory() as root:
        data = write_synthetic(Path(root, "data"), train=24, val=8, size=64)
        found = {count: trained(data, count, args.steps) for count in args.devices}
    (first, first_ap), *_ = found.values()
    failed = False
    for count, (losses, ap) in found.items():
        apart = max(abs(a - b) / abs(b) for a, b in zip(losses, first, strict=True))
        failed |= apart > SHARE or abs(ap - first_ap) > SHARE
        print(
            f"{count} devices: loss {losses[0]:.4f} to {losses[-1]:.4f}, {apart:.1e} apart, ",
            end="",
        )
        print(f"AP {ap:.4f}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
