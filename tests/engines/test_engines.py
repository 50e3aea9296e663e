"""The runtimes of model files: the same detections, and one sentence for what cannot run."""

import json
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
from PIL import Image

from keras_retinanet import Detector, engines
from keras_retinanet.bin import convert_model
from keras_retinanet.engines import choose, engine
from keras_retinanet.errors import InputError
from keras_retinanet.model_info import ModelInfo

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="exports begin with TensorFlow's graphs"
)
NAMES = ("model.onnx", "model.xml", "model.tflite", "model")
PACKAGES = {"model.onnx": "onnxruntime", "model.xml": "openvino", "model.tflite": "ai_edge_litert"}


@pytest.fixture(scope="module")
def exported(detector, make_once):
    """Return the path of the detector's export with a name, and without proof."""

    def export(name):
        if name in PACKAGES:
            pytest.importorskip(PACKAGES[name])

        def fill(folder):
            convert_model.main([str(detector), str(folder / name), "--no-verify"])

        return make_once(f"export_{name}", fill) / name

    return export


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A folder of the user's cache for each test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "keras_retinanet" / "engines.json"


@pytest.fixture(scope="module")
def images(sample):
    """Images of several sizes and shapes, as uint8 arrays."""
    paths = [sample / "images" / "train" / f"{index:05d}.jpg" for index in range(4)]
    sizes = [(64, 64), (150, 101), (77, 90), (64, 64)]
    return [
        np.asarray(Image.open(path).resize(size)) for path, size in zip(paths, sizes, strict=True)
    ]


@pytest.fixture(scope="module")
def expected(detector, images):
    """The detections of the Keras model with NMS in its graph."""
    model = keras.saving.load_model(detector)
    return Detector(model, score_threshold=0.1)(images)


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_every_file_finds_what_the_model_finds(exported, images, expected, name, batch_size):
    found = Detector.load(exported(name), score_threshold=0.1, batch_size=batch_size)(images)
    assert sum(map(len, expected)) > 8
    for ours, theirs in zip(found, expected, strict=True):
        if name == "model.tflite" and ours.image.shape[0] > ours.image.shape[1]:
            continue  # the file's size is that of an image in landscape format
        assert ours.names == theirs.names
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-3)
        np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=0.5)


def test_keras_file_ends_at_candidates_and_finds_the_same(detector, images, expected):
    loaded = Detector.load(detector, score_threshold=0.1)
    assert loaded.info.outputs == "candidates"
    found = loaded(images)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.names == theirs.names
        np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=1e-3)
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-5)


def test_nms_after_the_graph_can_be_chosen(exported, images):
    def count(**options):
        detector = Detector.load(exported("model.onnx"), score_threshold=0.1, **options)
        return sum(map(len, detector(images)))

    assert count(nms="none") > count() >= count(nms_threshold=0.01)


def test_black_image_has_no_certain_object(exported):
    found = Detector.load(exported("model.onnx"), score_threshold=0.99)(
        np.zeros((50, 50, 3), "uint8")
    )
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)


def test_onnx_file_runs_without_tensorflow_and_keras(exported, sample, tmp_path):
    image = sample / "images" / "train" / "00000.jpg"
    code = """
        import sys, time
        start = time.perf_counter()
        from keras_retinanet.bin import detect
        detect.main([sys.argv[1], sys.argv[2], "--json", sys.argv[3], "--engine", "onnxruntime"])
        print("seconds", time.perf_counter() - start)
        assert not {"tensorflow", "keras", "jax", "torch"} & set(sys.modules)
    """
    output = tmp_path / "found.json"
    arguments = [str(exported("model.onnx")), str(image), str(output)]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(output.read_text())


def test_saved_model_resizes_itself(exported):
    with pytest.raises(InputError, match="resizes in its graph"):
        Detector.load(exported("model"), image_min_side=32)


def test_file_of_one_size_takes_no_other(exported):
    with pytest.raises(InputError, match="64 x 64 px only"):
        Detector.load(exported("model.tflite"), image_min_side=32)


# the choice of an engine


def test_fastest_engine_is_chosen_once_and_remembered(exported, cache, capsys, monkeypatch):
    pytest.importorskip("openvino")
    path = exported("model.onnx")
    first = engines.open_engine(path)
    said = capsys.readouterr().err
    assert said.count("onnxruntime") >= 1
    assert said.count("openvino") >= 1
    assert list(json.loads(cache.read_text()).values()) == [first.name]
    monkeypatch.setattr(choose, "measure", None)  # not needed again
    assert engines.open_engine(path).name == first.name
    assert first.name in capsys.readouterr().err
    assert engines.open_engine(path, "openvino").name == "openvino"


def test_choice_holds_for_its_file_precision_and_threads_only(tmp_path):
    pytest.importorskip("onnxruntime")
    files = [tmp_path / "a.onnx", tmp_path / "b.onnx"]
    for index, file in enumerate(files):
        file.write_bytes(bytes(200_000) + bytes([index]))
    settings = [engine.Settings(threads=2), engine.Settings(threads=3)]
    settings.append(engine.Settings("bfloat16", threads=2))
    keys = {choose.key_of(file, ["onnxruntime"], each) for file in files for each in settings}
    assert len(keys) == 6
    again = choose.key_of(files[0], ["onnxruntime"], settings[0])
    assert again in keys


def test_cache_that_cannot_be_used_is_no_error(exported, cache):
    pytest.importorskip("openvino")
    cache.parent.mkdir(parents=True)
    for content in ("nonsense", "[1]", '{"a": 7}'):
        cache.write_text(content)
        assert engines.open_engine(exported("model.onnx")).name in ("onnxruntime", "openvino")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("model.onnx", {"engine": "litert"}, "onnxruntime or openvino can"),
        ("model.onnx", {"engine": "onnxruntime", "precision": "float16"}, "use openvino"),
        ("model.onnx", {"engine": "other"}, "known: auto, keras"),
        ("model.onnx", {"precision": "int4"}, "known: float32"),
        ("model.onnx", {"threads": 0}, "threads"),
        ("model.xml", {"engine": "onnxruntime"}, "openvino can"),
    ],
)
def test_settings_that_do_not_go_together(exported, name, options, message):
    with pytest.raises(InputError, match=message):
        engines.open_engine(exported(name), **options)


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".tflite"])
@pytest.mark.parametrize("content", [b"", b"nonsense", bytes(5000)])
def test_damaged_files_are_refused_in_a_sentence(tmp_path, suffix, content):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    for name in engines.engines_for(path):
        if engines.is_installed(name):
            with pytest.raises(InputError, match=r"model\S+: damaged, or not|has no metadata"):
                engines.open_engine(path, name)


def test_missing_files_and_packages(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no such file"):
        engines.open_engine(tmp_path / "model.onnx")
    (tmp_path / "model.tflite").write_bytes(b"x")
    monkeypatch.setattr(engines, "is_installed", lambda name: False)
    with pytest.raises(InputError, match=r"pip install 'keras-retinanet\[litert\]'"):
        engines.open_engine(tmp_path / "model.tflite")


def test_metadata_that_is_damaged():
    with pytest.raises(InputError, match=r"a\.onnx has no metadata"):
        engine.read_info("a.onnx", None)
    with pytest.raises(InputError, match=r"a\.onnx: .* damaged"):
        engine.read_info("a.onnx", "{}")
    assert engine.read_info("a.onnx", ModelInfo(2).to_json()) == ModelInfo(2)


@pytest.mark.parametrize("thresholds", [[0.5], [0.1, 2], [0.1, None], "ab", 5, [[0.1], [0.2]]])
def test_thresholds_in_metadata_that_are_damaged(thresholds):
    facts = json.loads(ModelInfo(2).to_json())
    facts["postprocess"]["class_thresholds"] = [0.25, 0.5]
    info = engine.read_info("a.onnx", json.dumps(facts))
    assert list(info.postprocess.class_thresholds) == [0.25, 0.5]
    facts["postprocess"]["class_thresholds"] = thresholds
    with pytest.raises(InputError, match=r"a\.onnx: "):
        engine.read_info("a.onnx", json.dumps(facts))
