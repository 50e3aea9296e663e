"""The examples in docstrings are true."""

import doctest
import importlib

import numpy as np
import pytest

pytestmark = pytest.mark.core

MODULES = [
    "keras_retinanet.assigners.atss",
    "keras_retinanet.assigners.iou",
    "keras_retinanet.boxes",
    "keras_retinanet.coders",
    "keras_retinanet.losses.classification",
    "keras_retinanet.losses.regression",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs={"np": np})
    assert result.attempted > 0
    assert result.failed == 0
