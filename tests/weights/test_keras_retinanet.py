"""keras-retinanet's files, written as Keras 2 writes them, against a forward pass in NumPy."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.numpy import save_file

from keras_retinanet.errors import InputError
from keras_retinanet.models import convert_model
from keras_retinanet.presets import KERAS_RETINANET
from keras_retinanet.utils.anchors import AnchorParameters
from keras_retinanet.weights.coco import COCO_80
from keras_retinanet.weights.files import read_tensors
from keras_retinanet.weights.keras_retinanet import (
    canonical,
    decoding,
    family_of,
    layer_name,
    load,
)

from . import ours
from . import reference_keras as reference
from .reference_keras import inference, write

SIDES = (48, 70)


@pytest.fixture(scope="module")
def thin():
    """The weights of a MobileNet, 0.25 wide."""
    return reference.mobilenet()


@pytest.fixture(scope="module")
def resnet():
    """The weights of a ResNet-50."""
    return reference.resnet50()


@pytest.mark.core
def test_raw_outputs_of_a_mobilenet_are_those_of_numpy(thin, tmp_path):
    model, assumed = load(write(tmp_path / "weights.h5", thin))
    assert model.backbone_name == "mobilenet224_0.25"
    assert "default anchors" in assumed[0]
    image = ours.picture(96, 65)  # an even side and an odd one, which "same" pads otherwise
    bgr = image[None, ..., ::-1].transpose(0, 3, 1, 2).astype("float32")
    features = reference.mobilenet_features(reference.tf(bgr), thin)
    expected = reference.joined(reference.raw(features, thin)[0])
    for found, values in zip(ours.raw(model, image), expected, strict=True):
        assert_allclose(found[0], values, atol=1e-4)


@pytest.mark.parametrize("stem", ["keras-resnet 0.1", "keras-resnet 0.2"])
def test_a_resnet_finds_what_numpy_finds(resnet, stem, tmp_path):
    first = stem == "keras-resnet 0.1"
    others = ["padding_conv1"] if first else []
    model = load(write(tmp_path / "training.h5", resnet, layers=[], others=others)).model
    assert model.normalization is None
    image = ours.picture(*((90, 61) if first else (48, 70)))
    pixels, scale = reference.prepared(image, SIDES)
    outputs, shapes = reference.raw(reference.resnet_features(pixels, resnet, first), resnet)
    found = model(pixels.transpose(0, 2, 3, 1), training=False)
    for each, values in zip(found, reference.joined(outputs), strict=True):
        assert_allclose(keras.ops.convert_to_numpy(each)[0], values, atol=1e-4)
    boxes, scores, labels = reference.detections(pixels, outputs, shapes)
    assert 20 < len(boxes) < 200
    (found,) = ours.detections(model, [image], SIDES)
    ours.agree(found, boxes / scale, scores, labels)


def test_an_inference_model_keeps_its_anchors_and_its_filter(tmp_path):
    state = reference.mobilenet(levels=(3, 4, 5), anchors=2)
    layers = inference(
        sizes=(24, 40, 80),
        ratios=[0.5, 1.5],
        scales=[1.25],
        class_specific_filter=False,
        nms_threshold=0.3,
        score_threshold=0.02,
        max_detections=20,
    )
    model, assumed = load(write(tmp_path / "inference.h5", state, layers))
    assert model.pyramid_levels == [3, 4, 5]
    assert not assumed
    assert model.anchor_params.sizes == [24, 40, 80]
    assert model.anchor_params.strides == [8, 16, 32]
    assert convert_model(model).detection == {
        "nms": "hard",
        "class_specific_filter": False,
        "nms_threshold": 0.3,
        "score_threshold": 0.02,
        "max_detections": 20,
        "top_k": None,
        "clip": "before",
        "class_thresholds": None,
    }
    image = ours.picture(70, 53)
    pixels, scale = reference.prepared(image, SIDES, reference.tf)
    features = reference.mobilenet_features(pixels, state)
    outputs, shapes = reference.raw(features, state, levels=(3, 4, 5))
    # 1.25 x the size, and height / width as the ratio says
    sides = np.array([1.25 / np.sqrt([0.5, 1.5]), 1.25 * np.sqrt([0.5, 1.5])]).T  # (2, 2)
    places = [size / 2 * np.hstack([-sides, sides]) for size in (24, 40, 80)]
    boxes, scores, labels = reference.detections(
        pixels, outputs, shapes, places, one_class=True, limits=(0.3, 0.02, 20)
    )
    assert len(boxes) == 20
    (found,) = ours.detections(model, [image], SIDES)
    ours.agree(found, boxes / scale, scores, labels)


@pytest.mark.parametrize(
    ("options", "known"),
    [({"nms": False}, {"nms": "none"}), ({"max_detections": 7}, {"max_detections": 7})],
)
def test_filters(options, known):
    expected = replace(KERAS_RETINANET.postprocess, **known)
    assert decoding(structured(inference(**options))).postprocess == expected


def test_a_model_without_clipping_clips_at_the_end():
    layers = [layer for layer in structured(inference()) if layer["class_name"] != "ClipBoxes"]
    assert decoding(layers).postprocess.clip == "after"


def test_the_box_coder_of_a_model():
    layers = structured(inference())
    next(layer for layer in layers if layer["class_name"] == "RegressBoxes")["std"] = [0.1] * 4
    assert decoding(layers).coder == {"name": "corners", "mean": [0] * 4, "std": [0.1] * 4}
    assert decoding([]) == KERAS_RETINANET


def structured(layers):
    return [{"class_name": layer["class_name"], **layer["config"]} for layer in layers]


# names


def test_heads_that_tensorflow_1_numbered(thin, tmp_path):
    numbers = {"pyramid_regression": 8, "pyramid_classification_0": 4, "pyramid_classification": 0}
    renamed = {}
    for name, value in thin.items():
        layer, part = name.split("/")
        layer = f"{layer.rstrip('_0')}_{numbers[layer]}" if layer in numbers else layer
        renamed[f"{layer}/{part}"] = value
    tensors = canonical(read_tensors(write(tmp_path / "numbered.h5", renamed)))
    assert set(tensors) == set(read_tensors(write(tmp_path / "plain.h5", thin)))
    for output in ("regression", "classification"):
        for layer in (f"pyramid_{output}_0", f"pyramid_{output}"):
            name = f"{layer}/kernel"
            assert_array_equal(tensors[f"{output}_submodel/{name}"], thin[name])


def test_a_layer_that_tensorflow_1_numbered():
    tensors = {"P3/P3_1/kernel": 1, "conv1/conv/conv1/conv_2/kernel": 2, "C3_reduced/bias": 3}
    assert canonical(tensors) == {"P3/kernel": 1, "conv1/conv/kernel": 2, "C3_reduced/bias": 3}


@pytest.mark.parametrize(
    ("ours_", "theirs"),
    [
        ("conv1_conv", "conv1"),
        ("conv1_bn", "bn_conv1"),
        ("conv2_block1_0_conv", "res2a_branch1"),
        ("conv2_block3_1_bn", "bn2c_branch2a"),
        ("conv4_block1_3_conv", "res4a_branch2c"),
        ("conv4_block23_2_bn", "bn4b22_branch2b"),
        ("P3", "P3"),
    ],
)
def test_names_of_keras_resnet(ours_, theirs):
    assert layer_name(ours_, {"bn_conv1/gamma": ...}, numbered={"3", "4"}) == theirs


@pytest.mark.parametrize(
    ("name", "mark"), [("vgg16", "block5_conv3/bias"), ("densenet121", "conv1/conv/kernel")]
)
def test_other_backbones(name, mark, tmp_path):
    state = getattr(reference, name)()
    model = load(write(tmp_path / "weights.h5", state)).model
    assert model.backbone_name == name
    assert model.normalization == {"vgg16": None, "densenet121": "tf_bgr"}[name]
    layer, part = mark.rsplit("/", 1)
    found = getattr(model.get_layer(layer.replace("/", "_")), part)
    assert_array_equal(found.numpy(), state[mark])


@pytest.mark.parametrize(
    ("size", "name"),
    [
        ({"bn_conv1/gamma": 1, **{f"res4b{i}_branch2a/kernel": 1 for i in range(22)}}, "resnet101"),
        ({"bn_conv1/gamma": 1, **{f"res4b{i}_branch2a/kernel": 1 for i in range(36)}}, "resnet152"),
        ({"block1_conv1/kernel": 1, **{f"block5_conv{i}/kernel": 1 for i in range(4)}}, "vgg19"),
        (
            {f"conv4_block{i}_1_conv/kernel": 1 for i in range(48)} | {"conv1/conv/kernel": 1},
            "densenet201",
        ),
        (
            {"conv_dw_1/depthwise_kernel": 1, "conv1_bn/gamma": np.zeros(24)},
            "mobilenet224_0.75",
        ),
    ],
)
def test_the_size_of_a_backbone(size, name):
    assert family_of("some.h5", size)[1] == name


def test_tensors_alone(thin, tmp_path):
    file, path = write(tmp_path / "a.h5", thin), tmp_path / "weights.safetensors"
    save_file({name: np.ascontiguousarray(x) for name, x in read_tensors(file).items()}, path)
    models = load(path).model, load(file).model
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        assert_array_equal(one, other)


def test_the_size_of_a_mobilenet_is_what_the_user_says():
    tensors = {"conv_dw_1/depthwise_kernel": 1, "conv1_bn/gamma": np.zeros(16)}
    for name in ("mobilenet128_0.5", "mobilenet160_0.50", "mobilenet224_0.5"):
        assert family_of("some.h5", tensors, name)[1] == name
    for name in ("mobilenet128_0.25", "mobilenet100_0.5", "resnet50"):
        with pytest.raises(InputError, match=rf"the backbone is mobilenet224_0\.5, not {name}"):
            family_of("some.h5", tensors, name)


def test_class_names(tmp_path):
    path = write(tmp_path / "coco.h5", reference.mobilenet(classes=80, levels=(3, 4, 5)))
    anchors = AnchorParameters([32, 64, 128], [8, 16, 32])
    model, assumed = load(path, anchors=anchors)
    assert model.class_names == COCO_80
    assert not assumed
    with pytest.raises(InputError, match=r"coco\.h5: needs 80 class names, got 2"):
        load(path, ["cat", "dog"])


# files that are something else


def test_every_tensor_is_named(thin, tmp_path):
    state = {name: value for name, value in thin.items() if name != "conv_pw_3/kernel"}
    state |= {"extra/kernel": np.zeros(1), "P4/bias": np.zeros(7)}
    with pytest.raises(InputError) as error:
        load(write(tmp_path / "broken.h5", state))
    for part in ("broken.h5", "missing conv_pw_3/kernel", "left over extra/kernel", "P4/bias (7,)"):
        assert part in str(error.value)


def test_what_is_no_detector(thin, tmp_path):
    backbone = {name: value for name, value in thin.items() if not name.startswith("pyramid")}
    with pytest.raises(InputError, match="it has no regression_submodel/pyramid_regression/kernel"):
        load(write(tmp_path / "backbone.h5", backbone))
    with pytest.raises(InputError, match=r"but tensors such as dense/kernel\."):
        load(write(tmp_path / "other.h5", {"dense/kernel": np.zeros(3)}))
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(InputError, match=r"text\.h5: "):
        load(tmp_path / "text.h5")


def test_anchors_that_do_not_fit(thin, tmp_path):
    path = write(tmp_path / "inference.h5", thin, inference(ratios=[1.0]))
    with pytest.raises(InputError, match=r"heads of 3 anchors per location .* got 36 and "):
        load(path)
    path = write(tmp_path / "levels.h5", thin, inference(sizes=(32, 64)))
    with pytest.raises(InputError, match=r"pyramid levels 3, 4, 5, .* 2 levels"):
        load(path)
    with pytest.raises(InputError, match="heads of 1 anchors"):
        load(path, anchors=AnchorParameters(ratios=[1], scales=[1]))


@pytest.mark.parametrize(
    "layers",
    [
        "text",
        [{"class_name": "Anchors"}],
        [{"class_name": "Anchors", "config": {"name": "anchors_0"}}],
        [{"class_name": "Anchors", "config": {"name": "anchors_0", "size": "a", "stride": 8}}],
    ],
)
def test_a_configuration_that_is_none(thin, layers, tmp_path):
    with pytest.raises(InputError, match=r"odd\.h5: its model_config is damaged"):
        load(write(tmp_path / "odd.h5", thin, layers))
