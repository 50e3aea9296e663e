"""Generalized Focal Loss, from features to loss and detections, against arithmetic by hand.

Two images of 16 x 16 px, four places of stride 8 and one of 16, two classes.
"""

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet import losses
from keras_retinanet.models import convert_model
from keras_retinanet.presets import DETECTORS

pytestmark = pytest.mark.core

GFL = DETECTORS["gfl"]
STRIDES = [8, 8, 8, 8, 16]
CENTRES = [(4, 4), (12, 4), (4, 12), (12, 12), (8, 8)]
SCALES = {3: 1.5, 4: 0.5}  # of the levels' distances
# the second box of the first image reaches 17.5 strides to the right of the anchor (12, 4), more
# than there are bins, and the first one of the second image does not hold its anchor's centre
BOXES = [[[1, 2, 13, 15], [-20.5, 1, 152, 11]], [[7, 5, 15, 14], [0, 0, 0, 0]]]
LABELS = [[1, 0], [0, 0]]
MATCHES = [[0, 1, -1, -2, 0], [0, -1, -1, 0, -1]]  # -1 background, -2 ignored


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(6).uniform(-2, 2, (2, 16, 16, 3)).astype("float32")


@pytest.fixture(scope="module")
def targets():
    return {
        "boxes": np.array(BOXES, "float32"),
        "labels": np.array(LABELS, "int32"),
        "matches": np.array(MATCHES, "int32"),
    }


@pytest.fixture(scope="module")
def make(toy):
    """Makes the model, compiled, and the weights of its heads."""

    def build():
        model, weights = toy(coder=GFL.design.coder, level_scales=GFL.design.heads.level_scales)
        head, (kernel, bias) = model.get_layer("regression_submodel"), weights["regression"]
        bias = bias - np.tile(np.arange(17), 4) / 2  # small boxes are likelier
        head.set_weights([head.get_weights()[0], bias])
        weights["regression"] = kernel, bias
        for level, scale in SCALES.items():
            model.get_layer(f"regression_scale_{level}").factor.assign(scale)
        box_loss = losses.get(GFL.box_loss)
        class_loss = losses.get({**GFL.classification_loss, "from_logits": True})
        closures = {"regression": box_loss, "classification": class_loss}
        model.compile(keras.optimizers.SGD(1e-3), closures, run_eagerly=True)
        return model, weights

    return build


@pytest.fixture(scope="module")
def gfl(make):
    return make()


@pytest.fixture(scope="module")
def raw(gfl, images):
    """Logits of the distances (2, 5, 68) and of the classes (2, 5, 2), float64."""
    rows = images.astype("float64").reshape(2, 2, 8, 2, 8, 3).mean(axis=(2, 4)).reshape(2, 4, 3)
    features = np.concatenate([rows, rows.mean(axis=1, keepdims=True)], axis=1)  # (2, 5, 3)
    _, weights = gfl
    regression, classification = (
        features @ weights[name][0] + weights[name][1] for name in ("regression", "classification")
    )
    return regression * np.array([SCALES[3]] * 4 + [SCALES[4]])[:, None], classification


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def box_of(logits, anchor):
    """The box that 4 x 17 logits describe: the means of the bins, in strides from the centre."""
    weights = np.exp(logits.reshape(4, 17))
    left, up, right, down = STRIDES[anchor] * (weights @ np.arange(17.0)) / weights.sum(axis=1)
    x, y = CENTRES[anchor]
    return x - left, y - up, x + right, y + down


def overlaps(box, other):
    """(IoU, GIoU)."""
    width, height = (min(box[i + 2], other[i + 2]) - max(box[i], other[i]) for i in (0, 1))
    shared = max(width, 0) * max(height, 0)
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (box, other)]
    union = sum(areas) - shared
    width, height = (max(box[i + 2], other[i + 2]) - min(box[i], other[i]) for i in (0, 1))
    hull = width * height
    return shared / union, shared / union - (hull - union) / hull


def distribution_loss(logits, box, anchor):
    """-((i + 1 - y) log S_i + (y - i) log S_i+1), summed over the sides."""
    (x, y), stride = CENTRES[anchor], STRIDES[anchor]
    distances = np.array([x - box[0], y - box[1], box[2] - x, box[3] - y]) / stride
    total = 0
    for side, distance in zip(logits.reshape(4, 17), np.clip(distances, 0, 16), strict=True):
        log_s = side - np.log(np.exp(side).sum())
        i = min(int(distance), 15)
        total -= (i + 1 - distance) * log_s[i] + (distance - i) * log_s[i + 1]
    return total


def constants(regression, classification):
    """The values without gradient: {(image, anchor): (IoU, highest score)} of the objects."""
    return {
        (image, anchor): (
            overlaps(box_of(regression[image, anchor], anchor), BOXES[image][match])[0],
            sigmoid(classification[image, anchor].max()),
        )
        for image, row in enumerate(MATCHES)
        for anchor, match in enumerate(row)
        if match >= 0
    }


def by_hand(regression, classification, known=None):
    """(box loss, classification loss), the `constants` perhaps known."""
    known = known or constants(regression, classification)
    quality = boxes = 0
    for image, row in enumerate(MATCHES):
        for anchor, match in enumerate(row):
            if match == -2:
                continue
            label = np.zeros(2)
            if match >= 0:
                label[LABELS[image][match]], score = known[image, anchor]
                logits, box = regression[image, anchor], BOXES[image][match]
                _, giou = overlaps(box_of(logits, anchor), box)
                boxes += score * (2 * (1 - giou) + 0.25 * distribution_loss(logits, box, anchor))
            p = sigmoid(classification[image, anchor])
            entropy = -label * np.log(p) - (1 - label) * np.log(1 - p)
            quality += ((label - p) ** 2 * entropy).sum()
    return boxes / sum(score for _, score in known.values()), quality / len(known)


def test_the_heads(gfl, images, raw):
    model, _ = gfl
    regression, classification = model(images, training=True)
    np.testing.assert_allclose(ops.convert_to_numpy(regression), raw[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(classification), raw[1], rtol=1e-4, atol=1e-5)
    scores = model.predict_on_batch(images)[1]
    np.testing.assert_allclose(scores, sigmoid(raw[1]), rtol=1e-4)


@pytest.mark.parametrize("training", [False, True])
def test_the_loss(gfl, images, targets, raw, loss_of, training):
    value = loss_of(gfl[0], images, targets, training)
    np.testing.assert_allclose(value, sum(by_hand(*raw)), rtol=1e-5)


def test_the_losses_of_the_outputs(gfl, images, targets, raw):
    found = gfl[0].test_on_batch(images, targets, return_dict=True)
    boxes, quality = by_hand(*raw)
    np.testing.assert_allclose(found["regression_loss"], boxes, rtol=1e-5)
    np.testing.assert_allclose(found["classification_loss"], quality, rtol=1e-5)


def test_the_gradient_takes_iou_and_weight_as_constants(gfl, images, targets, raw, gradient):
    model, _ = gfl
    inputs = ops.convert_to_tensor(images)
    true = {name: ops.convert_to_tensor(value) for name, value in targets.items()}

    def loss(flat):
        outputs = [flat[..., :68], flat[..., 68:]]
        with keras.StatelessScope():
            return model.compute_loss(inputs, true, outputs, training=True)

    flat = np.concatenate(raw, axis=-1)  # (2, 5, 70)
    value, found = gradient(loss, flat)
    np.testing.assert_allclose(value, sum(by_hand(*raw)), rtol=1e-5)
    known = constants(*raw)

    def slope(place, known):
        step = np.zeros_like(flat)
        step[place] = 1e-5
        ends = (by_hand(x[..., :68], x[..., 68:], known) for x in (flat + step, flat - step))
        return (sum(next(ends)) - sum(next(ends))) / 2e-5

    bins = [place for place in np.ndindex(2, 5, 68) if place[-1] % 5 == 0]
    classes = [place for place in np.ndindex(flat.shape) if place[-1] >= 68]
    for places in (bins, classes):
        ours = np.array([found[place] for place in places])
        np.testing.assert_allclose(ours, [slope(place, known) for place in places], atol=2e-6)
        assert np.abs(ours).max() > 0.02
        # were they no constants, it would be felt
        assert np.abs(ours - [slope(place, None) for place in places]).max() > 1e-3
    assert not found[0, 3].any()  # ignored


def test_the_detections(gfl, images, raw):
    inference = convert_model(gfl[0], nms="none", score_threshold=0.0, max_detections=12)
    boxes, scores, labels = inference.predict_on_batch(images)
    for image in range(2):
        found = {}
        for anchor in range(5):
            box = np.clip(box_of(raw[0][image, anchor], anchor), 0, 16)
            for label in range(2):
                found[sigmoid(raw[1][image, anchor, label])] = box, label
        order = sorted(found, reverse=True)
        np.testing.assert_allclose(scores[image, :10], order, rtol=1e-4)
        np.testing.assert_allclose(boxes[image, :10], [found[s][0] for s in order], atol=1e-3)
        assert labels[image, :10].tolist() == [found[s][1] for s in order]
        assert (scores[image, 10:] == -1).all()


def test_bfloat16(make, images, targets, raw):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model, _ = make()
    finally:
        keras.config.set_dtype_policy(before)
    assert model.get_layer("P3").compute_dtype == "bfloat16"
    start = model.get_weights()
    first, second = (model.train_on_batch(images, targets)[0] for _ in range(2))
    np.testing.assert_allclose(first, sum(by_hand(*raw)), rtol=0.02)
    assert second < first
    for old, new in zip(start, model.get_weights(), strict=True):
        assert np.isfinite(new).all()
        assert np.abs(new - old).max() > 1e-5
