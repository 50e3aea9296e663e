"""MMDetection's RetinaNet and GFL against NumPy, with the same tensors and images."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from keras_retinanet.errors import InputError
from keras_retinanet.models import convert_model
from keras_retinanet.weights import mmdetection

from . import ours, reference, reference_detections
from .reference_states import draw, mmdetection_names

SIDES = (64, 90)
RETINA = {"names": mmdetection_names()}
GFL = {"names": mmdetection_names(gfl=True), "anchors": 1, "values": 68, "p6_from": "P5"}
KINDS = {"mmdetection": RETINA, "gfl": GFL}
THIN = {"depth": 18, "classes": 3, "width": 32}  # a ResNet-18, narrow beyond


def network(kind, **more):
    return {"p7_relu": False, "values": KINDS[kind].get("values", 4), **more}


@pytest.fixture(scope="module")
def thin():
    """{kind: (state dict, training model)} of a thin RetinaNet and GFL."""
    states = {
        "mmdetection": draw(**RETINA, **THIN, prior=-4.7),
        "gfl": draw(**GFL, **{**THIN, "width": 128}, prior=-3),
    }
    return {
        kind: (state, mmdetection.load("thin.pth", tensors=state).model)
        for kind, state in states.items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_raw_outputs_are_those_of_numpy(kind):
    state = draw(**KINDS[kind], classes=4)
    model = mmdetection.load("r50.pth", tensors=state).model
    for size in ((64, 64), (83, 64)):
        image = ours.picture(*size)
        pixels = reference_detections.prepared(image, **reference_detections.RGB)
        levels, _ = reference.raw(pixels, state, KINDS[kind]["names"], **network(kind))
        regression, logits = (np.concatenate(rows, axis=1) for rows in zip(*levels, strict=True))
        found = ours.raw(model, image)
        assert_allclose(found[0], regression, atol=1e-4)
        assert_allclose(found[1], reference.sigmoid(logits), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_detections_are_those_of_numpy(thin, kind):
    state, model = thin[kind]
    images = [ours.picture(*size, seed) for seed, size in enumerate([(90, 64), (64, 101)])]
    every = ours.detections(model, images, SIDES, most=100)
    for image, found in zip(images, every, strict=True):
        expected = reference_detections.detections(
            image,
            SIDES,
            kind,
            state,
            KINDS[kind]["names"],
            network=network(kind, depth=18, classes=3),
        )
        assert 10 < len(expected[0]) < 100
        ours.agree(found, *expected)


def test_the_dialects(thin):
    coders = {kind: model.options["coder"] for kind, (_, model) in thin.items()}
    assert coders["mmdetection"]["clamp"] == "both"
    assert coders["gfl"] == {"name": "distances", "bins": 16, "unit": 0.125}
    detection = {kind: convert_model(model).detection for kind, (_, model) in thin.items()}
    assert [each["nms_threshold"] for each in detection.values()] == [0.5, 0.6]
    assert [each["max_detections"] for each in detection.values()] == [100, 100]
    for _, model in thin.values():
        assert model.options["anchors"]["offset"] == 0
        assert model.options["resize"] == "mmdetection"


def test_a_file_of_version_2(thin, write_pth, tmp_path):
    state, model = thin["mmdetection"]
    counted = {**state, "backbone.bn1.num_batches_tracked": np.int64(7)}
    meta = {"mmdet_version": "2.3.0rc0", "CLASSES": ("a", "b", "c")}
    file = write_pth(tmp_path / "v2.pth", {"meta": meta, "state_dict": counted}, older=True)
    found = mmdetection.load(file, class_names=["a", "b", "c"]).model
    assert found.class_names == ["a", "b", "c"]
    for new, old in zip(found.get_weights(), model.get_weights(), strict=True):
        assert_array_equal(new, old)


def test_a_file_of_version_3(thin, write_pth, tmp_path):
    state, model = thin["gfl"]
    more = {
        "bbox_head.integral.project": np.arange(17, dtype="float32"),
        "data_preprocessor.mean": np.float32([[[123.675]], [[116.28]], [[103.53]]]),
        "data_preprocessor.std": np.float32([[[58.395]], [[57.12]], [[57.375]]]),
    }
    content = {"state_dict": {**state, **more}, "message_hub": None}
    found = mmdetection.load(write_pth(tmp_path / "v3.pth", content)).model
    for new, old in zip(found.get_weights(), model.get_weights(), strict=True):
        assert_array_equal(new, old)


def without_statistics(state):
    """The state dict of a network whose batch norm has those that a new one starts with."""
    means = {name: 0 * value for name, value in state.items() if name.endswith("running_mean")}
    ones = {name: 0 * value + 1 for name, value in state.items() if name.endswith("running_var")}
    return {**state, **means, **ones}


def test_the_style_caffe():
    state = without_statistics(draw(**RETINA, classes=4, width=32, spread=60))
    model = mmdetection.load("caffe.pth", tensors=state).model
    assert model.normalization == "detectron2"
    image = ours.picture(83, 64)
    pixels = reference_detections.prepared(image, **reference_detections.BGR)
    stride = {"stride_in": "1x1"}
    levels, _ = reference.raw(pixels, state, RETINA["names"], **network("mmdetection", **stride))
    regression = np.concatenate([rows for rows, _ in levels], axis=1)
    assert_allclose(ours.raw(model, image)[0], regression, atol=1e-4)


def test_a_resnet_101():
    """Every name and shape; the values do not matter."""
    state = draw(**RETINA, depth=101, classes=2, width=32)
    model = mmdetection.load("r101.pth", tensors=state).model
    assert model.backbone_name == "resnet101v1.5"
    last = model.get_layer("conv4_block23_3_conv").get_weights()[0]
    assert_array_equal(last[0, 0].T, state["backbone.layer3.22.conv3.weight"][:, :, 0, 0])


def refused(state):
    with pytest.raises(InputError) as error:
        mmdetection.load("thin.pth", tensors=state)
    message = str(error.value)
    assert message.startswith("thin.pth: ")
    return message


def test_another_network_is_refused(thin):
    state = thin["mmdetection"][0]
    faster_rcnn = {name: value for name, value in state.items() if "bbox_head" not in name}
    faster_rcnn["roi_head.bbox_head.fc_cls.weight"] = np.zeros((4, 8), "float32")
    assert "it has no bbox_head.retina_reg.weight but " in refused(faster_rcnn)
    assert "such as backbone.layer1.0.conv1.weight, but no tensors." in refused({})


def test_other_means_are_refused(thin):
    state = {**thin["mmdetection"][0], "data_preprocessor.mean": np.float32([127.5] * 3)}
    message = "data_preprocessor.mean must be 123.675, 116.28, 103.53, got 127.5, "
    assert message in refused(state)


def test_other_bins_are_refused(thin):
    state = {**thin["gfl"][0], "bbox_head.integral.project": np.arange(9, dtype="float32")}
    assert "bbox_head.integral.project must be 0, 1, 2" in refused(state)


def test_heads_too_narrow_for_the_groups_are_refused():
    state = draw(**GFL, **{**THIN, "width": 64})
    assert "needs 32 groups of at least 4 channels, but these have 64" in refused(state)


def test_faults_are_named(thin):
    state = dict(thin["gfl"][0])
    del state["bbox_head.scales.4.scale"]
    del state["bbox_head.cls_convs.1.gn.bias"]
    state["bbox_head.cls_convs.1.conv.bias"] = np.zeros(128, "float32")
    state["neck.fpn_convs.4.conv.weight"] = np.zeros((128, 64, 3, 3), "float32")
    message = refused(state)
    assert "missing bbox_head.scales.4.scale, bbox_head.cls_convs.1.gn.bias; " in message
    assert "left over bbox_head.cls_convs.1.conv.bias; " in message
    assert "neck.fpn_convs.4.conv.weight (3, 3, 64, 128) instead of (3, 3, 128, 128)" in message
