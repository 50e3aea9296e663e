"""Properties of every backbone: names, features, weights, frozen layers."""

import warnings
from dataclasses import replace
from importlib import import_module

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet import losses, models
from keras_retinanet.errors import InputError
from keras_retinanet.layers.normalize import NORMALIZATIONS
from keras_retinanet.models import Backbone, backbone
from keras_retinanet.models.backbone import load_backbone_weights
from keras_retinanet.models.norms import with_norm
from keras_retinanet.parts import Design, Freeze, Heads, Inputs, Pyramid
from keras_retinanet.utils.anchors import AnchorParameters
from keras_retinanet.utils.image import preprocess_image
from keras_retinanet.utils.model import freeze

pytestmark = pytest.mark.core

NAME = "resnet10_0.25"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SMALL = Design(Pyramid(width=8), Heads(depth=0), anchors=AnchorParameters(ratios=[1], scales=[1]))


def network(name=NAME):
    return backbone(name).network(keras.Input((None, None, 3)))


def norms(model):
    return [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]


@pytest.fixture(scope="module")
def bare():
    keras.utils.set_random_seed(3)
    return network()


@pytest.fixture(scope="module")
def weights(bare, tmp_path_factory):
    """A file of the bare backbone's weights."""
    path = tmp_path_factory.mktemp("weights") / "bare.weights.h5"
    bare.save_weights(path)
    return str(path)


def test_an_unknown_name_lists_the_known():
    for name in ("resnet51", "vgg", "", "mobilenet224", "mobilenet224_0.3", "resnet", "alexnet"):
        with pytest.raises(ValueError, match=f"'{name}'; known: ") as error:
            backbone(name)
        for known in ("resnet10_0.25", "vgg16", "seresnext50", "mobilenet128_1.0"):
            assert known in str(error.value)


def test_a_backbone_as_it_was_written_for_keras_retinanet():
    class Mine(Backbone):
        def validate(self):
            assert self.backbone == "Mine_1.0"

        def network(self, inputs):
            return backbone("resnet10_0.25").network(inputs)

        def taps(self, network):
            return backbone("resnet10_0.25").taps(network)

    assert Mine("Mine_1.0").retinanet(2).output_names == ["regression", "classification"]


def test_names_of_keras_retinanet():
    resnets = {"seresnet18", "seresnet34", "seresnet50", "seresnet101", "seresnet152"}
    for module, name, names in (
        ("resnet", "ResNetBackbone", {"resnet50", "resnet101", "resnet152"}),
        ("vgg", "VGGBackbone", {"vgg16", "vgg19"}),
        ("densenet", "DenseNetBackbone", {"densenet121", "densenet169", "densenet201"}),
        ("mobilenet", "MobileNetBackbone", {"mobilenet128_1.0", "mobilenet224_0.75"}),
        ("effnet", "EfficientNetBackbone", {f"EfficientNetB{i}" for i in range(8)}),
        ("senet", "SeBackbone", {*resnets, "seresnext50", "seresnext101", "senet154"}),
    ):
        family = getattr(import_module(f"keras_retinanet.models.{module}"), name)
        for each in names:
            assert family(each).backbone == backbone(each).backbone == each.lower()
            assert type(backbone(each)) is family


@pytest.mark.parametrize("build", models.BACKBONES.values())
def test_every_allowed_name_is_known(build):
    for name in build.allowed():
        made = backbone(name)
        assert type(made) is build
        assert isinstance(made, Backbone)
        assert made.backbone == name
        made.validate()
        assert made.normalization in NORMALIZATIONS
        assert made.custom_objects == {}


def test_validate():
    made = backbone(NAME)
    made.backbone = "resnet11"
    with pytest.raises(ValueError, match=r"'resnet11'; known: .*resnet50"):
        made.validate()


@pytest.mark.parametrize("name", [NAME, "mobilenet224_0.25"])
def test_features_halve_the_image(name):
    features = backbone(name).features(keras.Input((64, 96, 3)))
    assert list(features) == ["C2", "C3", "C4", "C5"]
    for level, feature in zip(range(2, 6), features.values(), strict=True):
        assert feature.shape[1:3] == (64 >> level, 96 >> level)


def test_preprocess_image():
    # BGR in, and out what the weights were trained on: RGB but for caffe's
    bgr = np.array([[[30, 20, 10]]], "uint8")
    for name, expected in (
        ("resnet50", [30 - 103.939, 20 - 116.779, 10 - 123.68]),
        ("mobilenet224_0.25", [10 / 127.5 - 1, 20 / 127.5 - 1, 30 / 127.5 - 1]),
        (
            "densenet121",
            [(x / 255 - m) / s for x, m, s in zip((10, 20, 30), MEAN, STD, strict=True)],
        ),
        ("efficientnetv2s", [10 / 128 - 1, 20 / 128 - 1, 30 / 128 - 1]),
    ):
        ours = backbone(name).preprocess_image(bgr)
        assert ours.dtype == "float32"
        np.testing.assert_allclose(ours[0, 0], expected, rtol=1e-5)
    np.testing.assert_array_equal(
        backbone("vgg16").preprocess_image(bgr), preprocess_image(bgr, mode="caffe")
    )


def test_weights_are_loaded(bare, weights):
    keras.utils.set_random_seed(4)
    again = network()
    assert not np.array_equal(again.get_weights()[0], bare.get_weights()[0])
    load_backbone_weights(again, weights, NAME)
    for ours, theirs in zip(again.get_weights(), bare.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("resnet18_0.25", ".weights.h5"),
        ("resnet18_0.25", ".h5"),
        ("resnet18_0.25", ".keras"),
        ("resnet10_0.50", ".weights.h5"),
        ("mobilenet224_0.25", ".weights.h5"),
    ],
)
def test_weights_of_another_backbone(bare, tmp_path, name, suffix):
    path = tmp_path / f"other{suffix}"
    (bare.save_weights if suffix == ".weights.h5" else bare.save)(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        with pytest.raises(InputError, match=f"other{suffix}: not the weights of a bare {name}"):
            load_backbone_weights(network(name), path, name)


@pytest.mark.parametrize("name", ["a.weights.h5", "a.h5", "a.keras", "a.npz"])
def test_files_that_are_no_weights(bare, tmp_path, name):
    path = tmp_path / name
    with pytest.raises(InputError, match=f"{name}: no such weight file"):
        load_backbone_weights(bare, path, NAME)
    for content in (b"", b"not weights" * 100):
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"{name}: not (the weights of a bare|a Keras file)"):
            load_backbone_weights(bare, path, NAME)


def test_weights_that_cannot_be_downloaded(monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("Name or service not known\nand more")

    monkeypatch.setattr(keras.utils, "get_file", offline)
    with pytest.raises(InputError) as error:
        backbone("resnet50").download_imagenet()
    message = str(error.value)
    assert "Name or service not known" in message
    assert "and more" not in message
    assert "no_weights" in message


def test_no_imagenet_weights():
    with pytest.raises(InputError, match=r"no ImageNet weights for resnet10_0\.25.*scratch"):
        backbone(NAME).download_imagenet()


def test_download(monkeypatch):
    asked = {}

    def get_file(name, url, **kwargs):
        asked.update(name=name, url=url, **kwargs)
        return "/there"

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    assert backbone("resnet101").download_imagenet() == "/there"
    assert asked["url"].endswith(asked["name"])
    assert "resnet101" in asked["name"]
    assert asked["file_hash"]


def test_frozen_batch_norm(weights):
    # with weights frozen, from scratch live, and as asked
    makes = backbone(NAME).detector
    for options, live in (
        ({"weights": weights}, False),
        ({}, True),
        ({"weights": weights, "freeze": Freeze(batch_norm=False)}, True),
        ({"freeze": Freeze(batch_norm=True)}, False),
    ):
        model = makes(["a"], **options, design=SMALL)
        assert len(norms(model)) == 12
        assert {norm.trainable for norm in norms(model)} == {live}
        assert all(x.trainable for x in model.layers if isinstance(x, keras.layers.Conv2D))


def test_frozen_backbone(bare):
    model = backbone(NAME).detector(["a"], freeze=Freeze(backbone=True), design=SMALL)
    names = {layer.name for layer in bare.layers}
    assert not any(layer.trainable for layer in model.layers if layer.name in names)
    pyramid = 3 + 3 + 2  # C3..C5 reduced, P3..P5, P6 and P7
    assert len(model.trainable_variables) == 2 * (pyramid + 2)  # and an output of each head


@pytest.mark.parametrize("count", range(6))
def test_frozen_stages(count):
    model = backbone(NAME).detector(["a"], freeze=Freeze(stages=count), design=SMALL)
    for layer in model.layers:
        if layer.weights:
            stage = int(layer.name[4]) if layer.name.startswith("conv") else 9
            assert layer.trainable == (stage > count), layer.name


def test_what_is_frozen_does_not_move():
    # the statistics of batch norm neither
    model = backbone(NAME).detector(["a"], freeze=Freeze(stages=3), design=SMALL)
    model.compile("sgd", {"regression": losses.smooth_l1(), "classification": losses.focal()})
    before = {v.path: ops.convert_to_numpy(v) for v in model.variables}
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype("uint8")
    matches = np.zeros((2, 64 + 16 + 4 + 1 + 1), "int32")
    boxes = np.full((2, 1, 4), (8, 8, 40, 40), "float32")
    targets = {"boxes": boxes, "labels": np.zeros((2, 1), "int32"), "matches": matches}
    model.train_on_batch(images, targets)
    for variable in model.variables:
        stage = int(variable.path[4]) if variable.path.startswith("conv") else 9
        if stage < 9:
            same = np.array_equal(before[variable.path], ops.convert_to_numpy(variable))
            assert same == (stage <= 3), variable.path


def test_stages_that_there_are_not():
    for count in (-1, 6):
        with pytest.raises(
            InputError, match=rf"freeze {count} stages of {NAME}; possible: 0, 1, 2, 3, 4, 5"
        ):
            backbone(NAME).detector(["a"], freeze=Freeze(stages=count), design=SMALL)


def test_freeze_as_modifier(bare):
    model = backbone(NAME).retinanet(2, modifier=freeze)
    for layer in model.layers:
        if layer.weights and any(layer.name == other.name for other in bare.layers):
            assert not layer.trainable
    assert model.get_layer("P3").trainable


def test_old_dialect(bare):
    # takes what `preprocess_image` gives, codes by corners, three ratios and three scales
    def loaded(network):
        network.set_weights(bare.get_weights())

    model = backbone(NAME).retinanet(5, modifier=loaded)
    assert model.normalization is None
    assert not any(layer.name == "normalize" for layer in model.layers)
    assert model.coder.config["name"] == "corners"
    assert (model.backbone_name, model.preprocessing) == (NAME, "torch")
    assert model.output_names == ["regression", "classification"]
    assert model.output_shape == [(None, None, 4), (None, None, 5)]
    assert model.anchor_params.num_anchors() == 9
    kernel = model.get_layer("conv1_conv").get_weights()[0]
    np.testing.assert_array_equal(kernel, bare.get_layer("conv1_conv").get_weights()[0])


def test_old_dialect_with_its_normalization():
    design = replace(SMALL, coder="corners", inputs=Inputs(normalization="tf_bgr"))
    model = backbone(NAME).detector(2, design=design)
    assert model.normalization == "tf_bgr"
    assert model.get_layer("normalize").mode == "tf_bgr"


def test_old_arguments():
    # and a modifier that returns nothing
    inputs, seen = keras.Input((64, 96, 3)), []
    model = backbone(NAME).retinanet(
        2, inputs=inputs, modifier=seen.append, num_anchors=2, pyramid_levels=[3, 4]
    )
    assert seen[0].name == "resnet"
    assert model.inputs[0] is inputs
    places = 8 * 12 + 4 * 6
    assert model.output_shape == [(None, places * 2, 4), (None, places * 2, 2)]


def test_detector():
    model = backbone("mobilenet224_0.25").detector(
        ["cat", "dog"],
        design=replace(
            SMALL, coder="corners", inputs=Inputs(image_min_side=240, image_max_side=320)
        ),
    )
    assert model.class_names == ["cat", "dog"]
    assert model.normalization == "tf"
    assert model.get_layer("normalize").mode == "tf"
    assert model.coder.config["name"] == "corners"
    assert (model.image_min_side, model.image_max_side) == (240, 320)
    assert model.output_shape[1] == (None, None, 2)
    assert backbone(NAME).detector(["a"], design=SMALL).coder.config["name"] == "center_size"


def test_head_size():
    model = backbone(NAME).detector(
        ["a"], design=Design(Pyramid(width=8), Heads(width=12, depth=2))
    )
    for head in ("regression", "classification"):
        layers = model.get_layer(f"{head}_submodel").layers
        filters = [x.filters for x in layers if isinstance(x, keras.layers.Conv2D)]
        assert filters[:-1] == [12, 12]
    assert model.get_layer("P3").filters == 8


def test_group_norm(bare):
    changed = with_norm(bare, "group")
    assert not norms(changed)
    grouped = [x for x in changed.layers if isinstance(x, keras.layers.GroupNormalization)]
    assert [x.name for x in grouped] == [x.name for x in norms(bare)]
    assert [x.name for x in changed.layers] == [x.name for x in bare.layers]
    # what comes out does not depend on the batch, in training neither
    images = np.random.default_rng(0).normal(size=(2, 64, 96, 3)).astype("float32")
    features = ops.convert_to_numpy(changed([images]))
    mixed = ops.convert_to_numpy(changed([images * [[[[1]]], [[[9]]]]], training=True))
    np.testing.assert_allclose(mixed[0], features[0], rtol=1e-3, atol=1e-4)
    assert features.max() > 0


def test_group_norm_keeps_the_other_weights(bare, weights):
    features = backbone(NAME).features(keras.Input((None, None, 3)), weights, norm="group")
    model = keras.Model(keras.utils.get_source_inputs(features["C5"]), features["C5"])
    convolutions = [x for x in bare.layers if isinstance(x, keras.layers.Conv2D)]
    assert len(convolutions) == 12
    for layer in convolutions:
        ours = model.get_layer(layer.name).get_weights()
        np.testing.assert_array_equal(ours[0], layer.get_weights()[0])


def test_group_norm_in_a_detector():
    heads = replace(SMALL.heads, norm="group")
    grouped = replace(SMALL, pyramid=replace(SMALL.pyramid, norm="group"), heads=heads)
    model = backbone(NAME).detector(["a"], norm="group", design=grouped)
    assert not norms(model)
    image = np.zeros((1, 64, 64, 3), "uint8")
    assert np.isfinite(model.predict_on_batch(image)[1]).all()


def test_imagenet_weights_of_mobilenet(shared):
    path = str(shared / "weights" / "mobilenet_2_5_224_tf_no_top.h5")
    ours = network("mobilenet224_0.25")
    load_backbone_weights(ours, path, "mobilenet224_0.25")
    theirs = keras.applications.MobileNet(alpha=0.25, include_top=False, weights=None)
    theirs.load_weights(path)
    assert ours.count_params() == theirs.count_params() == 218_544
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(InputError, match=r"not the weights of a bare mobilenet224_0\.50"):
        load_backbone_weights(network("mobilenet224_0.50"), path, "mobilenet224_0.50")
    with pytest.raises(InputError, match=r"not the weights of a bare resnet10_0\.25"):
        backbone(NAME).detector(["a"], weights=path, design=SMALL)


def test_imagenet_weights_in_a_detector(shared):
    path = str(shared / "weights" / "mobilenet_2_5_224_tf_no_top.h5")
    model = backbone("mobilenet224_0.25").detector(["a"], weights=path, design=SMALL)
    theirs = keras.applications.MobileNet(alpha=0.25, include_top=False, weights=None)
    theirs.load_weights(path)
    tap = keras.Model(model.inputs[0], model.get_layer("conv_pw_13_relu").output)
    rgb = np.random.default_rng(1).integers(0, 256, (1, 64, 96, 3)).astype("float32")
    expected = ops.convert_to_numpy(theirs(rgb / 127.5 - 1))
    np.testing.assert_allclose(ops.convert_to_numpy(tap(rgb)), expected, rtol=1e-3, atol=1e-3)


def test_each_pyramid_level_has_anchors_of_four_strides():
    def detector(**more):
        design = Design(Pyramid(levels=(4, 5), width=8), Heads(depth=1), **more)
        return backbone("resnet10_0.25").detector(["a"], design=design)

    anchors = detector().anchor_params
    assert (anchors.sizes, anchors.strides) == ([64.0, 128.0], [16, 32])
    with pytest.raises(InputError, match=r"each of the pyramid levels \[4, 5\]"):
        detector(anchors={"sizes": (32, 64, 128), "strides": (8, 16, 32)})
