"""The detectors by name: what sets them apart, as plain values that options override.

`model` are arguments of `Backbone.detector`; the others are what it is trained with, as
`losses.get` and `assigners.get` take them; `anchor_side`, where there is one, is the side of the
one square anchor of each place, in strides.
"""

DETECTORS = {
    "retinanet": {  # Lin et al. 2017, arXiv 1708.02002
        "model": {"coder": {"name": "center_size"}},
        "assigner": {"name": "iou"},
        "classification_loss": {"name": "focal"},
        "box_loss": {"name": "smooth_l1"},
    },
    "gfl": {  # Li et al. 2020, "Generalized Focal Loss", arXiv 2006.04388
        "model": {
            "coder": {"name": "distances", "bins": 16},
            "head_norm": "group",
            "level_scales": True,
        },
        "anchor_side": 8,
        "assigner": {"name": "atss"},
        "classification_loss": {"name": "quality_focal"},
        "box_loss": {"name": "gfl"},
    },
}
