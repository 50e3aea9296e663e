"""Presets name known choices, and models follow them."""

import dataclasses

import pytest

from keras_retinanet import coders, presets
from keras_retinanet.layers.normalize import NORMALIZATIONS
from keras_retinanet.models import backbone
from keras_retinanet.models.inference import postprocess_of
from keras_retinanet.models.norms import NORMS
from keras_retinanet.nms import NMS
from keras_retinanet.parts import CLIPS, Design
from keras_retinanet.utils.anchors import AnchorParameters, square_anchors
from keras_retinanet.utils.resizing import RESIZES

DESIGNS = {
    **{name: value for name, value in vars(presets).items() if isinstance(value, Design)},
    **{name: preset.design for name, preset in presets.DETECTORS.items()},
}


@pytest.mark.parametrize("name", DESIGNS)
def test_designs_name_known_choices(name):
    design = DESIGNS[name]
    assert {design.pyramid.norm, design.heads.norm} <= set(NORMS)
    assert design.inputs.normalization in (None, "auto", *NORMALIZATIONS)
    assert design.inputs.resize in RESIZES
    assert design.postprocess.nms in NMS
    assert design.postprocess.clip in CLIPS
    assert coders.get(design.coder).size >= 4


def test_gfl_of_mmdetection_has_square_anchors_of_8_strides():
    anchors = AnchorParameters(**presets.MMDETECTION_GFL.anchors)
    assert anchors.rows() == square_anchors(Design().pyramid.levels, 8).rows()


def test_model_keeps_the_values_of_its_design():
    design = dataclasses.replace(
        presets.DETECTRON2, anchors={"ratios": (1,), "scales": (1,), "offset": 0}
    )
    model = backbone("resnet10_0.25").detector(["a"], design=design)
    assert postprocess_of(model) == design.postprocess
    assert model.anchor_params.offset == 0
    for option in ("image_min_side", "image_max_side", "resize", "canvases", "normalization"):
        assert getattr(model, option) == getattr(design.inputs, option)
    assert model.get_layer("pad").multiple == design.inputs.pad_to
