"""Sanity checks: arguments of losses, samplers, assigners and coders that are refused."""

import numpy as np
import pytest

from keras_retinanet.choices import (
    ASSIGNERS,
    BOX_LOSSES,
    CLASSIFICATION_LOSSES,
    CODERS,
    SAMPLERS,
)
from keras_retinanet.errors import InputError
from keras_retinanet.training import sanity
from keras_retinanet.training.config import TrainConfig

pytestmark = pytest.mark.core

NAMES = {**CLASSIFICATION_LOSSES, **BOX_LOSSES, **SAMPLERS}


def attempt(text):
    """Check a config with the loss or sampler in `text`."""
    name = text.partition(":")[0]
    option = "sampler" if name in SAMPLERS else "box_loss"
    option = "classification_loss" if name in CLASSIFICATION_LOSSES else option
    sanity.check_choices(TrainConfig.of(**{option: text}))


@pytest.mark.parametrize(
    ("check", "names"),
    [
        (sanity.check_classification_loss, CLASSIFICATION_LOSSES),
        (sanity.check_box_loss, BOX_LOSSES),
        (sanity.check_sampler, SAMPLERS),
        (sanity.check_coder, CODERS),
        (sanity.check_assigner, ASSIGNERS),
    ],
)
def test_every_default_is_usable(check, names):
    for name in names:
        check({"name": name})


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
        "focal:alpha=2",
        "focal:alpha=(0.5,0.5,-0.5)",
        "focal:cutoff='a'",
        "cross_entropy:alpha='a'",
        "softmax_focal:alpha=3",
        "focal_star:gamma=0",
        "quality_focal:beta=None",
        "varifocal:alpha=-1",
        "varifocal:alpha=(0.2,0.5,0.9)",
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
    if good:
        sanity.check_choices(TrainConfig.of(coder=text))
    else:
        with np.errstate(all="ignore"), pytest.raises(InputError, match=text.partition(":")[0]):
            sanity.check_choices(TrainConfig.of(coder=text))


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
def test_assigners(text, good):
    if good:
        sanity.check_choices(TrainConfig.of(assigner=text))
    else:
        with pytest.raises(InputError, match=text.partition(":")[0]):
            sanity.check_choices(TrainConfig.of(assigner=text))
