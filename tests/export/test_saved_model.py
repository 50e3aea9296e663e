"""The SavedModel, run by TensorFlow alone, against the detections of this package."""

import io
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.export.saved_model import (
    drop_padding,
    export_saved_model,
    serving_functions,
)
from keras_retinanet.utils.resizing import RESIZES, stretched

from .graphs import wide_nodes

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="a SavedModel is TensorFlow's"
)

SERVE = """
    import sys
    from importlib.machinery import PathFinder

    class Without(PathFinder):
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            hidden = name.split(".")[0] in ("keras_retinanet", "keras", "tf_keras")
            return None if hidden else PathFinder.find_spec(name, path, target)

    sys.meta_path = [Without if finder is PathFinder else finder for finder in sys.meta_path]
    sys.meta_path = [f for f in sys.meta_path if "editable" not in repr(f).lower()]
    import numpy as np, tensorflow as tf

    loaded = tf.saved_model.load(sys.argv[1])
    images = np.load(sys.argv[2])
    results = {}
    for name in images.files:
        for signature, dtype in (("serving_default", "float32"), ("serving_uint8", "uint8")):
            found = loaded.signatures[signature](images=tf.constant(images[name].astype(dtype)))
            for key, values in found.items():
                results[f"{name}/{signature}/{key}"] = values.numpy()
    assert not {"keras_retinanet", "keras", "tf_keras"} & set(sys.modules)
    np.savez(sys.argv[3], **results)
"""


@pytest.fixture(scope="module")
def pictures(sample):
    """Batches (B, H, W, 3) uint8 by name, of images that the detector knows."""

    def read(index, size=(64, 64)):
        path = sample / "images" / "train" / f"{index:05d}.jpg"
        return np.asarray(Image.open(path).resize(size, Image.Resampling.BILINEAR))

    return {
        "same": np.stack([read(0), read(1)]),
        "wide": np.stack([read(2, (150, 101)), read(3, (150, 101))]),  # 64 x 43 px to the model
        "high": read(4, (77, 90))[None],
        "empty": np.zeros((1, 50, 50, 3), "uint8"),
    }


@pytest.fixture(scope="module")
def candidates(snapshot, tmp_path_factory):
    """The path of a detector without NMS: boxes that overlap by almost its threshold are kept or
    not for a difference of one level of 255 in a pixel, which resizing in a graph may make."""
    from keras_retinanet.bin import convert_model

    path = tmp_path_factory.mktemp("candidates") / "detector.keras"
    convert_model.main([str(snapshot), str(path), "--no-nms"])
    return path


@pytest.fixture(scope="module")
def exported(candidates, tmp_path_factory):
    """The folder of the detector's SavedModel."""
    from keras_retinanet.bin import convert_model

    folder = tmp_path_factory.mktemp("export") / "model"
    convert_model.main([str(candidates), str(folder)])
    return folder


@pytest.fixture(scope="module")
def served(exported, pictures):
    """The outputs of the SavedModel, in a process that has neither this package nor Keras."""
    folder = exported.parent
    np.savez(folder / "images.npz", **pictures)
    arguments = [str(folder / name) for name in ("model", "images.npz", "results.npz")]
    done = subprocess.run(
        [sys.executable, "-I", "-c", textwrap.dedent(SERVE), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "meta_optimizer" not in done.stderr  # where TensorFlow complains about a graph
    return dict(np.load(folder / "results.npz"))


def detections_in(detector, pictures):
    """Return the detections in the same images by name, a list of dicts each."""
    return {
        name: [vars(found) for found in detector(list(images))] for name, images in pictures.items()
    }


@pytest.fixture(scope="module")
def expected(candidates, pictures):
    from keras_retinanet import Detector

    detector = Detector.load(candidates, score_threshold=0.05, max_detections=300)
    return detections_in(detector, pictures)


def check_alike(served, expected):
    """Assert that each side finds what the other finds, in any order: boxes, scores and labels."""
    keys = ("boxes", "scores", "labels")
    served, expected = dict(zip(keys, served, strict=True)), {key: expected[key] for key in keys}
    for ours, theirs in ((served, expected), (expected, served)):
        sure = ours["scores"] > 0.1  # others may fall on either side of the threshold
        for box, score, label in zip(*(ours[key][sure] for key in keys), strict=True):
            near = (theirs["labels"] == label) & (np.abs(theirs["scores"] - score) < 0.01)
            assert (np.abs(theirs["boxes"][near] - box).max(axis=-1) < 0.5).any()


@pytest.mark.parametrize("signature", ["serving_default", "serving_uint8"])
@pytest.mark.parametrize("name", ["same", "wide", "high", "empty"])
def test_it_finds_what_this_package_finds(served, expected, pictures, signature, name):
    boxes, scores, labels = (
        served[f"{name}/{signature}/{key}"] for key in ("boxes", "scores", "labels")
    )
    count, height, width = pictures[name].shape[:3]
    assert boxes.shape == (count, 300, 4)
    assert scores.shape == labels.shape == (count, 300)
    assert (boxes.dtype, scores.dtype, labels.dtype) == (np.float32, np.float32, np.int32)
    for row, detections in enumerate(expected[name]):
        real = labels[row] >= 0
        assert (np.diff(real.astype(int)) <= 0).all()  # unused rows come last
        assert (boxes[row][~real] == -1).all()
        assert (scores[row][~real] == -1).all()
        assert (boxes[row][real] >= 0).all()
        assert (boxes[row][real] <= (width, height, width, height)).all()
        check_alike((boxes[row], scores[row], labels[row]), detections)


@pytest.fixture(scope="module")
def model(candidates):
    return keras.saving.load_model(candidates)


@pytest.mark.parametrize("rule", RESIZES)
def test_every_resize_rule_is_in_the_graph(model, pictures, rule, within_graphs):
    import tensorflow as tf

    from keras_retinanet import Detector

    model.resize, model.canvases = rule, "own"
    spec = tf.TensorSpec((None, None, None, 3), tf.uint8)
    serve = tf.function(serving_functions(model)["detections"], input_signature=[spec])
    some = {name: pictures[name] for name in ("same", "wide", "high")}
    detector = Detector(model, score_threshold=0.05, max_detections=300)
    expected = detections_in(detector, some)
    assert sum(len(found["scores"]) for rows in expected.values() for found in rows) > 5
    for name, images in some.items():
        with within_graphs():
            found = serve(tf.constant(images))
        rows = zip(*(found[key].numpy() for key in ("boxes", "scores", "labels")), strict=True)
        for served, detections in zip(rows, expected[name], strict=True):
            check_alike(served, detections)
    assert not wide_nodes(serve.get_concrete_function().graph.as_graph_def())


def test_saved_graph_has_no_64_bit_numbers(exported):
    import tensorflow as tf

    signatures = tf.saved_model.load(str(exported)).signatures
    for name in ("serving_default", "serving_uint8"):
        definition = signatures[name].graph.as_graph_def()
        assert len(definition.library.function) > 0
        assert not wide_nodes(definition)


def test_something_was_found(expected):
    counts = {name: [len(found["scores"]) for found in rows] for name, rows in expected.items()}
    assert min(counts["same"]) > 0
    assert sum(map(sum, counts.values())) > 5


def test_both_signatures_agree(served):
    for key, values in served.items():
        if "serving_default" in key:
            other = served[key.replace("serving_default", "serving_uint8")]
            assert np.allclose(values, other, atol=1e-4)


@pytest.mark.parametrize("nms", ["hard", {"name": "soft_gaussian", "sigma": 0.3}])
def test_nms_is_in_the_graph(snapshot, pictures, within_graphs, nms):
    import tensorflow as tf

    from keras_retinanet.models import convert_model, load_model

    images = pictures["same"]  # 64 px, as the model takes them
    model = convert_model(load_model(snapshot), nms=nms, score_threshold=0.1)
    spec = tf.TensorSpec((None, None, None, 3), tf.uint8)
    serve = tf.function(serving_functions(model)["detections"], input_signature=[spec])
    with within_graphs():
        served = serve(tf.constant(images))
    for name, expected in zip(model.output_names, model.predict_on_batch(images), strict=True):
        np.testing.assert_allclose(served[name], expected, rtol=1e-4, atol=1e-3)
    assert (served["scores"].numpy() > 0.1).sum() > 5


def test_detections_in_the_padding_move_out():
    boxes = np.array([[[40, 0, 60, 9], [0, 0, 9, 9], [-1] * 4, [45, 0, 50, 9]]], "float32")
    scores = np.array([[0.9, 0.8, -1, 0.7]], "float32")
    labels = np.array([[2, 1, -1, 0]], "int32")
    # the image is 48 px wide: the first box is centred at 50, the last at 47.5
    tensors = [keras.ops.convert_to_tensor(values) for values in (boxes, scores, labels)]
    fit = stretched((48, 32), (48, 32))
    kept = [np.asarray(values) for values in drop_padding(*tensors, fit)]
    assert kept[0].tolist() == [[[0, 0, 9, 9], [45, 0, 50, 9], [-1] * 4, [-1] * 4]]
    assert np.allclose(kept[1], [[0.8, 0.7, -1, -1]])
    assert kept[2].tolist() == [[1, 0, -1, -1]]


def test_a_folder_that_cannot_be_written_is_an_error(detector, tmp_path):
    path = tmp_path / "taken"
    path.write_text("kept")
    with pytest.raises(InputError, match="taken is a file"):
        export_saved_model(keras.saving.load_model(detector), str(path))
    assert path.read_text() == "kept"


def test_another_backend_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match=r"jax .* KERAS_BACKEND=tensorflow"):
        export_saved_model(None, tmp_path)


@pytest.fixture(scope="module")
def signatures(exported):
    import tensorflow as tf

    return tf.saved_model.load(str(exported)).signatures


def encoded(image, suffix, **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, suffix, **options)
    return file.getvalue()


def test_encoded_files_of_different_sizes_give_what_their_pixels_give(signatures, pictures):
    import tensorflow as tf

    images = [pictures["same"][0], pictures["wide"][0], pictures["high"][0]]
    files = tf.constant([encoded(image, "PNG") for image in images])
    found = signatures["serving_bytes"](images=files)
    for row, image in enumerate(images):
        single = signatures["serving_uint8"](images=tf.constant(image[None]))
        for name, values in single.items():
            np.testing.assert_allclose(found[name][row], values[0], atol=1e-4)


def test_jpeg_is_read_as_by_pillow_and_its_orientation_ignored(pictures):
    from keras_retinanet.export.saved_model import decoded

    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to show
    file = encoded(pictures["wide"][0], "JPEG", quality=95, exif=exif)
    pixels = np.asarray(decoded(file), int)
    assert pixels.shape == (101, 150, 3)
    assert np.abs(pixels - np.asarray(Image.open(io.BytesIO(file)), int)).max() <= 2


def test_empty_batch_of_files_gives_no_rows(signatures):
    import tensorflow as tf

    found = signatures["serving_bytes"](images=tf.constant([], tf.string))
    assert {name: tuple(values.shape) for name, values in found.items()} == {
        "boxes": (0, 300, 4),
        "scores": (0, 300),
        "labels": (0, 300),
    }


def test_raw_signature_gives_candidates_in_pixels_of_image(signatures, pictures, candidates):
    import tensorflow as tf

    from keras_retinanet.models.inference import candidates_model

    images = pictures["same"].astype("float32")  # 64 px: the graph leaves them as they are
    found = signatures["serving_raw"](images=tf.constant(images))
    boxes, scores, labels = candidates_model(keras.saving.load_model(candidates))(images)
    np.testing.assert_allclose(found["scores"], scores, atol=1e-4)
    sure = np.asarray(scores) > 0.05
    assert (found["labels"].numpy()[sure] == np.asarray(labels)[sure]).all()
    np.testing.assert_allclose(found["boxes"].numpy()[sure], np.asarray(boxes)[sure], atol=1e-2)


def test_variables_are_constants_and_facts_are_inside(exported):
    from keras_retinanet.model_info import ModelInfo

    variables = exported / "variables" / "variables.data-00000-of-00001"
    assert variables.stat().st_size < 1000
    info = ModelInfo.from_json((exported / "assets.extra" / "keras_retinanet.json").read_text())
    assert info.inputs.image_min_side == 64
