"""Presets: the detectors that can be trained, and the dialects of other projects.

Imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .parts import Design, Heads, Inputs, PostProcess, Pyramid


@dataclass(frozen=True)
class Preset:
    """A design and its assigner and losses.

    Attributes:
        assigner: a choice for `assigners.get`.
        classification_loss, box_loss: choices for `losses.get`.
        anchor_side: if set, each place has one square anchor, this many strides wide.
    """

    design: Design
    assigner: dict
    classification_loss: dict
    box_loss: dict
    anchor_side: int | None = None


DETECTORS = {
    "retinanet": Preset(  # Lin et al. 2017, arXiv 1708.02002
        design=Design(),
        assigner={"name": "iou"},
        classification_loss={"name": "focal"},
        box_loss={"name": "smooth_l1"},
    ),
    "gfl": Preset(  # Li et al. 2020, "Generalized Focal Loss", arXiv 2006.04388
        design=Design(
            pyramid=Pyramid(norm="group"),
            heads=Heads(norm="group", level_scales=True),
            coder={"name": "distances", "bins": 16},
        ),
        assigner={"name": "atss"},
        classification_loss={"name": "quality_focal"},
        box_loss={"name": "gfl"},
        anchor_side=8,
    ),
}

# Models of `Backbone.retinanet`, which take the images that `preprocess_image` gives.
PREPROCESSED = Design(coder="corners", inputs=Inputs(normalization=None))

# The dialects of other projects. The importers in `weights` add what the tensors determine: widths,
# depths, norms, the input of P6 and the number of classes.
KERAS_RETINANET = Design(
    coder="corners",
    inputs=Inputs(
        normalization=None, preprocessing="caffe", resize="keras-retinanet", canvases="own"
    ),
    postprocess=PostProcess(top_k=None, clip_margin=1),
)
TORCHVISION = Design(
    pyramid=Pyramid(strided_padding="symmetric"),
    anchors={"offset": 0, "rounded": True, "fitted_strides": True},
    inputs=Inputs(normalization="torch", resize="torchvision", canvases="own", pad_to=32),
)
DETECTRON2 = Design(
    pyramid=Pyramid(strided_padding="symmetric"),
    anchors={"offset": 0},
    inputs=Inputs(normalization="detectron2", resize="detectron2", canvases="own", pad_to=32),
    postprocess=PostProcess(max_detections=100, clip="after"),
)
MMDETECTION = Design(
    pyramid=Pyramid(strided_padding="symmetric", p7_relu=False),
    anchors={"offset": 0},
    coder={"name": "center_size", "clamp": "both"},
    inputs=Inputs(normalization="torch", resize="mmdetection", canvases="own", pad_to=32),
    postprocess=PostProcess(max_detections=100, clip="dropping"),
)
MMDETECTION_GFL = replace(
    MMDETECTION,
    heads=DETECTORS["gfl"].design.heads,
    anchors={"sizes": (64, 128, 256, 512, 1024), "ratios": (1,), "scales": (1,), "offset": 0},
    coder=DETECTORS["gfl"].design.coder,
    postprocess=replace(MMDETECTION.postprocess, nms_threshold=0.6),
)
KERASHUB = Design(
    anchors={"offset": 0, "rounded": True, "fitted_strides": True},
    coder={"name": "center_size", "clamp": "none"},
    inputs=Inputs(canvases="own"),
    # NMS of all classes together, and clipping, which KerasHub itself leaves out
    postprocess=PostProcess(class_specific_filter=False, top_k=None, clip="after"),
)
