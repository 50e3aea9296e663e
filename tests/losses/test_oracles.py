"""Losses beside PyTorch's and torchvision's of the same name, in float64, values and gradients.

Where PyTorch is not installed they are skipped, on any backend.
"""

import numpy as np
import pytest
from keras import ops

from keras_retinanet import losses

torch = pytest.importorskip("torch")
functional = torch.nn.functional

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def vision(torchvision):
    """torchvision's operations."""
    return torchvision.ops


def agree(gradient, loss, y_true, y_pred, oracle):
    """loss(y_true, ·) at y_pred is the sum of `oracle` over the number of objects."""
    x = torch.tensor(y_pred, dtype=torch.float64, requires_grad=True)
    expected = oracle(x, torch.tensor(y_true, dtype=torch.float64)).sum()
    expected = expected / (y_true[..., -1] == 1).sum()
    expected.backward()
    value, slope = gradient(lambda x: loss(ops.convert_to_tensor(y_true), x), y_pred)
    np.testing.assert_allclose(value, expected.item(), rtol=1e-5)
    np.testing.assert_allclose(slope, x.grad.numpy(), rtol=1e-5, atol=1e-6)
    assert np.abs(slope).max() > 0.01


def labelled(seed, classes=3):
    """Targets (2, 12, K + 1) of all three states and logits (2, 12, K)."""
    random = np.random.default_rng(seed)
    state = random.permutation(np.resize([1, 0, -1], 24)).reshape(2, 12)
    labels = np.eye(classes)[random.integers(0, classes, (2, 12))] * (state == 1)[..., None]
    y_true = np.concatenate([labels, state[..., None]], -1).astype("float32")
    return y_true, random.normal(0, 3, (2, 12, classes)).astype("float32")


def counted(x, y):
    """Logits and labels of the anchors that are not ignored: (n, K) both."""
    return x[y[..., -1] >= 0], y[..., :-1][y[..., -1] >= 0]


def objects(x, y):
    """Predictions and targets of the objects: (n, V) both."""
    return x[y[..., -1] == 1], y[..., :-1][y[..., -1] == 1]


def test_cross_entropy(gradient):
    def oracle(x, y):
        return functional.binary_cross_entropy_with_logits(*counted(x, y), reduction="none")

    agree(gradient, losses.cross_entropy(from_logits=True), *labelled(0), oracle)
    agree(gradient, losses.focal(alpha=None, gamma=0, from_logits=True), *labelled(1), oracle)
    y_true, logits = labelled(2)
    y_true[..., :-1] *= np.random.default_rng(2).uniform(0.1, 1, (2, 12, 1))  # qualities
    agree(gradient, losses.quality_focal(beta=0, from_logits=True), y_true, logits, oracle)


@pytest.mark.parametrize("alpha", [0.75, (0.2, 0.5, 0.9)])
def test_weighted_cross_entropy(gradient, alpha):
    # PyTorch weighs objects by pos_weight and all by weight: α / (1 - α), and 1 - α
    def oracle(x, y):
        rest = 1 - torch.tensor(alpha, dtype=torch.float64).expand(3)
        return functional.binary_cross_entropy_with_logits(
            *counted(x, y), weight=rest, pos_weight=(1 - rest) / rest, reduction="none"
        )

    agree(gradient, losses.cross_entropy(alpha, from_logits=True), *labelled(3), oracle)


@pytest.mark.parametrize("classes", [1, 3])
def test_softmax_cross_entropy(gradient, classes):
    def oracle(x, y):  # the background is the class of index K, of the logit 0
        x, y = counted(x, y)
        kinds = torch.where(y.sum(-1) > 0, y.argmax(-1), classes)
        return functional.cross_entropy(functional.pad(x, (0, 1)), kinds, reduction="none")

    loss = losses.softmax_focal(alpha=None, gamma=0, from_logits=True)
    agree(gradient, loss, *labelled(4, classes), oracle)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2), (0.6, 0.5), (0.25, 5)])
def test_softmax_focal(gradient, alpha, gamma):
    def oracle(x, y):
        x, y = counted(x, y)
        y = torch.cat([y, 1 - y.sum(-1, keepdim=True)], -1)
        loss = functional.cross_entropy(functional.pad(x, (0, 1)), y, reduction="none")
        weight = torch.where(y[:, -1] == 1, 1 - alpha, alpha)
        return weight * (1 - torch.exp(-loss)) ** gamma * loss

    loss = losses.softmax_focal(alpha, gamma, from_logits=True)
    agree(gradient, loss, *labelled(5), oracle)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2), (None, 2), (0.6, 1), (0.25, 5)])
def test_focal(gradient, vision, alpha, gamma):
    def oracle(x, y):  # torchvision's alpha of -1 is none
        return vision.sigmoid_focal_loss(*counted(x, y), alpha or -1, gamma, reduction="none")

    agree(gradient, losses.focal(alpha, gamma, from_logits=True), *labelled(6), oracle)


def encoded(seed):
    """Targets (2, 12, 5) of all three states and predictions (2, 12, 4), some of them close."""
    y_true, _ = labelled(seed, classes=4)
    random = np.random.default_rng(seed)
    y_true[..., :4] = random.normal(0, 1, (2, 12, 4))
    distance = random.normal(0, 1, (2, 12, 4)) * 10.0 ** random.integers(-2, 2, (2, 12, 4))
    return y_true, (y_true[..., :4] + distance).astype("float32")


@pytest.mark.parametrize("sigma", [3.0, 1.0, 0.5])
def test_smooth_l1(gradient, sigma):
    def oracle(x, y):
        return functional.smooth_l1_loss(*objects(x, y), beta=1 / sigma**2, reduction="none")

    agree(gradient, losses.smooth_l1(sigma), *encoded(7), oracle)


def test_l1_and_l2(gradient):
    def absolute(x, y):
        return functional.l1_loss(*objects(x, y), reduction="none")

    def squared(x, y):
        return functional.mse_loss(*objects(x, y), reduction="none") / 2

    agree(gradient, losses.l1(), *encoded(8), absolute)
    agree(gradient, losses.l2(), *encoded(9), squared)


def test_distribution_focal(gradient):
    # the cross entropy of the bin below and of the bin above, each by how near it is
    def oracle(x, y):
        x, y = objects(x, y)
        x, y = x.reshape(-1, 8), y.reshape(-1)
        low = y.floor().long().clamp(max=6)
        below, above = (functional.cross_entropy(x, i, reduction="none") for i in (low, low + 1))
        return below * (low + 1 - y) + above * (y - low)

    y_true, _ = labelled(10, classes=4)
    random = np.random.default_rng(10)
    y_true[..., :4] = random.uniform(0, 7, (2, 12, 4))
    y_true[0, :, 0] = random.integers(0, 8, 12)  # at a bin
    logits = random.normal(0, 3, (2, 12, 32)).astype("float32")
    agree(gradient, losses.dfl(), y_true, logits, oracle)


def boxes(seed):
    """Matched boxes (2, 12, 5) of all three states and boxes (2, 12, 4): each third of them across
    each other, apart, and one inside the other."""
    y_true, _ = labelled(seed, classes=4)
    random = np.random.default_rng(seed)
    low, size = random.uniform(0, 9, (2, 12, 2)), random.uniform(3, 9, (2, 12, 2))
    y_true[..., :4] = np.concatenate([low, low + size], -1)
    shift = random.uniform(-1, 1, (2, 12, 4))
    shift[:, 4:8] += random.choice([-20, 20], (2, 4, 2))[..., [0, 1, 0, 1]]
    inward = np.abs(shift[:, 8:]) * [1, 1, -1, -1]
    shift[:, 8:] = inward * random.choice([-1, 1], (2, 4, 1))
    return y_true, (y_true[..., :4] + shift).astype("float32")


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("giou", "generalized_box_iou_loss"),
        ("diou", "distance_box_iou_loss"),
        ("ciou", "complete_box_iou_loss"),
    ],
)
@pytest.mark.parametrize("seed", [11, 12])
def test_boxes(gradient, vision, name, other, seed):
    def oracle(x, y):
        return getattr(vision, other)(*objects(x, y))

    agree(gradient, losses.get(name), *boxes(seed), oracle)


def test_iou(gradient, vision):
    def oracle(x, y):
        return 1 - torch.diagonal(vision.box_iou(*objects(x, y)))

    agree(gradient, losses.iou(), *boxes(13), oracle)


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_the_boxes_are_across_apart_and_nested(seed):
    kinds = set()
    for (*b, state), a in zip(*(x.reshape(-1, x.shape[-1]) for x in boxes(seed)), strict=True):
        if state == 1:
            apart = max(a[0], b[0]) >= min(a[2], b[2]) or max(a[1], b[1]) >= min(a[3], b[3])
            signs = {*np.sign(a[:2] - b[:2]), *np.sign(b[2:] - a[2:])}
            kinds.add("apart" if apart else "nested" if len(signs) == 1 else "across")
    assert kinds == {"across", "apart", "nested"}
