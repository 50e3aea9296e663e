"""torchvision's RetinaNets against NumPy's, and against torchvision where it is installed."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from keras_retinanet.errors import InputError
from keras_retinanet.models import convert_model
from keras_retinanet.weights import torchvision
from keras_retinanet.weights.coco import coco_91

from . import ours, reference, reference_detections
from .reference_states import draw, torchvision_names

NAMES = torchvision_names()
THIN = {"depth": 18, "width": 32, "classes": 3, "p6_from": "P5"}  # a ResNet-18, narrow beyond
SIDES = (64, 90)


@pytest.fixture(scope="module", params=["first", "second"])
def version(request):
    """(names, state dict, training model) of each version of R50."""
    names = torchvision_names(request.param == "second")
    own = {"first": {"p6_from": "P5", "prior": -5.5}, "second": {"prior": -6.5}}[request.param]
    state = draw(names, classes=4, **own)
    return names, state, torchvision.load("r50.pth", tensors=state, epsilon=1e-5).model


@pytest.fixture(scope="module")
def thin():
    """(state dict, training model) of a thin network in the first version's names."""
    state = draw(NAMES, **THIN)
    return state, torchvision.load("thin.pth", tensors=state).model


def test_the_dialect(thin):
    options = thin[1].options
    assert options["anchors"]["offset"] == 0
    assert options["anchors"]["rounded"]
    assert options["anchors"]["fitted_strides"]
    assert (options["image_min_side"], options["image_max_side"]) == (800, 1333)
    assert convert_model(thin[1]).detection == {
        "nms": "hard",
        "class_specific_filter": True,
        "nms_threshold": 0.5,
        "score_threshold": 0.05,
        "max_detections": 300,
        "top_k": 1000,
        "clip": "before",
        "class_thresholds": None,
    }


def test_anchors_are_those_of_numpy(thin):
    height, width = 96, 160  # levels 6 and 7 have 2 x 3 and 1 x 2 places, 48 x 53 and 96 x 80 px
    expected = []
    for stride, cell in zip(
        reference_detections.STRIDES, reference_detections.rounded_cells(), strict=True
    ):
        rows, columns = -(-height // stride), -(-width // stride)
        fitted = (height // rows, width // columns)
        expected.append(reference_detections.grid(cell, (rows, columns), fitted))
    found = keras.ops.convert_to_numpy(thin[1].anchors_for((height, width)))
    assert_array_equal(found, np.concatenate(expected))


@pytest.mark.parametrize("size", [(64, 64), (83, 64)])
def test_raw_outputs_are_those_of_numpy(version, size):
    names, state, model = version
    image = ours.picture(*size)
    pixels = reference_detections.prepared(image, **reference_detections.RGB)
    levels, _ = reference.raw(pixels, state, names)
    regression, logits = (np.concatenate(rows, axis=1) for rows in zip(*levels, strict=True))
    found = ours.raw(model, image)
    assert_allclose(found[0], regression, atol=1e-4)
    assert_allclose(found[1], reference.sigmoid(logits), atol=1e-4)


def test_detections_are_those_of_numpy(thin):
    state, model = thin
    images = [ours.picture(*size, seed) for seed, size in enumerate([(90, 64), (64, 101)])]
    for image, found in zip(images, ours.detections(model, images, SIDES), strict=True):
        network = {"depth": 18, "classes": 3, "epsilon": 0}
        expected = reference_detections.detections(
            image, SIDES, "torchvision", state, NAMES, network=network
        )
        assert 10 < len(expected[0]) < 300
        ours.agree(found, *expected)


@pytest.fixture(scope="module")
def torch(torchvision):
    return pytest.importorskip("torch")


def original(torch, names, state):
    """torchvision's own model with the weights of the state dict."""
    from torchvision.models import detection

    second = names["regression"]["norms"][0] is not None
    build = detection.retinanet_resnet50_fpn_v2 if second else detection.retinanet_resnet50_fpn
    options = {"min_size": SIDES[0], "max_size": SIDES[1], "num_classes": 4}
    model = build(weights=None, weights_backbone=None, **options).eval()
    model.load_state_dict({name: torch.tensor(value) for name, value in state.items()}, False)
    return model


@pytest.mark.core
def test_detections_are_those_of_torchvision(version, torch):
    names, state, model = version
    theirs = original(torch, names, state)
    images = [ours.picture(*size, seed) for seed, size in enumerate([(90, 64), (64, 101)])]
    for image, found in zip(images, ours.detections(model, images, SIDES), strict=True):
        with torch.no_grad():
            expected = theirs([torch.tensor(image.transpose(2, 0, 1) / 255, dtype=torch.float32)])
        boxes, scores, labels = (expected[0][key].numpy() for key in ("boxes", "scores", "labels"))
        assert 5 < len(boxes) < 300
        ours.agree(found, boxes, scores, labels)


@pytest.mark.core
def test_raw_outputs_are_those_of_torchvision(version, torch):
    names, state, model = version
    theirs = original(torch, names, state)
    for size in ((64, 64), (83, 64)):
        image = ours.picture(*size)
        pixels = reference_detections.prepared(image, **reference_detections.RGB)
        with torch.no_grad():
            heads = theirs.head(list(theirs.backbone(torch.tensor(pixels)).values()))
        found = ours.raw(model, image)
        assert_allclose(found[0], heads["bbox_regression"].numpy(), atol=1e-4)
        assert_allclose(found[1], heads["cls_logits"].sigmoid().numpy(), atol=1e-4)


def test_names_of_before_version_0_13(thin):
    model = thin[1]
    older = torchvision_names(old=True)
    assert older["lateral"][0] == "backbone.fpn.inner_blocks.0"
    assert older["regression"]["convs"][3] == "head.regression_head.conv.6"
    found = torchvision.load("thin.pth", tensors=draw(older, **THIN)).model
    for new, old in zip(found.get_weights(), model.get_weights(), strict=True):
        assert_array_equal(new, old)


def test_a_file_of_a_network_that_counts_its_batches(thin, write_pth, tmp_path):
    state, model = thin
    file = {"model": {**state, "backbone.body.bn1.num_batches_tracked": np.int64(7)}, "epoch": 3}
    found, assumed = torchvision.load(write_pth(tmp_path / "thin.pth", file), ["cat", "dog"])
    assert not assumed
    for new, old in zip(found.weights, model.weights, strict=True):
        if not new.path.endswith("_bn/gamma"):
            assert_array_equal(new, old)
    new, old = (each.get_layer("conv1_bn").get_weights()[0] for each in (found, model))
    variance = state["backbone.body.bn1.running_var"].astype("float64")
    assert_array_equal(new, state["backbone.body.bn1.weight"])  # of epsilon 1e-5; and of 0:
    assert_allclose(old, new * np.sqrt((variance + 1e-5) / variance), rtol=1e-6)
    assert found.class_names == ["background", "cat", "dog"]
    assert model.class_names is None
    assert "epsilon 0" in torchvision.load("thin.pth", tensors=state).assumed[0]


def test_classes_of_coco(thin):
    state = dict(thin[0])
    for part in ("weight", "bias"):
        name = f"head.classification_head.cls_logits.{part}"
        state[name] = np.zeros((9 * 91, *state[name].shape[1:]), "float32")
    model, assumed = torchvision.load("thin.pth", tensors=state, epsilon=1e-5)
    assert model.class_names == coco_91()
    assert not assumed


def test_a_first_tensor_of_a_stage_that_is_missing_is_named(thin):
    name = "backbone.body.layer2.0.conv1.weight"
    rest = {other: value for other, value in thin[0].items() if other != name}
    assert refused(rest).endswith(f": missing {name}.")


def test_names_of_other_classes_are_refused(thin):
    with pytest.raises(InputError, match=r"thin.pth: needs 3 class names, got 4 \("):
        torchvision.load("thin.pth", ["a", "b", "c", "d"], tensors=thin[0])
    # two names for three rows: the background is put in front
    with pytest.raises(InputError, match=r"Class names .*'background', 'background', 'cat'"):
        torchvision.load("thin.pth", ["background", "cat"], tensors=thin[0])


def refused(state, **options):
    with pytest.raises(InputError) as error:
        torchvision.load("thin.pth", tensors=state, **options)
    message = str(error.value)
    assert message.startswith("thin.pth: ")
    return message


def test_faults_are_named(thin):
    state = dict(thin[0])
    del state["backbone.body.layer1.1.conv2.weight"]
    del state["head.regression_head.conv.2.0.bias"]
    state["roi_heads.mask.weight"] = np.zeros(3, "float32")
    state["backbone.body.bn1.bias"] = np.zeros(65, "float32")
    message = refused(state)
    assert "missing backbone.body.layer1.1.conv2.weight, head.regression_head.conv.2.0" in message
    assert "left over roi_heads.mask.weight" in message
    assert "of another shape backbone.body.bn1.bias (65,) instead of (64,)" in message


@pytest.mark.parametrize("shape", [(9, 32, 3, 3), (12, 32, 3, 3), (36,), (0, 32, 3, 3)])
def test_other_anchors_are_refused(thin, shape):
    name = "head.regression_head.bbox_reg"
    message = refused({**thin[0], f"{name}.weight": np.zeros(shape, "float32")})
    assert "9 anchors per location" in message or f"{name}.weight must have 4 axes" in message


def test_another_network_is_refused(thin):
    body = {name: value for name, value in thin[0].items() if ".body." in name}
    mask_rcnn = {**body, "roi_heads.box_predictor.cls_score.weight": np.zeros((3, 8), "float32")}
    assert "it has no head.regression_head.bbox_reg.weight but " in refused(mask_rcnn)
    bare = {name.removeprefix("backbone.body."): value for name, value in body.items()}
    message = refused(bare)
    assert "such as backbone.body.layer1.0.conv1.weight, but tensors such as conv1." in message
    assert message.endswith("; name the source backbone.")
    assert "the backbone is resnet18, not resnet50v1.5." in refused(
        thin[0], backbone="resnet50v1.5"
    )
