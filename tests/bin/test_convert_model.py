"""retinanet-convert-model: what the inference model carries, and what is refused."""

import keras
import numpy as np
import pytest

from keras_retinanet import nms
from keras_retinanet.bin import convert_model
from keras_retinanet.models.loading import load_retinanet

pytestmark = pytest.mark.usefixtures("load_once")


def convert(*args):
    convert_model.main([str(arg) for arg in args])


@pytest.fixture
def refuse_conversion(refuse):
    return lambda *args: refuse(convert_model.main, *args)


def test_the_inference_model_knows_all_it_needs(snapshot, tmp_path):
    path = tmp_path / "new" / "detector.keras"
    convert(snapshot, path)
    model = keras.saving.load_model(path)  # no custom objects
    known = load_retinanet(str(snapshot))
    assert model.output_names == ["boxes", "scores", "labels"]
    assert not model.is_training_model
    assert model.class_names == known.class_names
    assert model.anchor_params.get_config() == known.anchor_params.get_config()
    assert (model.image_min_side, model.image_max_side) == (64, 64)
    assert model.backbone_name == "resnet10_0.25"
    assert [file.name for file in path.parent.iterdir()] == ["detector.keras"]


def test_options_are_stored_and_obeyed(snapshot, tmp_path):
    path = tmp_path / "detector.keras"
    convert(
        *("--score-threshold", "0.01", "--max-detections", "7", "--nms-threshold", "0.3"),
        *("--no-class-specific-filter", snapshot, path),
    )
    model = keras.saving.load_model(path)
    assert model.detection["score_threshold"] == 0.01
    assert model.detection["nms_threshold"] == 0.3
    assert not model.detection["class_specific_filter"]
    images = np.random.default_rng(0).integers(0, 255, (2, 64, 96, 3), "uint8")
    boxes, scores, labels = model.predict_on_batch(images)
    assert (boxes.shape, scores.shape, labels.shape) == ((2, 7, 4), (2, 7), (2, 7))
    assert ((scores >= 0.01) | (scores == -1)).all()


def test_without_nms_boxes_lie_on_each_other(snapshot, tmp_path, sample):
    from keras_retinanet.boxes import iou
    from keras_retinanet.utils.image import read_image_rgb

    image = read_image_rgb(sample / "images" / "train" / "00000.jpg")[None]
    overlaps = {}
    for option in ([], ["--no-nms"]):
        path = tmp_path / "detector.keras"
        convert(*option, snapshot, path)
        boxes, scores, labels = keras.saving.load_model(path).predict_on_batch(image)
        boxes, labels = boxes[0][scores[0] > 0], labels[0][scores[0] > 0]
        pairs = iou(boxes[:, None], boxes[None]) * (labels[:, None] == labels[None])
        overlaps[len(option)] = np.max(pairs - np.eye(len(boxes)), initial=0)
    assert overlaps[0] <= 0.5 < overlaps[1]


@pytest.mark.parametrize("kind", [*nms.NMS, "soft_gaussian:sigma=0.3"])
def test_every_nms_is_stored_and_obeyed(kind, snapshot, tmp_path, sample):
    from keras_retinanet.models import convert_model
    from keras_retinanet.utils.image import read_image_rgb

    image = read_image_rgb(sample / "images" / "train" / "00000.jpg")[None]
    path = tmp_path / "detector.keras"
    convert("--nms", kind, "--nms-threshold", "0.4", snapshot, path)
    name, _, argument = kind.partition(":")
    choice = {"name": name, "sigma": 0.3} if argument else name
    model = keras.saving.load_model(path)
    assert model.detection["nms"] == choice
    assert model.detection["nms_threshold"] == 0.4
    assert model.get_layer("filtered_detections").postprocess.nms == choice
    expected = convert_model(load_retinanet(str(snapshot)), nms=choice, nms_threshold=0.4)
    values = expected.predict_on_batch(image)
    assert (values[1] > 0).any()
    for ours, theirs in zip(model.predict_on_batch(image), values, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4)


def test_what_is_not_asked_for_is_as_the_model_knows(snapshot, tmp_path):
    path = tmp_path / "detector.keras"
    convert(snapshot, path)
    detection = keras.saving.load_model(path).detection
    assert (detection["nms"], detection["nms_threshold"]) == ("hard", 0.5)
    model = keras.saving.load_model(snapshot)
    model.detection = {"nms": "diou", "nms_threshold": 0.6}
    model.save(tmp_path / "training.keras")
    convert(tmp_path / "training.keras", path)
    detection = keras.saving.load_model(path).detection
    assert (detection["nms"], detection["nms_threshold"]) == ("diou", 0.6)
    convert("--no-nms", tmp_path / "training.keras", path)
    assert keras.saving.load_model(path).detection["nms"] == "none"


def test_anchors_may_be_replaced(snapshot, tmp_path, sample):
    config = tmp_path / "anchors.ini"
    text = (sample / "anchors.ini").read_text()
    config.write_text(text.replace("16 32 64", "20 40 80"))
    convert("--config", config, snapshot, tmp_path / "detector.keras")
    model = keras.saving.load_model(tmp_path / "detector.keras")
    assert model.anchor_params.sizes == [20, 40, 80]


def test_an_existing_file_is_replaced(snapshot, tmp_path):
    path = tmp_path / "detector.keras"
    path.write_text("an old one")
    convert(snapshot, path)
    assert not load_retinanet(str(path)).is_training_model


# what it refuses


def test_models_that_cannot_be_converted(
    refuse_conversion, snapshot, detector, other_keras_file, tmp_path, sample
):
    out = tmp_path / "out.keras"
    out.write_text("kept")
    text = tmp_path / "text.keras"
    text.write_text("no model")
    cut = tmp_path / "cut.keras"
    cut.write_bytes(snapshot.read_bytes()[:-3000])
    config = tmp_path / "anchors.ini"
    config.write_text((sample / "anchors.ini").read_text().replace("1.5", "1.2 1.5"))
    for args, message in (
        ([tmp_path / "missing.keras"], "missing.keras: no such file"),
        ([text], "text.keras: not a .keras file"),
        ([cut], "cut.keras: truncated"),
        ([other_keras_file], "holds a Sequential"),
        ([detector], f"{detector} is an inference model"),
        (["--backbone", "resnet50", snapshot], "has the backbone resnet10_0.25, not resnet50"),
        (["--config", config, snapshot], "anchors.ini: ratios and scales"),
        (["--config", tmp_path / "none.ini", snapshot], "none.ini: no such file"),
    ):
        assert message in refuse_conversion(*args, out)
        assert out.read_text() == "kept"
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"out.keras", "text.keras", "cut.keras", "anchors.ini"}


def test_a_snapshot_is_not_overwritten_by_its_own_conversion(refuse_conversion, snapshot, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(snapshot.read_bytes())
    assert f"OUT {path} would overwrite" in refuse_conversion(path, path)
    again = tmp_path / "x" / ".." / path.name
    assert f"OUT {again} would overwrite" in refuse_conversion(path, again)
    assert path.read_bytes() == snapshot.read_bytes()


def test_places_that_cannot_be_written(refuse_conversion, snapshot, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("kept")
    folder = tmp_path / "folder.keras"
    folder.mkdir()
    for out in (taken, taken / "detector.keras", taken / "detector", folder):
        assert str(tmp_path) in refuse_conversion(snapshot, out)
    assert taken.read_text() == "kept"


def test_other_formats_are_named(refuse_conversion, snapshot, tmp_path):
    for suffix in (".h5", ".pb", ".2"):
        out = tmp_path / f"model{suffix}"
        message = refuse_conversion(snapshot, out)
        assert f"the suffix {suffix}" in message
        assert ".keras, .onnx" in message
        assert not out.exists()


def test_an_nms_that_is_none(refuse_conversion, snapshot, detector, tmp_path):
    out = tmp_path / "out.keras"
    for args, message in (
        (["--nms", "gentle"], f"unknown name 'gentle'; known: {', '.join(nms.NMS)}"),
        (["--nms", "soft_gaussian:sigma=wide"], "write soft_gaussian:argument=value"),
        (["--nms", "soft_gaussian:sigma=0"], "from 0.001 to 1000, got 0"),
        (["--nms", "soft_gaussian:sgima=1"], "sgima"),
        (["--nms", "diou:sigma=1"], "sigma"),
        (["--nms", "hard", "--no-nms"], "not allowed with"),
    ):
        assert message in refuse_conversion(*args, snapshot, out)
        assert not out.exists()
    folder = tmp_path / "saved_model"  # an inference model can be exported, but with its own NMS
    message = refuse_conversion("--nms", "diou", detector, folder)
    assert f"{detector} is an inference model" in message
    assert "nms hard" in message
    assert not folder.exists()
