"""Loading, converting and checking models."""

import keras
import numpy as np
import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.models import (
    RetinaNet,
    assert_training_model,
    check_training_model,
    convert_model,
    load_model,
)

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def model(build):
    return build(coder="center_size", class_names=["cat", "dog"], image_min_side=64)


@pytest.fixture(scope="module")
def inference(model):
    return convert_model(model, score_threshold=0.0, max_detections=9)


@pytest.fixture(scope="module")
def detections(inference, images):
    return inference.predict_on_batch(images)


def test_convert_model(model, inference):
    assert isinstance(inference, RetinaNet)
    assert not inference.is_training_model
    assert inference.output_names == ["boxes", "scores", "labels"]
    assert [tuple(output.shape) for output in inference.outputs] == [
        (None, 9, 4),
        (None, 9),
        (None, 9),
    ]
    assert inference.name == "retinanet-bbox"
    ours, theirs = inference.options, model.options
    assert ours.pop("detection")["max_detections"] == 9
    theirs.pop("detection")
    assert ours == theirs


def test_the_weights_are_shared(model, inference):
    assert {id(v) for v in inference.variables} == {id(v) for v in model.variables}


def test_old_arguments(model, anchors):
    converted = convert_model(
        model,
        nms=False,
        class_specific_filter=False,
        anchor_params=anchors,
        nms_threshold=0.4,
        score_threshold=0.2,
        max_detections=11,
        parallel_iterations=16,
    )
    assert converted.detection == {
        "nms": "none",
        "class_specific_filter": False,
        "nms_threshold": 0.4,
        "score_threshold": 0.2,
        "max_detections": 11,
        "top_k": 1000,
        "clip": "before",
        "class_thresholds": None,
    }


def test_what_is_not_passed_is_as_the_model_knows(build):
    model = build(detection={"score_threshold": 0.25, "max_detections": 12, "nms": "none"})
    detection = convert_model(model, max_detections=13).detection
    assert detection["score_threshold"] == 0.25
    assert detection["max_detections"] == 13
    assert detection["nms"] == "none"
    assert convert_model(model, nms=True).detection["nms"] == "hard"
    defaults = {"nms_threshold": 0.5, "score_threshold": 0.05, "max_detections": 300}
    assert defaults.items() <= convert_model(build()).detection.items()


def test_an_inference_model_cannot_be_converted(inference):
    with pytest.raises(InputError, match="has boxes, scores, labels"):
        convert_model(inference)


def test_load_model(inference, detections, images, tmp_path):
    path = tmp_path / "model.keras"
    inference.save(path)
    loaded = load_model(path, backbone_name="resnet50")
    assert isinstance(loaded, RetinaNet)
    assert loaded.options == inference.options
    assert loaded.output_names == inference.output_names
    for ours, theirs in zip(loaded.predict_on_batch(images), detections, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_a_loaded_model_converts(model, inference, detections, images, tmp_path):
    path = tmp_path / "model.keras"
    model.save(path)
    converted = convert_model(load_model(str(path)), score_threshold=0.0, max_detections=9)
    assert converted.options == inference.options
    for a, b in zip(converted.predict_on_batch(images), detections, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_assert_training_model(model, inference):
    assert_training_model(model)
    with pytest.raises(AssertionError, match="boxes"):
        assert_training_model(inference)
    with pytest.raises(AssertionError, match="regression and classification"):
        assert_training_model(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))


def test_check_training_model(model, inference, capsys):
    check_training_model(model)
    assert capsys.readouterr().err == ""
    with pytest.raises(SystemExit) as error:
        check_training_model(inference)
    assert error.value.code == 1
    assert "A training model has" in capsys.readouterr().err
