"""benchmarks/loss_ablation.py, without training."""

import argparse
import json

import pytest

from keras_retinanet import assigners, losses
from keras_retinanet.bin.train import parse_args
from keras_retinanet.losses import sampling
from keras_retinanet.presets import DETECTORS


@pytest.fixture(scope="module")
def ablation(load_benchmark):
    return load_benchmark("loss_ablation")


def test_command_accepts_the_options_of_every_row(ablation):
    for options in ablation.ROWS.values():
        args = parse_args([*ablation.SAME.split(), *options.split(), "csv", "a", "b"])
        preset = DETECTORS[args.detector]
        chosen = {
            **(args.classification_loss or preset.classification_loss),
            "from_logits": True,
        }
        if chosen.get("alpha") != "inverse_frequency":
            assert losses.get(chosen).spec.config.items() >= chosen.items()
        box_loss = args.box_loss or preset.box_loss
        assert losses.get(box_loss).spec.config.items() >= box_loss.items()
        sampling.get(args.sampler)
        assigners.get(args.assigner or preset.assigner)


def test_table_has_means_and_deviations_of_finished_seeds(ablation, tmp_path):
    sizes = {"size": 8, "images": 1, "held_out": 1, "epochs": 1, "batch_size": 1}
    args = argparse.Namespace(
        **sizes, backbone="b", width=1, depth=1, seeds=3, output=tmp_path, jobs=1
    )
    results = tmp_path / "results.jsonl"
    assert ablation.read(results) == {}
    with results.open("w") as file:
        for seed, value in enumerate((0.1, 0.2, 0.6)):
            key = ablation.key(args, ablation.ROWS["GIoU"], seed)
            figures = {"key": key, "AP": value, "AP50": 2 * value, "AP75": 0.5}
            file.write(json.dumps(figures) + "\n")
        key = ablation.key(args, ablation.ROWS["OHEM"], 1)
        file.write(json.dumps({"key": key, "AP": 0.25, "AP50": 0.5, "AP75": 0.1}) + "\n")
    ablation.write_table(args, ablation.read(results))
    rows = (tmp_path / "table.md").read_text().splitlines()[2:]
    # mean 0.3; deviation √((0.2² + 0.1² + 0.3²) / 2) = √0.07 = 0.265
    assert rows == [
        "| OHEM | 0.250 ± 0.000 | 0.500 ± 0.000 | 0.100 ± 0.000 | 1 |",
        "| GIoU | 0.300 ± 0.265 | 0.600 ± 0.529 | 0.500 ± 0.000 | 3 |",
    ]
