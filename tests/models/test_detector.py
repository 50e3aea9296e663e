"""The model that knows itself: options, losses, training, saving and going on."""

import copy

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet import losses
from keras_retinanet.errors import InputError
from keras_retinanet.losses.spec import LossSpec, spec_of
from keras_retinanet.models import RetinaNet, convert_model, detector
from keras_retinanet.models.heads import regression_head
from keras_retinanet.models.options import DEFAULTS
from keras_retinanet.parts import Heads
from keras_retinanet.utils.anchors import AnchorParameters, anchors_for_shape

pytestmark = pytest.mark.core

OPTIONS = {
    "anchors": {
        "sizes": [24, 40],
        "strides": [8, 16],
        "ratios": [1],
        "scales": [1, 1.5],
        "offset": 0.0,
        "rounded": True,
        "fitted_strides": True,
    },
    "pyramid_levels": [3, 4],
    "coder": {"name": "center_size", "variances": (0.1, 0.1, 0.2, 0.2), "clamp": "both"},
    "normalization": "caffe",
    "preprocessing": "torch",
    "backbone": "mine",
    "class_names": ["cat", "dog"],
    "image_min_side": 60,
    "image_max_side": 90,
    "clip_margin": 1,
    "detection": {"nms": "none", "score_threshold": 0.3, "top_k": 20},
    "resize": "torchvision",
    "canvases": "own",
    "progress": {"epoch": 3, "best": 0.25, "start": "scratch"},
}


def both(box=None, classification=None):
    """The losses of the two outputs."""
    return {
        "regression": box or losses.smooth_l1(),
        "classification": classification or losses.focal(),
    }


def arrays(values):
    return [ops.convert_to_numpy(value) for value in values]


def saved(model, path):
    model.save(path)
    return keras.saving.load_model(path)


def test_options(build):
    model = build(**OPTIONS)
    assert model.options == OPTIONS
    assert model.get_config().items() >= model.options.items()
    assert set(OPTIONS) == set(build().options)


def test_defaults(build):
    model = build()
    assert model.coder.config["name"] == "corners"
    assert (model.normalization, model.preprocessing) == (None, "caffe")
    assert model.clip_margin == 0
    assert (model.image_min_side, model.image_max_side) == (800, 1333)
    assert (model.resize, model.canvases) == ("opencv", "few")
    assert model.class_names is None
    assert model.detection == model.progress == {}


def test_options_are_copies(build):
    model = build(progress={"epoch": 1}, class_names=["cat", "dog"])
    options = model.options
    options["progress"]["epoch"] = 2
    options["class_names"].append("cow")
    assert model.options["progress"] == {"epoch": 1}
    assert model.options["class_names"] == ["cat", "dog"]


def from_config(model, path):
    again = type(model).from_config(model.get_config())
    again.set_weights(model.get_weights())
    return again


def from_json(model, path):
    again = keras.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    return again


ROUTES = {
    "save": lambda model, path: saved(model, path / "model.keras"),
    "from_config": from_config,
    "from_json": from_json,
    "copy": lambda model, path: copy.copy(model),
    "deepcopy": lambda model, path: copy.deepcopy(model),
}


@pytest.mark.parametrize("route", ROUTES)
def test_every_option_survives(build, images, tmp_path, route):
    assert all(value != DEFAULTS[name] for name, value in OPTIONS.items())
    training = build(**OPTIONS)
    inference = convert_model(training, score_threshold=0.0)
    assert (inference.predict_on_batch(images)[2] >= 0).any()
    for model in (training, inference):
        again = ROUTES[route](model, tmp_path)
        assert type(again) is type(model)
        assert again.options == model.options
        assert again.output_names == model.output_names
        for ours, theirs in zip(
            again.predict_on_batch(images), model.predict_on_batch(images), strict=True
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_deep_copy_trains_apart_from_the_model(build, images, dense):
    model = build()
    model.compile("sgd", both(losses.giou()))
    before = model.get_weights()
    again = copy.deepcopy(model)
    assert again.get_compile_config() == model.get_compile_config()
    again.train_on_batch(images, dense)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_clone_model_is_refused(build):
    with pytest.raises(InputError, match=r"options anchors, pyramid_levels.*copy\.deepcopy"):
        keras.models.clone_model(build(**OPTIONS))


def test_a_config_that_lacks_an_option_is_refused(build, monkeypatch):
    model = build(**OPTIONS)

    def without(name):  # a fresh config, because Keras empties the one that it reads
        return {key: value for key, value in model.get_config().items() if key != name}

    for name in OPTIONS:
        with pytest.raises(InputError, match=f"options {name}"):
            RetinaNet.from_config(without(name))
    monkeypatch.setitem(detector.ADDED_LATER, "canvases", "own")
    assert RetinaNet.from_config(without("canvases")).options == OPTIONS


def test_a_file_that_calls_the_sampler_a_selector(build):
    model = build()
    model.compile("sgd", both(), "hard_negative")
    config = model.get_compile_config()
    again = build()
    again.compile_from_config(
        {"selector" if key == "sampler" else key: value for key, value in config.items()}
    )
    assert again.get_compile_config()["sampler"] == {"name": "hard_negative", "ratio": 3.0}


def test_an_unknown_option_is_refused(build):
    with pytest.raises(InputError, match=r"no option .resise.; known: anchors"):
        build(resise="opencv")


@pytest.mark.parametrize("suffix", ["h5", "hdf5"])
def test_hdf5_is_refused(build, tmp_path, suffix):
    path, model = tmp_path / f"model.{suffix}", build()
    with pytest.raises(InputError, match=r"\.keras"):
        model.save(path)
    assert not path.exists()
    with pytest.raises(InputError, match=r"\.keras"):
        keras.saving.save_model(model, path)


def test_anchors_for(build, anchors):
    expected = anchors_for_shape((64, 96), [3, 4], anchors)
    ours = build().anchors_for((64, 96))
    np.testing.assert_array_equal(ops.convert_to_numpy(ours), expected)


def test_a_snapshot_resumes(build, images, dense, tmp_path):
    model = build(coder="center_size")
    rate = keras.optimizers.schedules.CosineDecay(1e-2, 10)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=1e-3, global_clipnorm=1.0)
    model.compile(optimizer, both(losses.giou(), losses.focal(0.3, 1.5, from_logits=True)))
    for _ in range(2):
        model.train_on_batch(images, dense)
    model.progress["epoch"] = 2
    loaded = saved(model, tmp_path / "model.keras")
    assert loaded.compiled
    assert loaded.progress == {"epoch": 2}
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    moments = arrays(model.optimizer.variables)
    assert len(moments) > 2 * len(model.trainable_variables)
    for ours, theirs in zip(arrays(loaded.optimizer.variables), moments, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    before = model.get_weights()
    ours, theirs = loaded.train_on_batch(images, dense), model.train_on_batch(images, dense)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(before, model.get_weights(), strict=True))


def test_the_users_own_loss(build, images, dense, tmp_path, loss_of):
    def mine(y_true, y_pred):
        assert tuple(y_pred.shape[1:]) == (240, 2)
        return ops.mean(ops.square(y_pred - y_true[..., :-1]))

    model = build()
    model.compile("adam", both(classification=mine))
    regression, scores = model.predict_on_batch(images)
    expected = float(ops.convert_to_numpy(losses.smooth_l1()(dense[0], regression)))
    expected += np.mean((scores - dense[1][..., :-1]) ** 2)
    np.testing.assert_allclose(loss_of(model, images, dense), expected, rtol=1e-4)
    loaded = saved(model, tmp_path / "model.keras")
    assert not loaded.compiled
    loaded.compile("adam", both(classification=mine))
    np.testing.assert_allclose(loss_of(loaded, images, dense), expected, rtol=1e-4)


@pytest.mark.parametrize("from_logits", [False, True])
def test_the_loss_is_that_of_the_closures(build, images, dense, from_logits, loss_of):
    model = build()
    box, classification = losses.smooth_l1(2.0), losses.focal(0.3, 1.5, from_logits=from_logits)
    model.compile("sgd", both(box, classification))
    regression, scores = model.predict_on_batch(images)
    expected = float(ops.convert_to_numpy(box(dense[0], regression)))
    expected += float(ops.convert_to_numpy(losses.focal(0.3, 1.5)(dense[1], scores)))
    for training in (False, True):  # the batch norm's statistics differ, so here frozen
        model.trainable = False
        value = loss_of(model, images, dense, training)
        np.testing.assert_allclose(value, expected, rtol=1e-4)


def test_losses_in_a_list_and_targets_by_name(build, images, dense, loss_of):
    model = build()
    model.compile("sgd", list(both(classification=losses.focal(from_logits=True)).values()))
    listed = loss_of(model, images, dense)
    model.compile("sgd", both())
    np.testing.assert_allclose(loss_of(model, images, dense), listed, rtol=1e-5)
    by_name = dict(zip(("classification", "regression"), dense[::-1], strict=True))
    np.testing.assert_allclose(loss_of(model, images, by_name), listed, rtol=1e-5)


def test_plain_losses_train_on_compact_targets(build, images, compact):
    # a user's functions get probabilities (2, N, 2) and deltas (2, N, 4), and the state
    def squared(y_true, y_pred):
        assert y_pred.shape[-1] == 2
        counted = ops.cast(y_true[..., -1:] >= 0, "float32")
        return 10 * ops.mean(counted * ops.square(y_pred - y_true[..., :-1]))

    def absolute(y_true, y_pred):
        assert (y_true.shape[-1], y_pred.shape[-1]) == (5, 4)
        objects = ops.cast(y_true[..., -1:] == 1, "float32")
        return ops.sum(objects * ops.abs(y_pred - y_true[..., :-1])) / 10

    model = build()
    model.compile(keras.optimizers.Adam(0.01), both(absolute, squared))
    assert model.get_compile_config() == {}
    found = [model.train_on_batch(images, compact, return_dict=True) for _ in range(12)]
    for name in ("classification_loss", "regression_loss"):
        assert 0 < found[-1][name] < 0.9 * found[0][name]
    half_empty = {**compact, "matches": np.where([[True], [False]], compact["matches"], -2)}
    ignored = {**compact, "matches": np.full_like(compact["matches"], -2)}
    empty = {name: np.zeros_like(value) for name, value in compact.items()}
    empty["matches"] -= 1
    for targets, objects in ((half_empty, True), (ignored, False), (empty, False)):
        found = model.test_on_batch(images, targets, return_dict=True)
        assert (found["regression_loss"] > 0) == objects
        assert (found["classification_loss"] > 0) == (targets is not ignored)


def test_spec_of_what_carries_none():
    def mine(y_true, y_pred):
        return 0

    spec = spec_of(mine)
    assert (spec.name, spec.compares, spec.activation) == ("mine", "deltas", "sigmoid")
    assert not any((spec.from_logits, spec.quality, spec.weighted_by_score, spec.needs_bins))
    assert spec.config is spec.each is spec.density is None
    assert spec_of("mse").name == "mse"
    assert spec_of(keras.losses.Huber()).config is None
    with pytest.raises(ValueError, match=r"got 'pixels'"):
        LossSpec("mine", compares="pixels")


@pytest.mark.parametrize("box_loss", [losses.smooth_l1, losses.giou])
@pytest.mark.parametrize("coder", ["corners", "center_size"])
def test_compact_targets_are_the_dense_ones(
    build, images, annotations, compact, coder, box_loss, loss_of
):
    from keras_retinanet.utils.anchors import anchor_targets_bbox

    model = build(coder=coder)
    model.compile("sgd", both(box_loss()))
    anchors = anchors_for_shape((64, 96), [3, 4], model.anchor_params)
    dense = anchor_targets_bbox(anchors, images, annotations, 2, coder=coder)
    expected = loss_of(model, images, dense)
    assert expected > 0.1
    np.testing.assert_allclose(loss_of(model, images, compact), expected, rtol=1e-4)


def test_box_space(build, images, annotations, compact, loss_of):
    # by hand: the mean of 1 - GIoU of the decoded box with the matched box over the objects
    from keras_retinanet.boxes import giou

    model = build(coder="center_size")
    model.compile("sgd", both(losses.giou()))
    regression, scores = model.predict_on_batch(images)
    anchors = anchors_for_shape((64, 96), [3, 4], model.anchor_params)
    objects = compact["matches"][0] >= 0
    matched = annotations[0]["bboxes"][compact["matches"][0][objects]]
    decoded = model.coder.decode(anchors[objects], regression[0, objects])
    expected = (1 - giou(decoded, matched)).mean()
    total = loss_of(model, images, compact)
    classification = loss_of_classification(scores, compact)
    np.testing.assert_allclose(total - classification, expected, rtol=1e-3)


def loss_of_classification(scores, compact):
    labels = np.zeros((*scores.shape[:2], scores.shape[2] + 1), "float32")
    matches = compact["matches"]
    labels[..., -1] = np.select([matches >= 0, matches == -1], [1, 0], -1)
    image, anchor = np.nonzero(matches >= 0)
    labels[image, anchor, compact["labels"][image, matches[image, anchor]]] = 1
    return float(ops.convert_to_numpy(losses.focal()(labels, scores)))


def test_no_objects(build, images, compact, loss_of):
    # images without boxes, in compact form: background alone; and all of it ignored
    model = build()
    model.compile("sgd", both(losses.giou()))
    nothing = {name: np.zeros_like(value) for name, value in compact.items()}
    value = loss_of(model, images, {**nothing, "matches": nothing["matches"] - 1})
    assert np.isfinite(value)
    assert value > 0
    assert loss_of(model, images, {**nothing, "matches": nothing["matches"] - 2}) == 0


@pytest.mark.parametrize("form", [pytest.param("dense", marks=pytest.mark.slow), "compact"])
@pytest.mark.usefixtures("graphs")
def test_fit_learns(build, images, dense, compact, form):
    # and of the batch norms the frozen keep their statistics, the live ones change
    model = build(progress={"epoch": 5})
    frozen, live = model.get_layer("norm_2"), model.get_layer("norm_3")
    frozen.trainable = False
    before = [layer.get_weights() for layer in (frozen, live)]
    classification = losses.focal(from_logits=form == "compact")
    model.compile(keras.optimizers.Adam(0.01), both(classification=classification))
    if form == "dense":
        history = model.fit(images, dense, epochs=12, batch_size=2, verbose=0).history["loss"]
    else:
        history = [model.train_on_batch(images, compact)[0] for _ in range(12)]
    assert np.isfinite(history).all()
    assert history[-1] < 0.7 * history[0]
    assert model.options["progress"] == {"epoch": 5}  # no attribute of a backend's own model
    after = [layer.get_weights() for layer in (frozen, live)]
    for old, new in zip(before[0], after[0], strict=True):
        np.testing.assert_array_equal(old, new)
    for old, new in zip(before[1], after[1], strict=True):  # gamma, beta, mean, variance
        assert np.abs(old - new).max() > 1e-4
    scores = model.predict_on_batch(images)[1]
    assert (scores >= 0).all()
    assert (scores <= 1).all()


def test_bfloat16(images, build, dense, tmp_path):
    from keras_retinanet.models import convert_model

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(coder="center_size")
        inference = convert_model(model, score_threshold=0.0)
    finally:
        keras.config.set_dtype_policy(before)
    model.compile("adam", both(losses.giou(), losses.focal(from_logits=True)))
    assert np.isfinite(model.train_on_batch(images, dense)).all()
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert model.get_layer("P3").compute_dtype == "bfloat16"
    for name in ("anchors_3", "candidates", "decoded_boxes", "clipped_boxes", "boxes"):
        layer = inference.get_layer(name)
        assert layer.compute_dtype == "float32", name
    assert {output.dtype for output in (*model.outputs, *inference.outputs[:2])} == {"float32"}
    loaded = saved(inference, tmp_path / "model.keras")
    assert loaded.get_layer("decoded_boxes").compute_dtype == "float32"
    assert loaded.get_layer("P3").compute_dtype == "bfloat16"


def test_an_extra_output_has_its_loss(build, images, dense, loss_of):
    def angle_loss(y_true, y_pred):
        return ops.mean(ops.abs(y_true - y_pred))

    extra = regression_head(1, 2, 8, Heads(depth=0), name="angle_submodel")
    model = build(extra=[("angle", extra)])
    model.compile("sgd", {**both(), "angle": angle_loss})
    near, far = (np.full((2, 240, 1), value, "float32") for value in (10, 12))
    difference = loss_of(model, images, (*dense, far)) - loss_of(model, images, (*dense, near))
    np.testing.assert_allclose(difference, 2, rtol=1e-4)


def test_anchors_as_a_dict_or_as_they_are(build):
    params = AnchorParameters(**OPTIONS["anchors"])
    ours, theirs = build(anchors=params), build(anchors=OPTIONS["anchors"])
    assert ours.options == theirs.options
