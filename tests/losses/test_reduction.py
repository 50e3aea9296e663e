"""The parts that all losses share: the state, the division by the objects, the mask."""

import numpy as np
import pytest
from keras import ops

from keras_retinanet import losses
from keras_retinanet.choices import lookup
from keras_retinanet.losses.reduction import IGNORE, OBJECT, only, per_object, split

pytestmark = pytest.mark.core

STATE = np.array([[1, 0, -1, 1], [0, 0, -1, 0]], "float32")  # two objects in the batch


def number(value):
    return float(ops.convert_to_numpy(value))


def test_split():
    y_true = np.arange(10, dtype="float32").reshape(1, 2, 5)
    targets, state = split(y_true)
    assert targets.shape == (1, 2, 4)
    assert state.tolist() == [[4, 9]]


def test_divides_by_the_objects_of_the_whole_batch():
    # 8 · 3 / 2 objects, both of them in the first image
    assert number(per_object(ops.full((2, 4), 3.0), ops.convert_to_tensor(STATE))) == 12


@pytest.mark.parametrize("state", [0.0, -1.0])
def test_divides_by_one_at_least(state):
    assert number(per_object(ops.full((2, 4), 3.0), ops.full((2, 4), state))) == 24


def test_only():
    values = ops.convert_to_tensor(np.array([[[1, np.nan], [np.inf, 2]]], "float32"))
    mask = ops.convert_to_tensor(np.array([[False, False]]))
    assert ops.convert_to_numpy(only(mask, values)).tolist() == [[[0, 0], [0, 0]]]
    assert ops.convert_to_numpy(only(mask, values, 7)).tolist() == [[[7, 7], [7, 7]]]
    boxes = ops.convert_to_numpy(only(mask, ops.ones((1, 2, 4)), (0.0, 0.0, 1.0, 2.0)))
    assert boxes.tolist() == [[[0, 0, 1, 2]] * 2]
    assert (IGNORE, OBJECT) == (-1, 1)


@pytest.mark.parametrize(
    "config",
    [
        {
            **{"name": "focal", "alpha": 0.3, "gamma": 1.5, "cutoff": 0.4},
            **{"label_smoothing": 0.1, "from_logits": True},
        },
        {"name": "smooth_l1", "sigma": 2.0},
        {"name": "giou"},
    ],
    ids=lambda config: config["name"],
)
def test_a_loss_is_made_again_from_its_config(config):
    loss = losses.get(config)
    assert loss.spec.config == config
    assert losses.get(loss.spec.config).spec.config == config
    assert config["name"] in losses.LOSSES


def test_every_loss_has_its_config():
    for name in losses.LOSSES:
        build, _ = lookup(losses.LOSSES, name, "loss")
        assert build().spec.config["name"] == name
        assert losses.get({"name": name}).spec.config == build().spec.config


def test_an_unknown_loss_names_the_known():
    with pytest.raises(ValueError, match=r"'hinge'; known: .* focal, .* smooth_l1"):
        losses.get({"name": "hinge"})
