"""The arguments of losses, selectors, assigners and coders that are refused before training."""

import types

import numpy as np
import pytest

from keras_retinanet import losses
from keras_retinanet.assigners import get as get_assigner
from keras_retinanet.bin import stages, trials
from keras_retinanet.bin.choices import ASSIGNERS, CODERS, choice_of
from keras_retinanet.coders import get as get_coder
from keras_retinanet.detectors import DETECTORS
from keras_retinanet.errors import InputError
from keras_retinanet.losses import selection
from keras_retinanet.models.retinanet import RetinaNet

pytestmark = pytest.mark.core

BINS = {"name": "distances", "bins": 16}
NAMES = {**losses.LOSSES, **selection.SELECTORS}


def stub(coder="center_size", activation="sigmoid", num_classes=3):
    """What is asked of a model."""
    layer = types.SimpleNamespace(output=np.zeros((1, 1, num_classes)))
    model = types.SimpleNamespace(
        coder=get_coder(coder),
        activation=activation,
        gives_logits=True,
        get_layer={"classification": layer}.get,
    )
    model.check_losses = types.MethodType(RetinaNet.check_losses, model)
    return model


def attempt(text, num_classes=3):
    """Tries what the text names in the place of the defaults."""
    chosen = choice_of(NAMES)(text)
    name = chosen["name"]
    classification, regression, selector = {"name": "focal"}, {"name": "smooth_l1"}, None
    if name in losses.CLASSIFICATION_LOSSES:
        classification = chosen
    elif name in losses.BOX_LOSSES:
        regression = chosen
    else:
        selector = chosen
    configs = {"regression": regression}
    configs["classification"] = {**classification, "from_logits": True}
    stage = {output: stages.whole_config(config, losses.get) for output, config in configs.items()}
    stage = {"loss": stage, "selector": stages.whole_config(selector, selection.get)}
    activation = "softmax" if name.startswith("softmax") else "sigmoid"
    coder = BINS if name in ("gfl", "dfl") else "center_size"
    trials.try_stage(stub(coder, activation, num_classes), stage)


@pytest.mark.parametrize("name", sorted(NAMES.keys() - {"iou_entropy"}))
def test_every_default_is_accepted(name):
    for num_classes in (1, 3):
        attempt(name, num_classes)


@pytest.mark.parametrize(
    "text",
    [
        "focal:gamma=0,alpha=None",
        "focal:alpha=(0.2,0.5,0.9)",
        "softmax_focal:alpha=(0.2,0.5,0.9)",
        "focal_star:beta=-1",
        "softmax_focal:gamma=0.5",
        "ohem:count=1",
        "ohem:count=16,ratio=3",
        "hard_negative:ratio=0.5",
        "iou:log=True",
        "gfl:giou=1",
        "gfl:dfl=1",
    ],
)
def test_what_makes_sense(text):
    attempt(text)


@pytest.mark.parametrize(
    "text",
    [
        "focal:gama=1",
        "focal:gamma='a'",
        "focal:gamma=-1",
        "focal:gamma=(1,2)",
        "focal:alpha=(1,2)",
        "focal:alpha=(0.1,0.1,0.1,0.1)",
        "focal:alpha=2",
        "focal:alpha=(0.5,0.5,-0.5)",
        "focal:cutoff='a'",
        "cross_entropy:alpha='a'",
        "softmax_focal:alpha=3",
        "focal_star:gamma=0",
        "quality_focal:beta=None",
        "varifocal:alpha=-1",
        "varifocal:alpha=(0.2,0.5,0.9)",
        "softmax_focal:alpha=(0.2,0.5)",
        "ghm_classification:bins=0",
        "ghm_classification:bins='a'",
        "ghm_classification:momentum=2",
        "ghm_regression:mu=-1",
        "smooth_l1:sigma=0",
        "smooth_l1:sigma='a'",
        "ohem_smooth_l1:share='a'",
        "gfl:giou=-1",
        "gfl:giou=0,dfl=0",
        "gfl:dfl='a'",
        "giou:log=True",
        "ohem:count=0",
        "ohem:count=-1",
        "ohem:count='a'",
        "ohem:count=2,ratio=3",
        "ohem:ratio=-1",
        "ohem:pool=0",
        "hard_negative:ratio=0",
        "hard_negative:ratio='a'",
    ],
)
def test_what_makes_no_sense(text):
    with pytest.raises(InputError) as refused:
        attempt(text)
    sentence = str(refused.value)
    assert text.partition(":")[0] in sentence
    assert "\n" not in sentence
    assert "from_logits" not in sentence


def test_an_alpha_for_each_of_the_classes():
    attempt("focal:alpha=(0.5,)", num_classes=1)
    message = r"focal: expected a number as alpha, or 1 of them.*Received: \(0.5, 0.2\)"
    with pytest.raises(InputError, match=message):
        attempt("focal:alpha=(0.5,0.2)", num_classes=1)  # would be broadcast
    with pytest.raises(InputError, match="or 2 of them"):
        attempt("cross_entropy:alpha=(0.5,)", num_classes=2)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("center_size", True),
        ("corners:mean=(-0.1,0,0,0.1)", True),
        ("distances", True),
        ("distances:bins=1", True),
        ("distances:bins=0", False),
        ("distances:bins=-1", False),
        ("distances:bins=2.5", False),
        ("distances:unit='a'", False),
        ("distances:unit=0", False),
        ("corners:std=(1,2)", False),
        ("corners:size=1", False),
        ("center_size:variances=(1,1,1,-1)", False),
        ("center_size:variances=1", False),
    ],
)
def test_coders(text, good):
    config = choice_of(CODERS)(text)
    if good:
        trials.try_coder(config)
    else:
        with np.errstate(all="ignore"), pytest.raises(InputError, match=config["name"]):
            trials.try_coder(config)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("iou", True),
        ("iou:positive_overlap=0.7,negative_overlap=0.3,best_anchor=True", True),
        ("iou:positive_overlap=2", False),
        ("iou:positive_overlap='a'", False),
        ("iou:overlap=0.5", False),
        ("atss", True),
        ("atss:top_k=3", True),
        ("atss:top_k=0", False),
        ("atss:top_k=-2", False),
        ("atss:top_k='a'", False),
    ],
)
@pytest.mark.parametrize("detector", DETECTORS)
def test_assigners(text, good, detector):
    from keras_retinanet.bin.cli import read_config
    from keras_retinanet.preprocessing.generator import Generator

    config = choice_of(ASSIGNERS)(text)
    side = DETECTORS[detector].get("anchor_side")
    params, levels = read_config(None, side)
    generator = Generator.__new__(Generator)
    generator._anchors, generator.compute_shapes = {}, None
    generator.anchor_params, generator.pyramid_levels = params, levels
    generator.assign = get_assigner(config)
    if good:
        trials.try_assigner(config, generator)
    else:
        with pytest.raises(InputError, match=f"{config['name']}.*Received: "):
            trials.try_assigner(config, generator)
