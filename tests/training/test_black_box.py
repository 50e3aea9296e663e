"""The layer, or the gradient, that is first not finite when a model trains on a batch."""

import numpy as np
import pytest

from keras_retinanet import losses, models
from keras_retinanet.preprocessing.collate import Anchoring, compact_targets
from keras_retinanet.training import black_box
from keras_retinanet.training.black_box import first_failure

NOTHING = {"layer": None, "gradient": None}


@pytest.fixture
def model():
    made = models.backbone("resnet10_0.25").retinanet(2)
    made.compile("sgd", {"regression": losses.smooth_l1(), "classification": losses.focal()})
    return made


@pytest.fixture
def batch(model):
    """Two images of 64 px with an object each, of any pixels, and their targets."""
    images = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype("float32")
    objects = {"bboxes": np.array([[8.0, 8.0, 48.0, 48.0]]), "labels": np.array([1])}
    objects["ignore"] = np.array([False])
    anchoring = Anchoring(model.anchor_params, model.pyramid_levels)
    return images, compact_targets([(64, 64)] * 2, [objects] * 2, (64, 64), anchoring, 1)


@pytest.mark.core
def test_nothing_fails_with_finite_weights_and_a_good_batch(model, batch):
    assert first_failure(model, model.get_weights(), batch) == NOTHING


@pytest.mark.core
def test_weights_that_overflow_name_their_layer(model, batch):
    layer = model.get_layer("C4_reduced")
    layer.kernel.assign(np.full(layer.kernel.shape, 3e38, "float32"))
    found = first_failure(model, model.get_weights(), batch)
    assert found == {**NOTHING, "layer": layer.path}


def test_an_image_of_infinities_is_named(model, batch):
    batch[0][1, 5] = np.inf
    found = first_failure(model, model.get_weights(), batch)
    assert found == {**NOTHING, "layer": "images"}


@pytest.mark.core
def test_a_corrupt_label_fails_in_the_gradient_of_the_boxes(model, batch):
    batch[1]["boxes"][1] = np.nan
    found = first_failure(model, model.get_weights(), batch)
    assert found["layer"] is None
    assert "regression" in found["gradient"]
    last = [v.path for v in model.trainable_variables if "regression" in v.path][-1]
    assert found["gradient"] == last


def test_a_batch_is_written_where_there_are_no_weights(model, batch):
    assert first_failure(model, None, batch) == NOTHING


def test_a_search_that_fails_is_noted(model, batch, monkeypatch):
    def fail(*_):
        raise MemoryError("full")

    monkeypatch.setattr(black_box, "failing_layer", fail)
    found = first_failure(model, model.get_weights(), batch)
    assert found == {**NOTHING, "search_failed": "MemoryError: full"}
