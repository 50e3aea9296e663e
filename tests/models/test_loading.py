"""`.keras` files that are damaged, foreign or hostile end in one sentence with their path."""

import json
import zipfile

import keras
import numpy as np
import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.models import convert_model, loading
from keras_retinanet.models.loading import load_keras, load_retinanet

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def files(build, tmp_path_factory):
    """The `.keras` files of a training model and of its inference model."""
    folder = tmp_path_factory.mktemp("models")
    model = build(class_names=["cat", "dog"])
    model.save(folder / "training.keras")
    convert_model(model).save(folder / "inference.keras")
    return {kind: folder / f"{kind}.keras" for kind in ("training", "inference")}


def rewritten(path, out, change=lambda entries: None, compression=zipfile.ZIP_STORED):
    """Copy an archive, with its {name: bytes} changed."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out


def with_config(path, out, change):
    """Copy a file, with the model's configuration changed."""

    def changed(entries):
        config = json.loads(entries["config.json"])
        change(config["config"])
        entries["config.json"] = json.dumps(config).encode()

    return rewritten(path, out, changed)


def refusal(path, load=load_retinanet):
    with pytest.raises(InputError) as error:
        load(path)
    text = str(error.value)
    assert text.startswith(f"{path}: ")
    assert text.endswith(".")
    assert "\n" not in text
    assert len(text) < len(str(path)) + 400
    return text


@pytest.mark.parametrize("kind", ["training", "inference"])
def test_a_compressed_copy_is_loaded(files, kind, tmp_path):
    path = rewritten(files[kind], tmp_path / "a.keras", compression=zipfile.ZIP_DEFLATED)
    assert load_retinanet(path).class_names == ["cat", "dog"]


def test_damaged_and_foreign_files_are_named_as_such(files, tmp_path):
    data = files["training"].read_bytes()
    path = tmp_path / "a.keras"
    for share in (0.01, 0.3, 0.7, 0.99):
        path.write_bytes(data[: int(share * len(data))])
        assert "truncated" in refusal(path)
    spoiled = bytearray(data)
    middle = data.index(b"model.weights.h5") + 5000
    spoiled[middle] ^= 1
    path.write_bytes(spoiled)
    assert "truncated or damaged" in refusal(path)
    for content, words in (
        (b"", "an empty file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
        (b"<!DOCTYPE html>", "not a .keras file"),
        (b"\x80\x02}.", "not a .keras file"),
    ):
        path.write_bytes(content)
        assert words in refusal(path)
    assert "a folder" in refusal(tmp_path)
    assert "no such file" in refusal(tmp_path / "nowhere.keras")


@pytest.mark.parametrize("missing", ["config.json", "metadata.json", "model.weights.h5"])
def test_a_missing_entry_is_named(files, missing, tmp_path):
    path = rewritten(files["training"], tmp_path / "a.keras", lambda entries: entries.pop(missing))
    assert missing in refusal(path)


def test_a_bomb_is_refused_before_it_is_read(files, tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "load_model", lambda *_, **__: pytest.fail("it was read"))
    bomb = rewritten(
        files["training"],
        tmp_path / "a.keras",
        lambda entries: entries.update({"config.json": b" " * 300_000_000}),
        zipfile.ZIP_DEFLATED,
    )
    assert "times its size" in refusal(bomb)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"3", b"{}", b'{"class_name": 3}'])
def test_a_configuration_that_is_none_is_refused(files, content, tmp_path):
    def change(entries):
        entries["config.json"] = content

    refusal(rewritten(files["training"], tmp_path / "a.keras", change))


WRONG = [
    *((name, value) for name in ("image_min_side", "image_max_side") for value in ("800", 0, -1)),
    *(("image_min_side", 10**12), ("image_max_side", [1]), ("image_max_side", 1.5)),
    *(("resize", "bigger"), ("resize", []), ("canvases", 3), ("canvases", None)),
    *(("clip_margin", "a"), ("clip_margin", -1), ("clip_margin", 10**12)),
    *(("normalization", "x"), ("preprocessing", {}), ("backbone", 3), ("backbone", ["a"])),
    *(("class_names", "ab"), ("class_names", [1, 2]), ("class_names", ["a", "a"])),
    *(("class_names", ["a", ["b"]]), ("class_names", 3), ("class_names", ["a", "b", "c"])),
    *(("pyramid_levels", 3), ("pyramid_levels", ["a"]), ("pyramid_levels", [3, 4, 10**12])),
    *(("pyramid_levels", [3, 5]), ("anchors", 3), ("anchors", {"sizes": "a"})),
    *(("anchors", {"ratios": []}), ("anchors", {"ratios": [float("inf")]}), ("anchors", [1])),
    *(("anchors", {"size": [1]}), ("anchors", {"scales": [0]}), ("anchors", {"ratios": [[1]]})),
    *(("coder", "x"), ("coder", 3), ("coder", {"name": "corners", "std": [1]}), ("coder", None)),
    *(("coder", {"name": "corners", "std": "a"}), ("coder", {"name": "corners", "x": 1})),
    *(("coder", {"name": "distances", "bins": 1e12}), ("coder", {}), ("coder", [])),
    *(("detection", 3), ("detection", {"nms": 3}), ("detection", {"max_detections": 10**12})),
    *(("detection", {"x": 1}), ("detection", {"nms_threshold": "a"}), ("detection", [1])),
    *(("detection", {"score_threshold": float("nan")}), ("detection", {"top_k": -1})),
    *(("detection", {"clip": ["a"]}), ("detection", {"nms": {"name": []}})),
    *(("progress", 3), ("progress", {"epoch": "a"}), ("progress", {"epoch": 1e30})),
    *(("progress", {"best": "a"}), ("progress", {"assigner": 3}), ("progress", [1])),
    *(("progress", {"assigner": {"name": "atss", "top_k": 1.5}}),),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_wrong_options_are_refused(files, name, value, tmp_path):
    def change(config):
        config[name] = value

    refusal(with_config(files["training"], tmp_path / "a.keras", change))


@pytest.mark.parametrize(
    ("layer", "changes"),
    [
        ("filtered_detections", {"max_detections": 10**12}),
        ("filtered_detections", {"nms_threshold": "a"}),
        ("filtered_detections", {"nms": ["hard"]}),
        ("candidates", {"top_k": 10**12}),
        ("candidates", {"top_k": "a"}),
        ("decoded_boxes", {"coder": {"name": "x"}}),
    ],
)
def test_wrong_arguments_of_layers_are_refused(files, layer, changes, tmp_path):
    def change(config):
        [found] = [each for each in config["layers"] if each["name"] == layer]
        found["config"].update(changes)

    refusal(with_config(files["inference"], tmp_path / "a.keras", change))


@pytest.mark.parametrize(
    ("weight", "value", "words"),
    [
        ("kernel", np.nan, "is not finite"),
        ("bias", np.inf, "is not finite"),
        ("moving_variance", -1, "is below 0"),
    ],
)
@pytest.mark.parametrize("load", [load_keras, load_retinanet])
def test_weights_that_give_no_numbers_are_refused(build, weight, value, words, load, tmp_path):
    model = build()
    variable = next(each for each in model.weights if each.name == weight)
    values = keras.ops.convert_to_numpy(variable).copy()
    values.flat[-1] = value
    variable.assign(values)
    model.save(tmp_path / "a.keras")
    text = refusal(tmp_path / "a.keras", load)
    assert words in text
    assert variable.path in text


def test_a_lambda_is_named(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x + 1)])
    model.save(tmp_path / "a.keras")
    assert "Lambda" in refusal(tmp_path / "a.keras")
