"""README and docs agree with the code."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from keras_retinanet import assigners, choices, losses, nms, presets
from keras_retinanet.models import backbone_names
from keras_retinanet.weights.backbone import SIZES

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "losses.md"
NAMES = [
    *losses.LOSSES,
    *choices.SAMPLERS,
    *assigners.ASSIGNERS,
    *nms.NMS,
    *(f"--detector {name}" for name in presets.DETECTORS if name != "retinanet"),
]


def commands():
    """Return {"file: command": its command line} of the console blocks in README and docs."""
    found = {}
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text(encoding="utf-8").replace("\\\n", "")
        for line in re.findall(r"^ *\$ (retinanet-.*)$", text, re.MULTILINE):
            found[f"{page.name}: {' '.join(line.split()[:2])} {len(found)}"] = line
    return found


COMMANDS = commands()


@pytest.fixture(scope="module")
def data_sets(tmp_path_factory):
    """Return a folder with the data sets that README and docs name."""
    folder = tmp_path_factory.mktemp("data_sets")
    for name in ("boxes.csv", "train.csv", "val.csv"):
        (folder / name).write_text("images/a.jpg,1,2,30,40,dog\n")
    empty = '{"images": [], "annotations": [], "categories": []}'
    for name in ("COCO", "my_images"):
        (folder / name / "annotations").mkdir(parents=True)
        (folder / name / "annotations" / "instances_train2017.json").write_text(empty)
    return folder


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_commands_in_the_docs_have_valid_arguments(command, data_sets, monkeypatch):
    monkeypatch.chdir(data_sets)
    program, *arguments = shlex.split(command)
    name = program.removeprefix("retinanet-").replace("-", "_")
    module = import_module(f"keras_retinanet.bin.{name}")
    subcommands = getattr(module, "SUBCOMMANDS", {})
    if arguments[0] in subcommands:
        module = subcommands[arguments.pop(0)]
    module.parse_args(arguments)


def test_the_docs_have_commands():
    assert len(COMMANDS) > 30


@pytest.mark.parametrize("name", NAMES)
def test_losses_page_lists_every_name(name):
    assert f"`{name}`" in PAGE.read_text(encoding="utf-8")


def test_losses_page_shows_every_plot():
    text = PAGE.read_text(encoding="utf-8")
    for plot in (PAGE.parent / "losses").iterdir():
        assert f"(losses/{plot.name})" in text
    assert text.count("](losses/") == len(list((PAGE.parent / "losses").iterdir()))


def rows_of_backbones():
    """Return {name: the other cells of its row} of the table of docs/backbones.md."""
    lines = (PAGE.parent / "backbones.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].strip("`"): row[1:] for row in cells if len(row) == 5 and row[0][:1] == "`"}


def test_backbones_page_lists_every_backbone():
    rows = rows_of_backbones()
    same = r"mobilenet(128|160|192)_.*|resnet(10|18|34)_.*"  # close to a row
    assert {name for name in backbone_names() if not re.fullmatch(same, name)} <= set(rows)
    assert set(rows) <= set(backbone_names())


def test_backbones_page_has_the_parameters_of_bare_backbones():
    rows = rows_of_backbones()
    for size, name in SIZES.items():
        assert rows[name][0] == f"{size / 1e6:.1f}", name
