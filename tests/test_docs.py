"""docs/losses.md and docs/backbones.md keep up with the code."""

import re
from pathlib import Path

import pytest

from keras_retinanet import assigners, choices, losses, nms, presets
from keras_retinanet.models import backbone_names
from keras_retinanet.weights.backbone import SIZES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "losses.md"
NAMES = [
    *losses.LOSSES,
    *choices.SAMPLERS,
    *assigners.ASSIGNERS,
    *nms.NMS,
    *(f"--detector {name}" for name in presets.DETECTORS if name != "retinanet"),
]


@pytest.mark.parametrize("name", NAMES)
def test_the_page_on_losses_has_them_all(name):
    assert f"`{name}`" in PAGE.read_text(encoding="utf-8")


def test_its_pictures_are_there():
    text = PAGE.read_text(encoding="utf-8")
    for picture in (PAGE.parent / "losses").iterdir():
        assert f"(losses/{picture.name})" in text
    assert text.count("](losses/") == len(list((PAGE.parent / "losses").iterdir()))


def rows_of_backbones():
    """{name: the other cells of its row} of the table of docs/backbones.md."""
    lines = (PAGE.parent / "backbones.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].strip("`"): row[1:] for row in cells if len(row) == 5 and row[0][:1] == "`"}


def test_the_costs_of_all_backbones_are_told():
    rows = rows_of_backbones()
    same = r"mobilenet(128|160|192)_.*|resnet(10|18|34)_.*"  # or as thin as an example
    assert {name for name in backbone_names() if not re.fullmatch(same, name)} <= set(rows)
    assert set(rows) <= set(backbone_names())


def test_bare_backbones_are_known_by_the_size_that_was_measured():
    rows = rows_of_backbones()
    for size, name in SIZES.items():
        assert rows[name][0] == f"{size / 1e6:.1f}", name
