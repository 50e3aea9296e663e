"""retinanet-import-weights: what it writes and says, and what is refused before any work."""

import importlib
import inspect
import json
import re
import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_retinanet import weights
from keras_retinanet.bin import convert_model, detect, evaluate, import_weights
from keras_retinanet.models.loading import load_retinanet
from keras_retinanet.parts import Design, Pyramid
from keras_retinanet.weights.coco import names_for

CONFIG = """[anchor_parameters]
sizes = 20 40 80 160 320
strides = 8 16 32 64 128
ratios = 1 2
scales = 1.5
"""
pytestmark = pytest.mark.usefixtures("load_once")


@pytest.fixture
def refuse_import(refuse):
    return lambda *args: refuse(import_weights.main, *args)


@pytest.fixture
def thin(monkeypatch, snapshot):
    """A source whose files all hold the detector of the sample."""

    def load(path, class_names=None, backbone=None, epsilon=None):
        model = load_retinanet(str(snapshot))
        names_for(path, model.num_classes, class_names)
        monkeypatch.setattr(model, "class_names", class_names)
        return weights.Imported(model, () if epsilon else ("an epsilon",))

    module = types.ModuleType("thin")
    module.load = load
    monkeypatch.setitem(weights.SOURCES, "torchvision", ("thin", ("epsilon",)))
    monkeypatch.setitem(sys.modules, "keras_retinanet.weights.thin", module)


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory):
    """A weight file of keras.applications, with its classifier."""
    path = tmp_path_factory.mktemp("mobilenet") / "mobilenet.h5"
    keras.applications.MobileNet(alpha=0.25, weights=None, classes=3).save(path)
    return path


@pytest.mark.slow
def test_a_detector_goes_through_all_commands(thin, snapshot, sample, data, tmp_path, capsys):
    (tmp_path / "weights.pth").touch()
    out, converted = tmp_path / "new" / "out.keras", tmp_path / "converted.keras"
    classes = sample / "classes.csv"
    import_weights.main(
        ["torchvision", str(tmp_path / "weights.pth"), str(out), "--classes", str(classes)]
    )
    lines = capsys.readouterr().out.splitlines()
    model = load_retinanet(str(out))
    known = load_retinanet(str(snapshot))
    tensors = f"{len(known.weights)} tensors, {known.count_params() / 1e6:.1f} million"
    assert lines[0].startswith(f"{tmp_path / 'weights.pth'}: retinanet on resnet10_0.25, {tensors}")
    assert lines[1] == f"{len(known.class_names)} classes: {', '.join(known.class_names)}"
    assert lines[2:] == [
        "assumed: an epsilon",
        f"wrote {out}",
        f"next: retinanet-evaluate --convert-model DATASET {out}",
    ]
    assert model.class_names == known.class_names
    evaluate.main(["--convert-model", *data, str(out)])
    assert "AP" in capsys.readouterr().out
    picture = sample / "images" / "train" / "00000.jpg"
    convert_model.main([str(out), str(converted)])
    found = [tmp_path / "training.json", tmp_path / "inference.json"]
    detect.main(["--convert-model", str(out), str(picture), "--json", str(found[0])])
    detect.main([str(converted), str(picture), "--json", str(found[1])])
    assert len(json.loads(found[0].read_text())) > 0
    assert found[0].read_text() == found[1].read_text()


def test_classes_without_names(thin, tmp_path, capsys):
    (tmp_path / "weights.pth").touch()
    out = tmp_path / "out.keras"
    import_weights.main(
        ["torchvision", str(tmp_path / "weights.pth"), str(out), "--epsilon", "1e-3"]
    )
    assert capsys.readouterr().out.splitlines()[1:] == [
        "4 classes without names: name them with --classes",
        f"wrote {out}",
        f"next: retinanet-evaluate --convert-model DATASET {out}",
    ]


def test_a_configuration_tells_the_anchors(
    refuse_import, monkeypatch, snapshot, sample, tmp_path, capsys
):
    """They are passed on, and are to be on the levels that the file has."""
    given = []

    def load(path, class_names=None, backbone=None, anchors=None):
        given.append(anchors)
        return weights.Imported(load_retinanet(str(snapshot)))

    monkeypatch.setitem(weights.SOURCES, "keras-retinanet", ("other", ("anchors",)))
    other = types.SimpleNamespace(load=load)
    monkeypatch.setitem(sys.modules, "keras_retinanet.weights.other", other)
    file, out, config = tmp_path / "a.h5", tmp_path / "new" / "out.keras", tmp_path / "a.ini"
    file.touch()
    levels = load_retinanet(str(snapshot)).pyramid_levels
    assert levels != [3, 4, 5, 6, 7]
    config.write_text(CONFIG)
    text = refuse_import("keras-retinanet", file, out, "--config", config)
    expected = f"{config}: the pyramid levels must be {levels} as in {file}, got [3, 4, 5, 6, 7]"
    assert expected in text
    assert not out.parent.exists()
    assert list(given[0].sizes) == [20, 40, 80, 160, 320]
    assert list(given[0].scales) == [1.5]
    own = str(sample / "anchors.ini")
    import_weights.main(["keras-retinanet", str(file), str(out), "--config", own])
    assert f"wrote {out}" in capsys.readouterr().out


def test_options_of_other_sources_are_refused(refuse_import, tmp_path):
    model, config, out = tmp_path / "a.pth", tmp_path / "a.ini", tmp_path / "out.keras"
    model.touch()
    config.write_text(CONFIG)
    text = refuse_import("detectron2", model, out, "--epsilon", "0")
    assert f"{model}: the source detectron2 does not take epsilon" in text
    text = refuse_import("torchvision", model, out, "--config", config)
    assert "the source torchvision does not take anchors" in text
    for epsilon in ("-1", "nan", "1"):
        text = refuse_import("torchvision", model, out, f"--epsilon={epsilon}")
        assert re.search(f"epsilon.* must be .*, got {epsilon}", text)


def test_a_bare_backbone_is_what_training_starts_from(mobilenet, tmp_path, capsys):
    from keras_retinanet.models import backbone

    out = tmp_path / "out.keras"
    import_weights.main(["backbone", str(mobilenet), str(out)])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{mobilenet}: mobilenet224_0.25, 135 tensors, 0.2 million numbers, each in its place",
        f"wrote {out}",
        f"next: retinanet-train --weights {out} ...",
    ]
    bare = keras.saving.load_model(out)
    assert bare.name == "mobilenet224_0.25"
    detector = backbone(bare.name).detector(
        ["a"], weights=str(out), design=Design(Pyramid(width=8))
    )
    source = keras.saving.load_model(mobilenet, compile=False)
    for name in ("conv1", "conv_dw_7", "conv_pw_13_bn"):
        for ours, theirs in zip(
            detector.get_layer(name).get_weights(),
            source.get_layer(name).get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(ours, theirs)


def test_names_of_mobilenets_tell_their_size(refuse_import, mobilenet, tmp_path, capsys):
    out = tmp_path / "out.keras"
    import_weights.main(["backbone", str(mobilenet), str(out), "--backbone", "mobilenet160_0.25"])
    assert f"{mobilenet}: mobilenet160_0.25, " in capsys.readouterr().out
    assert keras.saving.load_model(out).name == "mobilenet160_0.25"
    import_weights.main(["backbone", str(mobilenet), str(out), "--backbone", "MobileNet128_0.25"])
    assert f"{mobilenet}: mobilenet128_0.25, " in capsys.readouterr().out
    text = refuse_import("torchvision", mobilenet, out, "--backbone", "resnet51")
    assert "Unknown backbone 'resnet51'; known: " in text


def test_places_where_nothing_can_be_written(refuse_import, mobilenet, sample, tmp_path):
    here = tmp_path / "weights.keras"
    here.touch()
    classes = sample / "classes.csv"
    (tmp_path / "folder.keras").mkdir()
    for out, reason in (
        (tmp_path / "out.h5", "out.h5 must end in .keras"),
        (here, f"{here} would overwrite an input file"),
        (tmp_path / "folder.keras", "folder.keras is not a regular file"),
        (here / "out.keras", f"{here} is not a folder"),
        (here / "new" / "out.keras", f"{here} is not a folder"),
    ):
        assert reason in refuse_import("torchvision", here, out)
    assert "no such file" in refuse_import("backbone", tmp_path / "a.h5", tmp_path / "out.keras")
    text = refuse_import("backbone", mobilenet, tmp_path / "out.keras", "--classes", classes)
    assert "remove --classes" in text
    assert not (tmp_path / "out.keras").exists()


def test_files_that_are_refused(refuse_import, thin, mobilenet, tmp_path):
    out, names = tmp_path / "new" / "out.keras", tmp_path / "classes.csv"
    names.write_text("cat,0\ndog,1\n")
    text = refuse_import("torchvision", mobilenet, out, "--classes", names)
    assert "4 class names" in text
    assert "2 (cat, dog)" in text
    hostile = tmp_path / "hostile.pth"
    hostile.write_bytes(b"cos\nsystem\n(X\x04\x00\x00\x00exittR.")
    assert "it asks to run os.system" in refuse_import("backbone", hostile, out)
    assert "no such file" in refuse_import("torchvision", mobilenet, out, "--classes", "none.csv")
    text = refuse_import("backbone", mobilenet, out, "--backbone", "resnet18_0.25")
    assert "missing" in text or "without a source" in text
    assert not out.parent.exists()  # a folder is made when there is something to write


def test_unknown_sources_are_listed(capsys):
    with pytest.raises(SystemExit) as stop:
        import_weights.main(["darknet", "a.weights", "out.keras"])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert all(name in error for name in weights.SOURCES)
    with pytest.raises(ValueError, match="Unknown source of weights"):
        weights.import_weights("darknet", "a.weights")


def test_every_source_can_load():
    for module, options in weights.SOURCES.values():
        load = importlib.import_module(f"keras_retinanet.weights.{module}").load
        taken = {"path", "class_names", "backbone", *options}
        assert taken <= set(inspect.signature(load).parameters) <= taken | {"tensors"}


def test_the_page_names_every_source():
    page = Path(__file__).resolve().parents[2] / "docs" / "pretrained.md"
    text = page.read_text(encoding="utf-8")
    assert all(f"`{source}`" in text for source in weights.SOURCES)
