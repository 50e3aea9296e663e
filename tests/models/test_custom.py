"""Any Keras model as a backbone."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet.errors import InputError
from keras_retinanet.model_input import ModelInput
from keras_retinanet.models import backbone, convert_model, load_model
from keras_retinanet.parts import Design, Freeze, Heads, Pyramid
from keras_retinanet.utils.anchors import AnchorParameters
from keras_retinanet.utils.model import all_layers

SMALL = Design(Pyramid(width=8), Heads(depth=0), anchors=AnchorParameters(ratios=[1], scales=[1]))
TAPS = ["stage_3", "stage_4", "stage_5"]


def classifier(side=None, scaled=False, flat=False):
    """A classifier of five strided convolutions, with batch norm after the last."""
    keras.utils.set_random_seed(2)
    inputs = x = keras.Input((side, side, 3))
    if scaled:
        x = keras.layers.Rescaling(1 / 255)(x)
    if flat:
        x = keras.layers.Reshape((side, side, 3))(x)
    for stage in range(1, 6):
        x = keras.layers.Conv2D(
            8, 3, 2, padding="same", groups=2 if stage > 3 else 1, name=f"stage_{stage}"
        )(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Flatten()(x) if side else keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(2)(x), name="mine")


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3)).astype("uint8")


@pytest.mark.core
def test_a_detector_has_the_features_of_the_model(image, tmp_path):
    model = classifier()
    made = backbone(model, taps=TAPS)
    detector = made.detector(["a"], design=SMALL)
    c5 = keras.Model(detector.inputs[0], detector.get_layer("C5_reduced").input)
    tap = keras.Model(model.input, model.get_layer("stage_5").output)
    prepared = made.preprocess_image(image[..., ::-1])
    features, expected = (ops.convert_to_numpy(x) for x in (c5(image), tap(prepared)))
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4)
    assert detector.backbone_name == "mine"
    assert detector.normalization == "torch"

    detector.save(tmp_path / "detector.keras")
    loaded = load_model(tmp_path / "detector.keras")
    for ours, theirs in zip(loaded(image), detector(image), strict=True):
        ours, theirs = ops.convert_to_numpy(ours), ops.convert_to_numpy(theirs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_whole_interface(image):
    model = classifier(scaled=True)
    made = backbone(model, taps=["stage_2", *TAPS[:2], "norm"], stem="stage_1")
    assert made.normalization == "raw"  # for it scales its images itself
    made.validate()
    assert made.custom_objects == {}
    assert made.preprocess_image(image[..., ::-1]).tolist() == image.tolist()
    with pytest.raises(InputError, match="no ImageNet weights for mine"):
        made.download_imagenet()
    assert list(made.features(keras.Input((64, 64, 3)))) == ["C2", "C3", "C4", "C5"]
    old = made.retinanet(2)
    assert old.normalization is None
    assert convert_model(old).output_names == ["boxes", "scores", "labels"]
    prepare = ModelInput.of(old).preprocess  # found without a name that others know
    assert prepare(image).tolist() == image.tolist()
    group = made.detector(["a"], norm="group", design=SMALL)
    assert isinstance(group.get_layer("norm"), keras.layers.GroupNormalization)


def test_scaling_counts_where_it_is_part_of_the_backbone():
    def normalization(first=(), last=()):
        inputs = x = keras.Input((None, None, 3))
        convolutions = [
            keras.layers.Conv2D(8, 3, 2, padding="same", name=f"stage_{n}") for n in range(1, 6)
        ]
        for layer in (*first, *convolutions, *last):
            x = layer(x)
        return backbone(keras.Model(inputs, x), taps=TAPS).normalization

    scaling = keras.layers.Rescaling(1 / 255)
    assert normalization() == "torch"
    assert normalization([scaling]) == "raw"
    assert normalization([keras.Sequential([keras.layers.RandomFlip(), scaling])]) == "raw"
    assert normalization(last=[scaling]) == "torch"


def test_what_does_not_go_with_a_detector():
    made = backbone(classifier(), taps=TAPS)
    with pytest.raises(InputError, match="levels 2, 3 need the backbone's C2"):
        made.detector(["a"], design=Design(Pyramid((2, 3))))
    for names in ([], ["a", "b", "a"], "abc"):
        with pytest.raises(InputError, match="names must be different texts"):
            made.detector(names, design=SMALL)
    model = classifier()
    model.get_layer("stage_2").name = "P3"
    with pytest.raises(InputError, match=r'the name of a layer of the detector: .*"P3"'):
        backbone(model, taps=TAPS).detector(["a"], design=SMALL)
    with pytest.raises(ValueError, match=r"vgg16: unknown options epsilon; known: none"):
        backbone("vgg16", epsilon=1)


def test_detectors_are_copies(image):
    model = classifier()
    made = backbone(model, taps=TAPS)
    before = model.get_weights()
    one, other = (
        made.detector(["a"], freeze=Freeze(backbone=freeze), design=SMALL)
        for freeze in (True, False)
    )
    one.get_layer("stage_1").set_weights([np.zeros((3, 3, 3, 8)), np.zeros(8)])
    assert all(layer.trainable for layer in model.layers)
    for weights in (model.get_weights(), made.detector(["a"], design=SMALL).get_weights()):
        np.testing.assert_array_equal(weights[0], before[0])
    assert not one.get_layer("stage_1").trainable
    assert other.get_layer("stage_1").trainable
    assert other.get_layer("stage_5").groups == 2


def test_frozen_stages():
    model = classifier()
    four = backbone(model, taps=["stage_2", *TAPS], stem="stage_1")
    for count in range(6):
        detector = four.detector(["a"], freeze=Freeze(stages=count), design=SMALL)
        frozen = [n for n in range(1, 6) if not detector.get_layer(f"stage_{n}").trainable]
        assert frozen == list(range(1, count + 1))
    three = backbone(model, taps=TAPS)  # neither a stem nor C2
    with pytest.raises(InputError, match=r"2 stages of mine; possible: 0, 3, 4, 5"):
        three.detector(["a"], freeze=Freeze(stages=2), design=SMALL)


def test_a_model_of_one_size_serves_any(image):
    model = classifier(side=64)
    detector = backbone(model, taps=TAPS).detector(["a"], design=SMALL)
    places = 8 * 12 + 4 * 6 + 2 * 3 + 1 * 2 + 1 * 1
    assert detector(image)[0].shape == (1, places, 4)


def test_models_that_cannot_serve():
    with pytest.raises(InputError, match="mine must have an input of any size"):
        backbone(classifier(side=64, flat=True), taps=TAPS)
    with pytest.raises(InputError, match="The backbone must be a functional Keras model"):
        backbone(keras.Sequential([keras.layers.Dense(1)]), taps=TAPS)
    grey = keras.Input((None, None, 1))
    model = keras.Model(grey, keras.layers.Conv2D(3, 1)(grey), name="grey")
    with pytest.raises(InputError, match=r"grey must have an input \(batch, height, width, 3\)"):
        backbone(model, taps=TAPS)


def test_taps_that_cannot_serve():
    model = classifier()
    for taps, message in (
        (["stage_3", "stage_4", "stage_6"], r"taps among its layers, .*stage_5.*\['stage_6'\]"),
        (["stage_4", "stage_5"], "three taps .* or four"),
        (None, "three taps"),
        ("stage_3", "three taps"),
        (5, "three taps"),
        (["stage_2", "stage_3", "stage_4"], r"1/8 of .* at stage_2, its C3, got \(64, 64"),
        (["stage_3", "stage_4", "dense"], "taps among its layers"),
    ):
        with pytest.raises(InputError, match=f"^The backbone mine must have .*{message}"):
            backbone(model, taps=taps)
    with pytest.raises(InputError, match="'nope'; known: raw, "):
        backbone(model, taps=TAPS, normalization="nope")
    with pytest.raises(InputError, match=r"taps .* 'resnet50'"):
        backbone("resnet50", taps=TAPS)
    with pytest.raises(InputError, match="one of its layers as stem"):
        backbone(model, taps=TAPS, stem="stage_0")
    last = model.layers[-1].name
    with pytest.raises(InputError, match="features of 1/32"):
        backbone(model, taps=["stage_3", "stage_4", last])


@keras.saving.register_keras_serializable("tests")
class Twice(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def test_custom_objects():
    inputs = x = keras.Input((None, None, 3))
    for stage in range(1, 6):
        x = Twice()(keras.layers.Conv2D(4, 3, 2, padding="same", name=f"stage_{stage}")(x))
    made = backbone(keras.Model(inputs, x), taps=TAPS)
    assert made.custom_objects == {"Twice": Twice}
    model = classifier()
    within = keras.Model(model.inputs, model(keras.Sequential([Twice()])(model.inputs[0])))
    assert Twice in map(type, all_layers(within))
