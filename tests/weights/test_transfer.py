"""A detector for other classes keeps what it has learnt, class by class."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.layers import Scale
from keras_retinanet.models import backbone, convert_model, load_model
from keras_retinanet.models.heads import iou_head
from keras_retinanet.models.retinanet import training_model
from keras_retinanet.parts import Design, Heads, Inputs, PostProcess, Pyramid
from keras_retinanet.utils.anchors import AnchorParameters, square_anchors
from keras_retinanet.weights.transfer import (
    Transfer,
    backbone_of,
    described,
    with_classes,
)

pytestmark = pytest.mark.core

NAMES = ["cat", "dog", "cow"]
PRIOR = -np.log(99)  # the logit of 0.01
ANCHORS = AnchorParameters([24, 48], [8, 16], [1], [1, 1.4], offset=0.25)  # two per location
FEW = Design(Pyramid((3, 4), 8), Heads(depth=1), ANCHORS)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).uniform(0, 255, (1, 32, 48, 3)).astype("float32")


@pytest.fixture(scope="module")
def make():
    """Makes a detector for NAMES whose heads' last layers are random."""

    def build(design=FEW, **options):
        keras.utils.set_random_seed(0)
        model = backbone("resnet10_0.25").detector(NAMES, design=design, **options)
        random = np.random.default_rng(1)
        for weight in model.weights:
            if weight.path.startswith("pyramid_") and "_0" not in weight.path:
                weight.assign(random.normal(size=weight.shape))
        return model

    return build


@pytest.fixture(scope="module")
def detector(make):
    return make()


@pytest.fixture(scope="module")
def see(image):
    """The outputs of a training model, (1, N, V) each."""
    return lambda model: [keras.ops.convert_to_numpy(out) for out in model(image)]


def layer_of(model, name, head="classification"):
    return model.get_layer(f"{head}_submodel").get_layer(name)


def bias_of(model, num_anchors=2):
    """The bias of the classification head for each anchor and class: (A, K)."""
    _, bias = layer_of(model, "pyramid_classification").get_weights()
    return bias.reshape(num_anchors, -1)


def test_columns_of_classes_of_the_same_name_are_copied_for_each_anchor(make):
    old = make()
    last = layer_of(old, "pyramid_classification")
    kernel = np.random.default_rng(2).normal(size=last.kernel.shape).astype("float32")
    # channel a·K + k: cat, dog and cow of the first anchor, then of the second
    last.set_weights([kernel, np.array([1, 2, 3, 11, 12, 13], "float32")])
    new, transfer = with_classes(old, ["cow", "hen", "Cat", "dog"])
    # cow, hen, Cat, dog: names that differ by a capital are not the same
    expected = [[3, PRIOR, PRIOR, 2], [13, PRIOR, PRIOR, 12]]
    assert np.allclose(bias_of(new), expected)
    found, _ = layer_of(new, "pyramid_classification").get_weights()
    assert np.array_equal(found[..., [0, 3, 4, 7]], kernel[..., [2, 1, 5, 4]])
    assert np.abs(found[..., [1, 2, 5, 6]]).max() < 0.1  # σ is 0.01
    total = len(new.weights)
    why = {"pyramid_classification": "for new classes"}
    assert transfer == Transfer(total - 2, total, ["cow", "dog"], ["hen", "Cat"], why)
    assert new.class_names == ["cow", "hen", "Cat", "dog"]


def test_scores_of_kept_classes_and_boxes_are_as_before(detector, see):
    boxes, scores = see(detector)
    new_boxes, new_scores = see(with_classes(detector, ["hen", "dog", "cat"])[0])
    assert np.allclose(new_boxes, boxes, atol=1e-6)
    assert np.allclose(new_scores[..., 1:], scores[..., [1, 0]], atol=1e-6)
    assert np.ptp(scores[..., 0]) > 0.1  # they tell places apart


@pytest.mark.parametrize("names", [NAMES, ["cow", "cat", "dog"], ["dog", "cat"]])
def test_the_same_or_fewer_classes_in_any_order_keep_everything(detector, see, names):
    new, transfer = with_classes(detector, names)
    assert transfer == Transfer(len(new.weights), len(new.weights), names, [], {})
    boxes, scores = see(detector)
    new_boxes, new_scores = see(new)
    assert np.allclose(new_boxes, boxes, atol=1e-6)
    order = [NAMES.index(name) for name in names]
    assert np.allclose(new_scores, scores[..., order], atol=1e-6)


def test_an_inference_model_serves_as_well(detector, see):
    options = {"score_threshold": 0.5, "nms": "soft_linear", "max_detections": 7}
    source = convert_model(detector, **options)
    new, transfer = with_classes(source, ["hen", *NAMES])
    assert new.is_training_model
    assert transfer.kept == transfer.total - 2
    for one, other in zip(see(new), see(with_classes(detector, ["hen", *NAMES])[0]), strict=True):
        # all but the new class, whose start is drawn
        assert np.allclose(one[..., -3:], other[..., -3:], atol=1e-6)
    assert new.detection["nms"] == "soft_linear"
    assert new.detection["max_detections"] == 7
    assert "score_threshold" not in new.detection  # it would hide from the evaluation


def test_anchors_in_another_number_start_all_heads_fresh(make, see, image):
    old = make(replace(FEW, heads=Heads(depth=1, iou_branch=True)))
    anchors = square_anchors([3], 8)
    new, transfer = with_classes(old, ["cow", "hen"], anchors, [3])
    why = "2 anchors per location, now 1"
    heads = ("regression", "classification", "iou")
    assert transfer.fresh == {f"pyramid_{head}": why for head in heads}
    assert (transfer.copied, transfer.new) == ([], ["cow", "hen"])
    assert transfer.kept == transfer.total - 6
    places = 32 * 48 // 8**2
    assert [out.shape for out in see(new)] == [(1, places, n) for n in (4, 2, 1)]
    assert new.anchors_for((32, 48)).shape == (places, 4)
    assert np.allclose(bias_of(new, 1), PRIOR)
    tower = layer_of(old, "pyramid_classification_0").get_weights()[0]
    assert np.array_equal(layer_of(new, "pyramid_classification_0").get_weights()[0], tower)


def test_other_anchors_in_the_same_number_keep_everything(detector, see):
    anchors = AnchorParameters([30], [8], [0.5, 2], [1])
    new, transfer = with_classes(detector, NAMES, anchors, [3])
    assert transfer.kept == transfer.total
    assert new.anchor_params.get_config() == anchors.get_config()
    for one, other in zip(see(new), see(detector), strict=True):
        assert np.allclose(one, other[:, : one.shape[1]], atol=1e-6)  # P3 comes first


def test_softmax_keeps_the_odds_of_kept_classes_and_the_background(make, see):
    old = make(replace(FEW, heads=Heads(depth=1, activation="softmax")))
    before, after = see(old)[1], see(with_classes(old, ["dog", "hen", "cat"])[0])[1]
    # exp(x_dog) / exp(x_cat), whatever other classes there are
    assert np.allclose(after[..., 0] / after[..., 2], before[..., 1] / before[..., 0], rtol=1e-3)
    nothing = 1 - before.sum(axis=-1), 1 - after.sum(axis=-1)
    sure = np.minimum(*nothing) > 0.01
    assert sure.any()
    odds = nothing[0] / before[..., 0], nothing[1] / after[..., 2]
    assert np.allclose(odds[0][sure], odds[1][sure], rtol=1e-2)


def test_softmax_starts_from_its_prior(make):
    old = make(replace(FEW, heads=Heads(depth=1, activation="softmax")))
    new, _ = with_classes(old, ["dog", "hen"], square_anchors([3, 4], 8))
    # together 0.01: 2·exp(0) / (2·exp(0) + exp(b)) = 0.01 for b = log(2·99)
    assert np.allclose(bias_of(new, 1), [[0, 0, np.log(2 * 99)]])


def test_gfl_keeps_its_bins_and_the_factors_of_the_levels(make, see):
    heads = Heads(depth=1, norm="group", level_scales=True)
    old = make(replace(FEW, heads=heads, coder={"name": "distances", "bins": 4}))
    for layer in old.layers:
        if isinstance(layer, Scale):
            layer.factor.assign(2.0)
    new, transfer = with_classes(old, ["hen", "cow"])
    (boxes, scores), (new_boxes, new_scores) = see(old), see(new)
    assert boxes.shape[-1] == 4 * 5
    assert np.allclose(new_boxes, boxes, atol=1e-5)
    assert np.allclose(new_scores[..., 1], scores[..., 2], atol=1e-6)
    assert (new.coder.config, transfer.kept) == (old.coder.config, transfer.total - 2)


def test_the_dialect_of_a_detector_stays(make):
    design = replace(
        FEW,
        pyramid=Pyramid((3, 4), 8, p6_from="P5", strided_padding="symmetric"),
        inputs=Inputs(normalization="torch", image_min_side=200, canvases="own", pad_to=32),
        postprocess=PostProcess(nms_threshold=0.6, score_threshold=0.1, clip_margin=1),
    )
    old = make(design, progress={"epoch": 7})
    new, _ = with_classes(old, ["hen"])
    changed = {"class_names": ["hen"], "progress": {}}
    assert new.options == {**old.options, **changed}
    assert new.anchor_params.offset == 0.25
    new, _ = with_classes(old, ["hen"], image_min_side=300, progress={"start": "pretrained"})
    assert new.options == {
        **old.options,
        "class_names": ["hen"],
        "image_min_side": 300,
        "progress": {"start": "pretrained"},
    }


def test_thresholds_of_the_old_weights_are_dropped(make):
    old = make(replace(FEW, postprocess=PostProcess(class_thresholds=(0.3, 0.4))))
    assert old.detection["class_thresholds"] == (0.3, 0.4)
    new, _ = with_classes(old, ["hen"])
    assert new.detection["class_thresholds"] is None
    assert old.detection["class_thresholds"] == (0.3, 0.4)


def test_classes_without_names_are_none_of_the_same_name(make):
    old = make()
    old.class_names = None
    new, transfer = with_classes(old, NAMES)
    assert (transfer.copied, transfer.new) == ([], NAMES)
    assert np.allclose(bias_of(new), PRIOR)


def test_further_outputs_stay(detector, see):
    heads = [detector.get_layer(f"{name}_submodel") for name in ("regression", "classification")]
    extra = iou_head(2, 8, Heads(depth=0))
    old = training_model(
        detector.inputs[0],
        {f"P{level}": detector.get_layer(f"P{level}").output for level in (3, 4)},
        [*zip(("regression", "classification"), heads, strict=True), ("depth", extra)],
        {"pyramid_levels": [3, 4], "anchors": ANCHORS, "class_names": NAMES},
    )
    before = see(old)[2]
    for source in (old, convert_model(old)):
        new, transfer = with_classes(source, ["hen"])
        assert new.output_names == ["regression", "classification", "depth"]
        assert np.allclose(see(new)[2], before, atol=1e-6)
        assert list(transfer.fresh) == ["pyramid_classification"]


def test_what_is_saved_is_what_is_loaded(detector, see, tmp_path):
    new, _ = with_classes(detector, ["hen", "cow"], pyramid_levels=[3])
    new.save(tmp_path / "new.keras")
    loaded = load_model(tmp_path / "new.keras")
    assert loaded.options == new.options
    for one, other in zip(see(loaded), see(new), strict=True):
        assert np.allclose(one, other, atol=1e-6)


def test_the_new_model_is_made_of_the_layers_of_the_old(make):
    old = make()
    new, _ = with_classes(old, ["hen"])
    assert new.get_layer("P3") is old.get_layer("P3")
    assert len(old.get_layer("classification_submodel").get_weights()[-1]) == 6  # as it was


def test_unchangeable_heads_are_errors(detector):
    with pytest.raises(InputError, match=r"pyramid levels 3, 4 only; .* on 3, 5"):
        with_classes(detector, NAMES, square_anchors([3, 5], 8), [3, 5])
    inputs = keras.Input((None, None, 8))
    rows = keras.layers.Reshape((-1, 3))(keras.layers.Dense(6)(inputs))
    heads = {"regression": detector.get_layer("regression_submodel")}
    heads["classification"] = keras.Model(inputs, rows, name="dense_head")
    old = training_model(
        detector.inputs[0],
        {f"P{level}": detector.get_layer(f"P{level}").output for level in (3, 4)},
        heads.items(),
        {"pyramid_levels": [3, 4], "anchors": ANCHORS},
    )
    with pytest.raises(InputError, match="head dense_head of classification"):
        with_classes(old, NAMES)


def test_a_transfer_is_told_in_a_few_lines():
    why = {"a": "for new classes", "b": "9 anchors per location, now 1"}
    assert described(Transfer(8, 10, ["cat"], ["hen", "cow"], why), "old.keras") == (
        "kept from old.keras: 8 of 10 weights\n"
        "classes copied: cat; new: hen, cow\n"
        "new weights: a (for new classes), b (9 anchors per location, now 1)"
    )
    assert described(Transfer(10, 10, ["cat"], [], {}), "old.keras") == (
        "kept from old.keras: 10 of 10 weights\nclasses copied: cat"
    )


# a bare backbone


@pytest.fixture(scope="module")
def bare():
    keras.utils.set_random_seed(3)
    return backbone("resnet10_0.25").network(keras.Input((None, None, 3)))


def test_the_backbone_of_a_detector_ends_where_its_pyramid_starts(detector, bare):
    names = {layer.name for layer in backbone_of(detector).layers if layer.weights}
    assert names == {layer.name for layer in bare.layers if layer.weights}
