"""--preflight: good data train on, and bad data are refused with the cause."""

import numpy as np
import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.training import overfit


@pytest.fixture
def quick(monkeypatch):
    """Few steps, in which the loss need not fall far."""
    monkeypatch.setattr(overfit, "STEPS", 8)
    monkeypatch.setattr(overfit, "LEFT", 0.99)


@pytest.mark.usefixtures("quick")
@pytest.mark.slow
def test_good_data_pass_and_leave_the_training_as_it_is(fit, data, capsys):
    from keras_retinanet.models import load_model

    weights = []
    for options in (["--lr=0.002"], ["--lr=0.002", "--preflight"]):
        folder = fit(*options, "--epochs=1", "--steps=1", *data, run=str(len(weights)))
        weights.append(load_model(folder / "last.keras").get_weights())
    assert "preflight: in 8 steps on one batch, loss " in capsys.readouterr().out
    assert all(np.array_equal(*pair) for pair in zip(*weights, strict=True))


def test_anchors_that_miss_are_named(refuse_training, data, tmp_path):
    config = tmp_path / "anchors.ini"
    config.write_text(
        "[anchor_parameters]\nsizes = 900\nstrides = 8\nratios = 1\nscales = 1\n"
        "[pyramid_levels]\nlevels = 3\n"
    )
    message = refuse_training("--preflight", "--config", config, *data)
    assert "0% of the 4 boxes of class ball" in message
    assert "--fit-anchors" in message


@pytest.mark.usefixtures("quick")
@pytest.mark.slow
def test_a_learning_rate_that_trains_nothing_is_named(refuse_training, data):
    message = refuse_training("--preflight", "--lr=1e-9", *data)
    assert "learning rate of 1e-09 does not train" in message


FALLS, STAYS = np.linspace(2, 0.1, 40), np.linspace(2, 1.9, 40)


class Model:
    trainable_variables = (1,)


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        (
            {"loss": STAYS, "classification": STAYS, "regression": FALLS},
            "loss of the classes stays",
        ),
        ({"loss": STAYS, "classification": FALLS, "regression": STAYS}, "loss of the boxes stays"),
        ({"loss": STAYS, "classification": STAYS, "regression": STAYS}, "all losses stay"),
        ({"loss": FALLS * np.nan, "classification": FALLS, "regression": FALLS}, "no longer a num"),
    ],
)
def test_the_part_that_stays_is_named(losses, words):
    assert words in overfit.cause(Model(), losses)


def test_a_loss_falls_by_half_or_stays():
    assert overfit.fell(np.linspace(2, 0.9, 40))
    assert not overfit.fell(np.linspace(2, 1.2, 40))
    assert not overfit.fell(np.array([2, np.nan, 0.1]))


def test_anchors_that_miss_one_class_alone_are_named(csv_data, refuse_training):
    # anchors of 16 px and more reach a box of 16 px, and none of 2 px
    data = csv_data("a.jpg,20,20,36,36,ball\nb.jpg,30,30,32,32,star\n")
    message = refuse_training("--preflight", *data)
    assert "0% of the 1 boxes of class star" in message


def test_missed_classes_are_those_below_half():
    recalls = {"ball": (4, 0.5), "star": (8, 0.25), "tent": (0, None)}
    sentence = overfit.missed_classes(recalls)
    assert "25% of the 8 boxes of class star" in sentence
    assert "ball" not in sentence
    assert "fit_anchors" in sentence
    assert overfit.missed_classes({"ball": (4, 0.5), "tent": (0, None)}) is None


def test_no_objects_in_the_first_batches():
    class Empty:
        def __len__(self):
            return 2

        def batch_at(self, step):
            return None, {"matches": np.full((1, 9), -1), "boxes": np.zeros((1, 1, 4))}

    with pytest.raises(InputError, match="first 2 batches hold no objects"):
        overfit.batch_with_objects(Empty())
