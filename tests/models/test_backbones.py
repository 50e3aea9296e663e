"""Every backbone by its name: its features, a step of training, saving and loading, and where its
ImageNet weights are."""

from importlib import import_module

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet import losses
from keras_retinanet.layers.normalize import normalize
from keras_retinanet.models import backbone, backbone_names, load_model
from keras_retinanet.parts import Design, Heads, Pyramid
from keras_retinanet.utils.anchors import (
    AnchorParameters,
    anchors_for_shape,
    make_shapes_callback,
)

ANCHORS = AnchorParameters([16, 32, 64], [8, 16, 32], [1], [1])
SMALL = Design(Pyramid((3, 4, 5), 8), Heads(depth=0), ANCHORS)

ALL = backbone_names()
SAME = ("mobilenet128", "mobilenet160", "mobilenet192")  # as mobilenet224, but for the weights
NAMES = [name for name in ALL if not name.startswith(SAME)]
# one of each family is tried by `make test`, the others by `make test-slow`
FAST = ("resnet50", "resnet18", "mobilenet224_0.25", "convnext_tiny", "senet154", "resnext50")
ODD = ("resnet50v2", "seresnext50", "vgg16", "densenet121", "mobilenetv2_0.35", "efficientnetv2b0")


def test_there_are_all_of_them():
    assert len(set(ALL)) == len(ALL)
    for family in ("resnet", "resnext", "seresnet", "seresnext", "senet", "vgg", "densenet"):
        assert any(name.startswith(family) for name in ALL)


def slow_but(names):
    """Return parameters of all backbones; those that are not among the names are slow."""
    return [name if name in names else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]


@pytest.mark.parametrize("name", slow_but({*FAST, *ODD}))
def test_features_training_saving_and_loading(name, shallow, monkeypatch, tmp_path):
    made = shallow(name)
    networks = []

    def network(inputs, build=made.network):
        networks.append(build(inputs))
        return networks[0]

    monkeypatch.setattr(made, "network", network)
    model = made.detector(["a"], design=SMALL)
    features = made.taps(*networks)
    shapes = keras.Model(networks[0].inputs, features).compute_output_shape((None, 64, 96, 3))
    assert list(shapes) == ["C2", "C3", "C4", "C5"]
    assert [shape[1:3] for shape in shapes.values()] == [(16, 24), (8, 12), (4, 6), (2, 3)]
    images = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype("uint8")
    matches = np.where(np.arange(8 * 8 + 4 * 4 + 2 * 2) % 9, -1, 0)  # every ninth has the object
    targets = {
        "boxes": np.array([[[8, 8, 40, 40]]], "float32"),
        "labels": np.zeros((1, 1), "int32"),
        "matches": matches[None].astype("int32"),
    }
    model.compile(
        keras.optimizers.SGD(0.01),
        {"regression": losses.smooth_l1(), "classification": losses.focal()},
        run_eagerly=True,  # tracing takes longer than the step
    )
    first = next(v for v in model.trainable_variables if v.path.endswith("kernel"))
    before = ops.convert_to_numpy(first)
    assert np.isfinite(model.train_on_batch(images, targets)).all()
    assert not np.array_equal(before, ops.convert_to_numpy(first))
    model.save(tmp_path / "detector.keras")
    loaded = load_model(tmp_path / "detector.keras", compile=False)
    for ours, theirs in zip(loaded(images), model(images), strict=True):
        ours, theirs = ops.convert_to_numpy(ours), ops.convert_to_numpy(theirs)
        assert ours.shape[1] == matches.size
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ODD)
def test_anchors_of_odd_sizes(name, shallow):
    # MobileNet's C5 of 75 px has 2 rows, where ⌈75 / 32⌉ is 3
    model = shallow(name).detector(["a"], design=SMALL)
    sides = (75, 101)
    anchors = anchors_for_shape(sides, [3, 4, 5], ANCHORS, make_shapes_callback(model))
    boxes, scores = model(np.zeros((1, *sides, 3), "uint8"))
    assert boxes.shape[1] == scores.shape[1] == len(anchors)


@pytest.fixture
def no_blocks(monkeypatch):
    """Networks of keras.applications of a stem and a top alone."""

    def apply(module, **changes):
        module = import_module(f"keras.src.applications.{module}")
        for name, value in changes.items():
            monkeypatch.setattr(module, name, value)

    def nothing(x, *args, **kwargs):
        return x

    def layer_of_nothing(*args, **kwargs):
        return nothing

    apply("resnet", stack_residual_blocks_v1=nothing, stack_residual_blocks_v2=nothing)
    apply("densenet", dense_block=nothing, transition_block=nothing)
    apply("mobilenet", _depthwise_conv_block=nothing)
    apply("mobilenet_v2", _inverted_res_block=nothing)
    apply("mobilenet_v3", _inverted_res_block=nothing)
    apply("efficientnet", block=nothing)
    apply("efficientnet_v2", MBConvBlock=layer_of_nothing, FusedMBConvBlock=layer_of_nothing)
    apply("convnext", ConvNeXtBlock=layer_of_nothing)


def applications_of(name):
    """(the constructor of keras.applications, its arguments) of a backbone."""
    kind, _, width = name.partition("_")
    builders = {
        n.lower(): build for n, build in vars(keras.applications).items() if callable(build)
    }
    options = {"include_top": False}
    if name.startswith("convnext"):
        kind = name.replace("_", "")
    elif name.startswith("mobilenet"):
        options["alpha"] = float(width)
        if kind not in builders:  # mobilenet224
            options["input_shape"] = (*[int(kind.removeprefix("mobilenet"))] * 2, 3)
            kind = "mobilenet"
    return builders[kind], options


@pytest.mark.parametrize("name", [name for name in ALL if backbone(name).imagenet()])
@pytest.mark.filterwarnings("ignore:`input_shape` is undefined")
def test_imagenet_weights_are_those_of_keras_applications(name, no_blocks, monkeypatch):
    asked = []

    def get_file(name, url, file_hash=None, **kwargs):
        asked.append((name, url, file_hash))
        raise OSError("enough")

    monkeypatch.setattr(import_module("keras.src.utils.file_utils"), "get_file", get_file)
    build, options = applications_of(name)
    with pytest.raises(OSError, match="enough"):
        build(weights="imagenet", **options)
    assert [backbone(name).imagenet()] == asked
    assert backbone(name).imagenet_source() == "keras.applications"


def test_only_what_keras_applications_lacks_is_imported():
    lacking = [backbone(name) for name in ALL if backbone(name).imagenet() is None]
    assert {made.normalization for made in lacking} == {"torch"}
    thin = {f"resnet{n}_{width}" for n in (10, 18, 34) for width in ("0.25", "0.50", "1.0")}
    nowhere = {made.backbone for made in lacking if made.imagenet_source() is None}
    assert nowhere == {"resnet10", *thin}


# a network of each kind of preprocessing, and where keras.applications has it if not in the graph
PREPROCESSING = {
    "resnet50": "resnet",
    "resnet50v2": "resnet_v2",
    "vgg16": "vgg16",
    "densenet121": "densenet",
    "mobilenet224_0.25": "mobilenet",
    "mobilenetv2_0.35": "mobilenet_v2",
    "mobilenetv3small_1.0": None,
    "efficientnetb0": None,
    "efficientnetv2b0": None,
    "efficientnetv2s": None,
    "convnext_tiny": None,
}


@pytest.mark.parametrize(("name", "module"), PREPROCESSING.items())
@pytest.mark.filterwarnings("ignore:`input_shape` is undefined")
def test_imagenet_weights_give_the_features_of_keras_applications(
    name, module, shallow, monkeypatch, tmp_path
):
    # a file as Keras publishes it, but of random weights
    random = np.random.default_rng(0)
    build, options = applications_of(name)
    options.pop("input_shape", None)
    source = build(weights=None, **options)
    for layer in source.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:  # EfficientNet's
            mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
            layer.set_weights([np.array(mean), np.array(std), np.array(0)])
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.7, 1.3, w.shape) for w in layer.weights])
    path = str(tmp_path / "published.h5")
    source.save(path)
    monkeypatch.setattr(
        import_module("keras.src.utils.file_utils"), "get_file", lambda *args, **kwargs: path
    )
    theirs = build(weights="imagenet", **options)
    made = shallow(name)
    ours = made.detector(["a"], weights=path, design=SMALL)
    c5 = keras.Model(ours.inputs[0], ours.get_layer("C5_reduced").input)

    rgb = random.integers(0, 256, (1, 64, 64, 3)).astype("float32")
    prepared = rgb
    if module is not None:
        prepared = import_module(f"keras.applications.{module}").preprocess_input(rgb.copy())
        np.testing.assert_allclose(
            made.preprocess_image(rgb[..., ::-1]), prepared, rtol=1e-4, atol=1e-4
        )
    end = {"densenet121": "conv5_block16_concat"}.get(name)
    theirs = keras.Model(theirs.inputs[0], theirs.get_layer(end).output) if end else theirs
    expected, features = (
        ops.convert_to_numpy(network([x])) for network, x in ((theirs, prepared), (c5, rgb))
    )
    assert expected.std() > 1e-3
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-3 * expected.std())
    bgr = made.preprocess_image(rgb[..., ::-1])
    np.testing.assert_array_equal(bgr, normalize(rgb, made.normalization))
