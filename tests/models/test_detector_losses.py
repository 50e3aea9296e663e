"""Losses of the IoU branch, the softmax head, samplers and GHM in compute_loss, by hand.

Two images of 32 x 32 px; 16 anchors of 64 px and stride 8 and 4 of 128 px and stride 16.
"""

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet import losses
from keras_retinanet.boxes import iou
from keras_retinanet.coders import center_size
from keras_retinanet.errors import InputError
from keras_retinanet.losses import sampling
from keras_retinanet.losses.spec import LossSpec
from keras_retinanet.models import convert_model
from keras_retinanet.utils.anchors import anchors_for_shape, square_anchors

pytestmark = pytest.mark.core

ANCHORS = anchors_for_shape((32, 32), [3, 4], square_anchors([3, 4], 8)).astype("float64")
BOXES = np.array([[[-20, -20, 40, 30], [0, 0, 60, 60]], [[-50, -60, 70, 80], [0, 0, 0, 0]]])
LABELS = np.array([[1, 0], [1, 0]])


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(7).uniform(-1, 1, (2, 32, 32, 3)).astype("float32")


@pytest.fixture(scope="module")
def matches():
    """In the first image 5 objects and 3 anchors ignored, in the second 2 and 2: (2, 20)."""
    matches = np.full((2, 20), -1)
    matches[0, [0, 5, 6, 10, 17]] = [0, 0, 1, 1, 1]
    matches[0, [2, 3, 19]] = matches[1, [0, 19]] = -2
    matches[1, [16, 18]] = 0
    return matches


@pytest.fixture(scope="module")
def targets(matches):
    rows = {"boxes": BOXES.astype("float32"), "labels": LABELS.astype("int32")}
    return {**rows, "matches": matches.astype("int32")}


@pytest.fixture(scope="module")
def values(images):
    """Of weights (3, V) and a bias (V,), what the head of `toy` gives: (2, 20, V) float64."""
    rows = images.astype("float64")
    fine = rows.reshape(2, 4, 8, 4, 8, 3).mean(axis=(2, 4)).reshape(2, 16, 3)
    coarse = rows.reshape(2, 2, 16, 2, 16, 3).mean(axis=(2, 4)).reshape(2, 4, 3)
    features = np.concatenate([fine, coarse], axis=1)
    return lambda weights: features @ weights[0] + weights[1]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def both(box=None, classification=None, **others):
    box = box or losses.smooth_l1()
    return {"regression": box, "classification": classification or losses.focal(), **others}


def compiled(model, closures, sampler=None, eagerly=True):
    model.compile(keras.optimizers.SGD(1e-3), closures, sampler, run_eagerly=eagerly)
    return model


def saved(model, path, **options):
    model.save(path)
    return keras.saving.load_model(path, **options)


# the IoU branch


def test_the_predicted_iou_multiplies_the_scores(toy, images, values):
    model, weights = toy(iou_branch=True)
    assert model.output_names == ["regression", "classification", "iou"]
    raw = {name: values(weights[name]) for name in model.output_names}
    scores = sigmoid(raw["classification"]) * sigmoid(raw["iou"])  # (2, 20, 2)
    inference = convert_model(model, nms="none", score_threshold=0.0, max_detections=50)
    assert inference.output_names == ["boxes", "scores", "labels"]
    boxes, found, labels = inference.predict_on_batch(images)
    decoded = np.clip(center_size().decode(ANCHORS, raw["regression"]), 0, 32)
    for image in range(2):
        order = np.argsort(-scores[image], axis=None)
        rows, classes = np.unravel_index(order, (20, 2))
        np.testing.assert_allclose(found[image, :40], scores[image].ravel()[order], rtol=1e-4)
        np.testing.assert_allclose(boxes[image, :40], decoded[image, rows], atol=1e-3)
        assert labels[image, :40].tolist() == classes.tolist()


def test_the_loss_of_the_iou_is_that_of_the_objects(toy, images, matches, targets, values):
    model, weights = toy(iou_branch=True)
    compiled(model, both(iou=losses.iou_entropy(from_logits=True)))
    found = model.test_on_batch(images, targets, return_dict=True)
    decoded = center_size().decode(ANCHORS, values(weights["regression"]))
    p = sigmoid(values(weights["iou"]))[..., 0]
    total = 0
    for image, anchor in np.argwhere(matches >= 0):
        t = iou(decoded[image, anchor], BOXES[image, matches[image, anchor]])
        total -= t * np.log(p[image, anchor]) + (1 - t) * np.log(1 - p[image, anchor])
    np.testing.assert_allclose(found["iou_loss"], total / 7, rtol=1e-5)


def test_the_iou_that_is_learned_moves_no_box(toy, images, targets, gradient):
    model, _ = toy(iou_branch=True)
    true = {name: ops.convert_to_tensor(value) for name, value in targets.items()}
    inputs = ops.convert_to_tensor(images)
    regression, *others = map(ops.convert_to_numpy, model(images, training=True))
    found = []
    for weight in (1, 5):

        def weighted(y_true, y_pred, weight=weight):
            return weight * losses.iou_entropy(from_logits=True)(y_true, y_pred)

        weighted.spec = LossSpec("weighted", from_logits=True)
        compiled(model, both(classification=losses.focal(from_logits=True), iou=weighted))

        def loss(regression):
            with keras.StatelessScope():
                fixed = map(ops.convert_to_tensor, others)
                return model.compute_loss(inputs, true, [regression, *fixed], training=True)

        found.append(gradient(loss, regression))
    (low, slope), (high, same_slope) = found
    assert high > low + 0.5
    np.testing.assert_allclose(slope, same_slope, rtol=1e-6)
    assert slope.any()


# the softmax head


@pytest.mark.parametrize("from_logits", [False, True])
def test_softmax_in_training_and_evaluation(
    toy, images, matches, targets, values, loss_of, from_logits
):
    # FL(p_t) = -α_t (1 - p_t)² log(p_t) of two classes and the background
    model, weights = toy(activation="softmax")
    shares = np.exp(values(weights["classification"]))  # (2, 20, 3)
    shares /= shares.sum(axis=-1, keepdims=True)
    expected = 0
    for image, anchor in np.argwhere(matches > -2):
        match = matches[image, anchor]
        own = 2 if match < 0 else LABELS[image, match]
        p_t, alpha = shares[image, anchor, own], 0.75 if match < 0 else 0.25
        expected -= alpha * (1 - p_t) ** 2 * np.log(p_t) / 7
    compiled(model, both(classification=losses.softmax_focal(from_logits=from_logits)))
    found = model.test_on_batch(images, targets, return_dict=True)
    np.testing.assert_allclose(found["classification_loss"], expected, rtol=1e-5)
    ours, theirs = (loss_of(model, images, targets, training) for training in (False, True))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    inference = convert_model(model, score_threshold=0.0, nms="none", max_detections=40)
    scores = inference.predict_on_batch(images)[1]
    np.testing.assert_allclose(scores[0], -np.sort(-shares[0, :, :2].ravel()), rtol=1e-4)


@pytest.mark.parametrize(
    ("model", "closures", "sampler", "message"),
    [
        ({"activation": "softmax"}, both(), None, "loss focal needs a sigmoid head.*softmax"),
        (
            {},
            both(classification=losses.softmax_focal()),
            None,
            "softmax_focal needs a softmax head.*sigmoid",
        ),
        (
            {},
            both(losses.dfl()),
            None,
            "dfl needs a box coder with bins.*center_size",
        ),
        (
            {"coder": "distances"},
            both(losses.gfl()),
            None,
            "gfl needs a box coder with bins.*distances",
        ),
        (
            {"coder": {"name": "distances", "bins": 4}},
            both(losses.smooth_l1()),
            None,
            "smooth_l1 compares deltas.*distances",
        ),
        (
            {"coder": {"name": "distances", "bins": 4}},
            both(losses.ghm_regression()),
            None,
            "ghm_regression compares deltas.*distances",
        ),
        (
            {},
            both(classification=losses.ghm_classification()),
            "hard_negative",
            "sampler hard_negative.*ghm_classification",
        ),
    ],
)
def test_what_does_not_go_together(toy, model, closures, sampler, message):
    model, _ = toy(**model)
    with pytest.raises(InputError, match=message):
        model.compile("sgd", closures, sampler)
    with pytest.raises(InputError, match=message):
        model.make_criterion(closures, sampling.get(sampler))
    assert not model.compiled


def mine(y_true, y_pred):
    return ops.mean(y_pred)


@pytest.mark.parametrize(
    ("model", "closures", "message"),
    [
        ({"coder": {"name": "distances", "bins": 4}}, both(mine), "mine compares deltas"),
        ({"activation": "softmax"}, both(classification=mine), "mine needs a sigmoid head"),
    ],
)
def test_a_plain_loss_that_does_not_go_with_the_heads(
    toy, images, targets, monkeypatch, model, closures, message
):
    model, _ = toy(**model)
    with pytest.raises(InputError, match=message):
        model.compile("sgd", closures)
    spec = LossSpec("mine", compares="boxes", activation="softmax")
    monkeypatch.setattr(mine, "spec", spec, raising=False)
    compiled(model, closures)
    assert np.isfinite(model.train_on_batch(images, targets)).all()


@pytest.mark.parametrize("box_loss", [losses.giou(), losses.gfl(dfl=0)])
def test_losses_of_boxes_go_with_any_coder(toy, images, targets, loss_of, box_loss):
    for coder in ("corners", "distances", {"name": "distances", "bins": 4}):
        model = compiled(toy(coder=coder)[0], both(box_loss))
        assert 0 < loss_of(model, images, targets) < 10


# samplers


def focal_by_hand(logits, matches):
    """Each anchor's focal loss: (2, 20), 0 where it is ignored."""
    label = np.zeros(logits.shape)
    for image, anchor in np.argwhere(matches >= 0):
        label[image, anchor, LABELS[image, matches[image, anchor]]] = 1
    p_t = sigmoid(np.where(label, logits, -logits))
    values = np.where(label, 0.25, 0.75) * (1 - p_t) ** 2 * -np.log(p_t)
    return np.where(matches == -2, 0, values.sum(axis=-1))


def test_hard_negative(toy, images, matches, targets, values):
    # all objects, and 1.5 times as many background anchors of each image: 7 and 3
    model, weights = toy()
    each = focal_by_hand(values(weights["classification"]), matches)
    expected = each[matches >= 0].sum()
    for image, count in ((0, 7), (1, 3)):
        expected += np.sort(each[image, matches[image] == -1])[-count:].sum()
    sampler = {"name": "hard_negative", "ratio": 1.5}
    compiled(model, both(classification=losses.focal(from_logits=True)), sampler)
    found = model.test_on_batch(images, targets, return_dict=True)
    np.testing.assert_allclose(found["classification_loss"], expected / 7, rtol=1e-5)
    compiled(model, both())
    whole = model.test_on_batch(images, targets, return_dict=True)
    np.testing.assert_allclose(whole["classification_loss"], each.sum() / 7, rtol=1e-5)
    np.testing.assert_allclose(whole["regression_loss"], found["regression_loss"], rtol=1e-6)


def test_ohem(toy, images, matches, targets, values):
    # the hardest 6 of each image, none of which overlaps a harder one by more than 0.4; the loss
    # is divided by all 7 objects, of which some are left out
    model, weights = toy()
    each = focal_by_hand(values(weights["classification"]), matches)
    decoded = center_size().decode(ANCHORS, values(weights["regression"]))
    total, chosen = 0, []
    for image in range(2):
        kept = []
        for anchor in np.argsort(-each[image]):
            apart = all(iou(decoded[image, anchor], decoded[image, k]) <= 0.4 for k in kept)
            if matches[image, anchor] > -2 and apart and len(kept) < 6:
                kept.append(anchor)
        total += each[image, kept].sum()
        chosen += [(image, anchor) for anchor in kept]
    assert 0 < sum(matches[place] >= 0 for place in chosen) < 7
    sampler = sampling.ohem(count=6, overlap=0.4)
    compiled(model, both(classification=losses.focal(from_logits=True)), sampler)
    found = model.test_on_batch(images, targets, return_dict=True)
    np.testing.assert_allclose(found["classification_loss"], total / 7, rtol=1e-5)


def test_a_sampler_is_saved(toy, images, targets, tmp_path):
    model, _ = toy()
    compiled(model, both(), {"name": "ohem", "count": 8, "ratio": 3})
    config = model.get_compile_config()
    whole = {"name": "ohem", "count": 8, "overlap": 0.7, "ratio": 3, "pool": 4}
    assert config["sampler"] == whole
    loaded = saved(model, tmp_path / "model.keras")
    assert loaded.get_compile_config() == config
    np.testing.assert_allclose(
        loaded.test_on_batch(images, targets), model.test_on_batch(images, targets), rtol=1e-5
    )
    compiled(model, both(), lambda values, state, boxes: state == 1)
    assert model.get_compile_config() == {}  # a user's function, which no file can name
    compiled(model, both(), config["sampler"])
    everything = compiled(toy()[0], both()).test_on_batch(images, targets)
    assert everything[0] > 1.01 * model.test_on_batch(images, targets)[0]


# GHM


def counts_of(*closures):
    return [ops.convert_to_numpy(closure.spec.density.counts) for closure in closures]


def test_ghm_counts_in_training_alone(toy, images, targets, graphs):
    # 40 anchors without 5 ignored, two classes: 70 examples; 7 objects: 28 coordinates
    closures = losses.ghm_regression(), losses.ghm_classification(from_logits=True)
    model = compiled(toy()[0], both(*closures), eagerly=False)
    evaluated = model.test_on_batch(images, targets)
    assert np.isfinite(evaluated).all()
    assert not any(counts.any() for counts in counts_of(*closures))
    for share in (0.25, 0.25 + 0.75 * 0.25):
        model.train_on_batch(images, targets)
        boxes, classes = counts_of(*closures)
        np.testing.assert_allclose(boxes.sum(), share * 28, rtol=1e-5)
        np.testing.assert_allclose(classes.sum(), share * 70, rtol=1e-5)
    model.test_on_batch(images, targets)
    np.testing.assert_array_equal(counts_of(*closures)[1], classes)


def test_ghm_is_saved_with_its_counts(toy, images, targets, tmp_path):
    closures = losses.ghm_regression(bins=5), losses.ghm_classification(15, 0.5, from_logits=True)
    model = compiled(toy()[0], both(*closures))
    model.train_on_batch(images, targets)
    loaded = saved(model, tmp_path / "model.keras")
    assert loaded.get_compile_config() == model.get_compile_config()
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    counted = sorted(len(w) for w in model.get_weights() if w.shape in ((5,), (15,)))
    assert counted == [5, 15]
    np.testing.assert_allclose(
        loaded.test_on_batch(images, targets), model.test_on_batch(images, targets), rtol=1e-5
    )
    np.testing.assert_allclose(
        loaded.train_on_batch(images, targets), model.train_on_batch(images, targets), rtol=1e-5
    )
    for ours, theirs in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_model_with_ghm_goes_on_without_it(toy, images, targets, tmp_path):
    model = compiled(toy()[0], both(classification=losses.ghm_classification(from_logits=True)))
    model.train_on_batch(images, targets)
    scores = model.predict_on_batch(images)[1]
    raw = saved(model, tmp_path / "model.keras", compile=False)
    assert not raw.compiled
    np.testing.assert_allclose(raw.predict_on_batch(images)[1], scores, rtol=1e-5)
    kept = len(raw.get_weights())
    for other in (model, raw):
        compiled(other, both())
        first, second = (other.train_on_batch(images, targets)[0] for _ in range(2))
        assert second < first
        assert len(other.get_weights()) == kept  # no counts
    again = saved(model, tmp_path / "model.keras")
    assert again.get_compile_config()["loss"]["classification"]["name"] == "focal"
    fresh = losses.ghm_classification(from_logits=True)
    compiled(again, both(classification=fresh)).train_on_batch(images, targets)
    assert counts_of(fresh)[0].any()


def test_one_class_and_one_box_at_most(toy, images):
    # Keras traces models on PyTorch with targets of ones: there is no row 1 and no class 1
    targets = {
        "boxes": np.array([[[0, 0, 60, 60]]] * 2, "float32"),
        "labels": np.zeros((2, 1), "int32"),
        "matches": np.array([[0] * 3 + [-1] * 17, [-2] * 4 + [-1] * 16], "int32"),
    }
    for loss, sampler in (
        (losses.ghm_classification(from_logits=True), None),
        (losses.focal(from_logits=True), "ohem"),
    ):
        model = compiled(toy(num_classes=1)[0], both(classification=loss), sampler)
        first, second = (model.train_on_batch(images, targets)[0] for _ in range(2))
        assert np.isfinite([first, second]).all()
        assert first > 0.1


# batches without objects

KINDS = {
    "gfl": (
        {"coder": {"name": "distances", "bins": 16}, "level_scales": True},
        lambda: both(losses.gfl(), losses.quality_focal(from_logits=True)),
        None,
    ),
    "iou_branch": (
        {"iou_branch": True},
        lambda: both(
            losses.giou(),
            losses.focal(from_logits=True),
            iou=losses.iou_entropy(from_logits=True),
        ),
        None,
    ),
    "softmax": (
        {"activation": "softmax"},
        lambda: both(losses.l1(), losses.softmax_focal(from_logits=True)),
        None,
    ),
    "ohem": ({}, lambda: both(losses.ciou(), losses.focal(from_logits=True)), "ohem"),
    "ohem_ratio": (
        {},
        lambda: both(losses.ohem_smooth_l1(), losses.focal(from_logits=True)),
        {"name": "ohem", "count": 8, "ratio": 3},
    ),
    "hard_negative": ({}, lambda: both(classification=losses.varifocal()), "hard_negative"),
    "ghm": (
        {},
        lambda: both(losses.ghm_regression(), losses.ghm_classification(from_logits=True)),
        None,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_batches_without_objects(toy, images, targets, kind):
    options, closures, sampler = KINDS[kind]
    model = compiled(toy(**options)[0], closures(), sampler)
    whole = targets["matches"]
    empty = np.array([[False], [True]])  # the second image

    def step(matches):
        found = model.train_on_batch(images, {**targets, "matches": matches}, return_dict=True)
        assert np.isfinite(list(found.values())).all()
        assert all(np.isfinite(weight).all() for weight in model.get_weights())
        return found

    assert step(np.where(empty, -1, whole))["loss"] > 0
    before = model.get_weights()
    ignored = step(np.full_like(whole, -2))
    assert not any(ignored.values())
    if kind != "ghm":  # whose counts fade
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
    for background in (np.full_like(whole, -1), np.where(empty, -2, np.full_like(whole, -1))):
        found = step(background)
        assert found["regression_loss"] == found.get("iou_loss", 0) == 0
        # as many background anchors as objects, or as in an image without objects
        assert (found["classification_loss"] > 0) == (kind != "hard_negative")
    assert step(whole)["regression_loss"] > 0
